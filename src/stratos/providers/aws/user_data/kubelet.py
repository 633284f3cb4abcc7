"""What a kubelet is told at its start, as flags."""

from __future__ import annotations

from collections.abc import Mapping

from stratos.apis.node import Taint
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.contract import Bootstrap

_OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_WELL_KNOWN = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)


def labels_for_kubelet(labels: Mapping[str, str]) -> dict[str, str]:
    """In order, without those that a kubelet refuses to start with. Those are put on the node when it has joined."""
    return {key: labels[key] for key in sorted(labels) if _may_be_set_by_a_kubelet(key)}


def _may_be_set_by_a_kubelet(key: str) -> bool:
    namespace = key.rpartition("/")[0]
    if not f".{namespace}".endswith((".kubernetes.io", ".k8s.io")):
        return True
    return key in _WELL_KNOWN or any(f".{namespace}".endswith(f".{own}") for own in _OWN_NAMESPACES)


def taint_text(taint: Taint) -> str:
    """``key=value:Effect``, or ``key:Effect`` without a value."""
    return f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"


def kubelet_flags(bootstrap: Bootstrap, settings: AwsSettings) -> list[str]:
    """What the class says by name goes last: of two flags that are the same, a kubelet takes the last."""
    labels = labels_for_kubelet(bootstrap.node_labels)
    flags = []
    if labels:
        flags.append("--node-labels=" + ",".join(f"{key}={value}" for key, value in labels.items()))
    if bootstrap.node_taints:
        flags.append("--register-with-taints=" + ",".join(taint_text(taint) for taint in bootstrap.node_taints))
    extra = settings.kubelet_extra_args
    return flags + [f"--{name.lstrip('-')}={extra[name]}" for name in sorted(extra)]
