"""CustomResourceDefinitions as a server reports on them: whether they are served yet, and what is stored."""

from __future__ import annotations

from stratos.apis.meta import Condition, Kind, KubeObject, Struct


class CustomResourceDefinitionStatus(Struct):
    conditions: tuple[Condition, ...] = ()
    stored_versions: tuple[str, ...] = ()


class CustomResourceDefinition(KubeObject):
    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()


CUSTOM_RESOURCE_DEFINITION = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
    type=CustomResourceDefinition,
)
