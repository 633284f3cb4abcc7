"""User data of Bottlerocket: settings, as TOML. It runs no scripts, so it neither pulls images nor turns itself off."""

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit

from stratos.base.errors import FieldProblem, Invalid
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.aws.user_data.kubelet import labels_for_kubelet
from stratos.providers.contract import Bootstrap

_CUSTOM = "spec.customUserData"


def bottlerocket_settings(bootstrap: Bootstrap, settings: AwsSettings, cluster: ClusterAccess) -> str:
    """What the class adds stays, except where it would say of the cluster or the node what we have to say."""
    kubernetes: dict[str, Any] = {
        "cluster-name": cluster.name,
        "api-server": cluster.endpoint,
        "cluster-certificate": cluster.certificate_authority,
        "cluster-dns-ip": cluster.dns_address,
    }
    if bootstrap.max_pods is not None:
        kubernetes["max-pods"] = bootstrap.max_pods
    labels = labels_for_kubelet(bootstrap.node_labels)
    if labels:
        kubernetes["node-labels"] = labels
    taints: dict[str, list[str]] = {}
    for taint in bootstrap.node_taints:
        taints.setdefault(taint.key, []).append(f"{taint.value}:{taint.effect}")
    if taints:
        kubernetes["node-taints"] = taints
    return tomlkit.dumps(_merged(_custom(settings.custom_user_data), {"settings": {"kubernetes": kubernetes}}))


def _custom(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"is not TOML, which Bottlerocket takes: {error}"
        raise Invalid(
            f"{_CUSTOM} {message}",
            problems=(FieldProblem(_CUSTOM, "FieldValueInvalid", message),),
            hint="write settings, such as [settings.kubernetes]; Bottlerocket runs no scripts",
        ) from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged
