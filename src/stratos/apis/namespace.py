"""Namespaces, and what every one of them is given."""

from __future__ import annotations

from stratos.apis.meta import Condition, Kind, KubeObject, Struct

SYSTEM_NAMESPACE = "stratos-system"
"""Where what belongs to Stratos itself is kept."""


class NamespaceSpec(Struct):
    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Struct):
    phase: str = "Active"
    conditions: tuple[Condition, ...] = ()


class Namespace(KubeObject):
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ServiceAccount(KubeObject):
    """The identity pods run under."""


class ConfigMap(KubeObject):
    data: dict[str, str] = {}


NAMESPACE = Kind(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False, type=Namespace)
SERVICE_ACCOUNT = Kind(
    group="", version="v1", plural="serviceaccounts", kind="ServiceAccount", namespaced=True, type=ServiceAccount
)
CONFIG_MAP = Kind(group="", version="v1", plural="configmaps", kind="ConfigMap", namespaced=True, type=ConfigMap)
