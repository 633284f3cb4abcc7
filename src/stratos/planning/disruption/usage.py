"""Since when a machine has been used too little to keep it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.duration import parse_duration_seconds
from stratos.planning.disruption.machines import TemplateMachine
from stratos.planning.disruption.plan import Mark
from stratos.planning.provisioning.strategies import BIN_SELECTION


def threshold(machine: TemplateMachine) -> float:
    """The use below which the node is not worth keeping: selected nodes are meant to be full, shared ones are not."""
    settings = machine.settings
    if machine.packing == BIN_SELECTION:
        return settings.bin_select_utilization_threshold
    return settings.bin_pack_utilization_threshold


def is_little_used(machine: TemplateMachine) -> bool:
    """Empty, or below its threshold. With a threshold of 0 other people's pods do not make a node used."""
    if not machine.pods:
        return True
    least = threshold(machine)
    if least == 0.0:
        return not any(is_managed(machine.template, pod) for pod in machine.pods)
    return machine.usage < least


def is_managed(template: NodeTemplate | None, pod: Pod) -> bool:
    """Whether the pod is one the template gets machines for; where it names none, all are."""
    if template is None:
        return True
    wanted = template.spec.pods
    if not wanted.labels and not wanted.annotations:
        return True
    metadata = pod.metadata
    return _shares_any(wanted.labels, metadata.labels) or _shares_any(wanted.annotations, metadata.annotations)


def _shares_any(wanted: dict[str, str], held: dict[str, str]) -> bool:
    return any(held.get(key) == value for key, value in wanted.items())


def unneeded_since(machine: TemplateMachine) -> datetime | None:
    text = machine.claim.metadata.annotations.get(labels.UNNEEDED_SINCE, "")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def unneeded_until(machine: TemplateMachine, since: datetime) -> datetime:
    """When it will have been little used for long enough."""
    return since + timedelta(seconds=parse_duration_seconds(machine.settings.node_unneeded_duration))


def marks(machines: Iterable[TemplateMachine], expected: frozenset[str], now: datetime) -> tuple[Mark, ...]:
    """What to note anew. A node that is used again loses its mark, so that the time counts from the start next time.

    ``expected`` names claims that pods are on their way to.
    """
    found = []
    for machine in machines:
        since = unneeded_since(machine)
        unneeded = machine.in_service and machine.name not in expected and is_little_used(machine)
        if unneeded and since is None:
            found.append(Mark(machine.name, now))
        elif not unneeded and labels.UNNEEDED_SINCE in machine.claim.metadata.annotations:
            found.append(Mark(machine.name, None))
    return tuple(found)


def expected_claims(pods: Iterable[Pod], machines: Iterable[TemplateMachine]) -> frozenset[str]:
    """The claims that a pod which is bound nowhere yet is on its way to."""
    unbound = [
        pod for pod in pods if not pod.spec.node_name and not pod.finished and pod.metadata.deletion_timestamp is None
    ]
    keys = {pod.metadata.key for pod in unbound}
    nominated = {pod.status.nominated_node_name for pod in unbound if pod.status.nominated_node_name}
    found = set()
    for machine in machines:
        decision = machine.claim.spec.decision
        if (decision is not None and not keys.isdisjoint(decision.pods)) or machine.node_name in nominated:
            found.add(machine.name)
    return frozenset(found)
