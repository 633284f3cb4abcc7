"""The machines of templates as disruption looks at them: claim, node, pods, settings, price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.meta import is_condition_true
from stratos.apis.node import Node
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeState, Wanted
from stratos.apis.nodetemplate import Disruption as Settings
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid
from stratos.planning.pools.drain import workload_pods
from stratos.planning.provisioning.draft import stands_in_for_spot
from stratos.planning.provisioning.strategies import OPTIMAL
from stratos.planning.scheduling.requests import effective_requests, node_amounts
from stratos.snapshot.provisioning import ProvisioningSnapshot

_COUNTED = ("cpu", "memory")
_WITHOUT_TEMPLATE = Settings(node_unneeded_duration="30m")  # what bars the way there seldom goes away soon


@dataclass(frozen=True, slots=True)
class TemplateMachine:
    claim: NodeClaim
    template: NodeTemplate | None  # None: it is gone
    node: Node | None
    pods: tuple[Pod, ...]  # that somebody wants to run; not the node's own equipment
    usage: float = 1.0  # the share of the node that these ask for, of the resource of which they ask for most

    @property
    def name(self) -> str:
        return self.claim.metadata.name

    @property
    def node_name(self) -> str:
        """Empty while it has no node."""
        return self.node.metadata.name if self.node is not None else ""

    @property
    def settings(self) -> Settings:
        return self.template.spec.disruption if self.template is not None else _WITHOUT_TEMPLATE

    @property
    def packing(self) -> str:
        """How its template filled it: optimal, bin-packing or bin-selection."""
        node = self.claim.spec.node
        return node.labels.get(labels.PACKING, OPTIMAL) if node is not None else OPTIMAL

    @property
    def restore_seconds(self) -> int | None:
        """How often to try spot again, of a machine that stands in for it. None: it does not; 0: never."""
        node = self.claim.spec.node
        if node is None or self.template is None or not stands_in_for_spot(node.labels):
            return None
        return self.template.spec.constraints.fallback_restore_rate_seconds

    @property
    def stays(self) -> bool:
        return self.claim.wish is Wanted.RUNNING

    @property
    def in_service(self) -> bool:
        status = self.claim.status
        return (
            self.stays
            and self.node is not None
            and status.state is NodeState.RUNNING
            and is_condition_true(status.conditions, ClaimCondition.READY)
        )

    @property
    def since(self) -> datetime | None:
        """When it came into service."""
        return self.claim.status.ready_at

    @property
    def expires_at(self) -> datetime | None:
        ttl, launched = self.settings.node_ttl, self.claim.status.launched_at
        if ttl is None or launched is None:
            return None
        return launched + timedelta(seconds=parse_duration_seconds(ttl))

    @property
    def is_about_to_be_interrupted(self) -> bool:
        """The cloud has said when, or somebody predicts it and the template heeds predictions."""
        if self.node is None or self.template is None:
            return False
        notice = self.claim.spec.interruption
        if notice is not None and notice.deadline is not None:
            return True
        heeded = self.claim.is_spot and self.template.spec.constraints.spot_interruption_predictions_enabled
        predicted = self.node.metadata.annotations.get(labels.INTERRUPTION_PREDICTED) == "true"
        return heeded and (predicted or notice is not None)

    @property
    def not_before(self) -> datetime | None:
        """Until when it is left alone, after a departure that was taken back."""
        text = self.claim.metadata.annotations.get(labels.NOT_DISRUPTED_BEFORE, "")
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None


def machines_of(world: ProvisioningSnapshot, others: Iterable[NodeClaim] = ()) -> tuple[TemplateMachine, ...]:
    """All of them, by name of their claim; and those of ``others``, which have no template."""
    templates = {template.metadata.name: template for template in world.templates}
    nodes = {node.spec.provider_id: node for node in world.cluster.nodes if node.spec.provider_id}
    pods = _by_node(world.cluster.pods)
    found = []
    for claim in sorted((*world.claims, *others), key=lambda claim: claim.metadata.name):
        node = nodes.get(claim.status.provider_id) if claim.status.provider_id else None
        here = workload_pods(pods.get(node.metadata.name, [])) if node is not None else ()
        asked = _usage(node, here) if node is not None else 1.0
        found.append(TemplateMachine(claim, templates.get(claim.spec.template), node, here, asked))
    return tuple(found)


def by_age(machine: TemplateMachine) -> tuple[bool, datetime | None, str]:
    """The oldest first."""
    launched = machine.claim.status.launched_at
    return launched is None, launched, machine.name


def _usage(node: Node, pods: Iterable[Pod]) -> float:
    """CPU, memory and devices count: a node with a GPU in use is in use, however little CPU that takes.

    DaemonSets do not: they come with the node.
    """
    try:
        allocatable = node_amounts(node.status.allocatable or node.status.capacity)
        asked = dict.fromkeys((name for name in allocatable if name in _COUNTED or "/" in name), 0)
        for pod in pods:
            for name, amount in effective_requests(pod.spec).items():
                if name in asked:
                    asked[name] += amount
    except Invalid:
        return 1.0  # nobody can tell: it is left alone
    return max((amount / allocatable[name] for name, amount in asked.items() if allocatable[name] > 0), default=1.0)


def _by_node(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = {}
    for pod in sorted(pods, key=lambda pod: pod.metadata.key):
        if pod.spec.node_name:
            found.setdefault(pod.spec.node_name, []).append(pod)
    return found
