"""Which DaemonSets run on a node, and what they take from it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stratos.apis.daemonset import DaemonSet
from stratos.apis.pod import Pod, Toleration
from stratos.base.errors import Invalid
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.planning.scheduling.rules import reject_by_rules

# Every daemon pod is given these, so that it runs where ordinary pods may not.
_GIVEN = tuple(
    Toleration(key=f"node.kubernetes.io/{name}", operator="Exists")
    for name in ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
)
_GIVEN_ON_HOST_NETWORK = Toleration(key="node.kubernetes.io/network-unavailable", operator="Exists")


Daemons = tuple[tuple[str, PodRequirements], ...]
"""By the key of each DaemonSet: what one of its pods asks for."""


def compile_daemons(daemon_sets: Iterable[DaemonSet]) -> Daemons:
    compiled = []
    for daemon_set in sorted(daemon_sets, key=lambda daemon_set: daemon_set.metadata.key):
        asks = _requirements(daemon_set)
        if asks is not None:
            compiled.append((daemon_set.metadata.key, asks))
    return tuple(compiled)


def daemons_on(daemons: Daemons, node: NodeDescription) -> Daemons:
    """Those that would run on ``node``."""
    return tuple((key, asks) for key, asks in daemons if reject_by_rules(asks.node_rules, node) is None)


def _requirements(daemon_set: DaemonSet) -> PodRequirements | None:
    """None for a template that no server would run a pod from."""
    try:
        pod = msgspec.convert(dict(daemon_set.spec.template), Pod)
        spec = pod.spec
        given = (*_GIVEN, _GIVEN_ON_HOST_NETWORK) if spec.host_network else _GIVEN
        tolerations = (*(spec.tolerations or ()), *given)
        return requirements_of(
            msgspec.structs.replace(
                pod,
                metadata=msgspec.structs.replace(pod.metadata, namespace=daemon_set.metadata.namespace),
                spec=msgspec.structs.replace(spec, tolerations=tolerations),
            )
        )
    except (Invalid, msgspec.ValidationError):
        return None
