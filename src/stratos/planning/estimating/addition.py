"""What a cluster would do about pods that are about to be added: the scheduler first, then warm pools, then templates.

It is the order in which things happen there. Pods that nodes have room for never wait; of the rest a pool's machine
takes those it can; for what then waits, the provisioning planner is asked as it would be asked in the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from stratos.apis.cronjob import CRON_JOB
from stratos.apis.meta import Condition
from stratos.apis.nodeclaim import Wanted
from stratos.apis.pod import POD, Pod, PodStatus
from stratos.planning.estimating.workloads import Workload
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import PackingProblem, Unplaced
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.existing import existing_nodes
from stratos.planning.provisioning.plan import NewMachine
from stratos.planning.scheduling.daemons import compile_daemons
from stratos.snapshot.provisioning import ProvisioningSnapshot

ServedByPools = Callable[[Sequence[Pod]], Collection[str]]
"""Of some waiting pods those (namespace/name) that a warm pool has a machine for."""


_NOTHING_AT_HAND = (
    "no node has room for it, no NodeTemplate serves it, and no NodePool has a machine for it at hand; "
    "one that serves such pods would launch one"
)


@dataclass(frozen=True, slots=True)
class Addition:
    """Every pod that is added is in exactly one of ``on_nodes``, ``by_pools``, ``on_machines`` and ``waiting``."""

    on_nodes: Mapping[str, str]  # pod → node that is there or under way
    by_pools: tuple[str, ...]
    on_machines: tuple[str, ...]
    waiting: Mapping[str, str]  # pod → why nothing takes it
    machines: tuple[NewMachine, ...]  # to ask for, those for pods that wait already among them
    cost_before_usd_per_hour: float  # of the machines of all templates
    lower_bound_usd_per_hour: float  # of the machines to ask for: no choice of machines costs less
    report: tuple[str, ...] = ()

    @property
    def cost_added_usd_per_hour(self) -> float:
        return sum(machine.candidate.price_usd_per_hour for machine in self.machines)


def new_pods(workload: Workload, present: Workload | None) -> tuple[tuple[Pod, ...], tuple[str, ...]]:
    """The pods that come when ``workload`` is applied where ``present`` is, and what one should know about that."""
    if workload.kind == CRON_JOB.kind:
        return (), ("its pods come on schedule, and their machines with them",)
    before = {group.part: group for group in present.groups} if present else {}
    pods: list[Pod] = []
    notes: list[str] = []
    for group in workload.groups:
        old = before.pop(group.part, None)
        more = group.pods - (old.pods if old else 0)
        if old is not None and old.asks != group.asks:
            notes.append(f"its {old.pods} pods are replaced by others; what they leave is not counted as room")
            more = group.pods
        elif more < 0:
            notes.append(f"{-more} pods go; the room they leave is not counted")
        name = group.pod.metadata.name
        for number in range(more):
            named = name if workload.kind == POD.kind else f"{name}-new-{number}"
            metadata = msgspec.structs.replace(group.pod.metadata, name=named)
            pods.append(msgspec.structs.replace(group.pod, metadata=metadata))
    return tuple(pods), tuple(notes)


def plan_addition(
    look: ProvisioningSnapshot, pods: Sequence[Pod], *, served_by_pools: ServedByPools = lambda pods: ()
) -> Addition:
    """What happens when ``pods`` are added to the cluster of ``look``. Their order makes no difference."""
    daemons = compile_daemons(look.daemon_sets)
    nodes = existing_nodes(replace(look, claims=()), {}, daemons, frozenset()).nodes
    by_scheduler = pack(
        PackingProblem(
            pods=tuple(asks_of(pod).to_place for pod in pods),
            candidates=(),
            existing=nodes,
            namespace_labels=look.cluster.namespace_labels,
        ),
        effort=Effort.FAST,
    )
    bound = [
        msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=name))
        for pod in pods
        if (name := by_scheduler.assignments.get(pod.metadata.key))
    ]
    left = [_unschedulable(pod, len(nodes)) for pod in pods if pod.metadata.key not in by_scheduler.assignments]
    by_pools = tuple(sorted(served_by_pools(left)))
    rest = [pod for pod in left if pod.metadata.key not in by_pools]
    then = replace(
        look,
        waiting=(*look.waiting, *rest),
        cluster=replace(look.cluster, pods=(*look.cluster.pods, *bound)),
    )
    plan = plan_provisioning(then, tells_ways_out=True)
    added = {pod.metadata.key for pod in rest}
    on_machines = {key for machine in plan.machines for key in machine.pods if key in added}
    on_coming = {key: name for key, name in plan.assignments.items() if key in added - on_machines}
    why = {each.pod: _told(each) for each in plan.unplaced}
    return Addition(
        on_nodes=dict(sorted({**by_scheduler.assignments, **on_coming}.items())),
        by_pools=by_pools,
        on_machines=tuple(sorted(on_machines)),
        waiting={key: why.get(key, _NOTHING_AT_HAND) for key in sorted(added - on_machines - set(on_coming))},
        machines=plan.machines,
        cost_before_usd_per_hour=sum(
            claim.price_usd_per_hour for claim in look.claims if claim.wish is not Wanted.GONE
        ),
        lower_bound_usd_per_hour=plan.lower_bound_usd_per_hour,
        report=plan.report,
    )


def _unschedulable(pod: Pod, nodes: int) -> Pod:
    """As the scheduler will find it."""
    message = f"0/{nodes} nodes are available"
    waits = Condition(type="PodScheduled", status="False", reason="Unschedulable", message=message)
    return msgspec.structs.replace(pod, status=PodStatus(phase="Pending", conditions=(waits,)))


def _told(left: Unplaced) -> str:
    ways = map(str, left.relaxations)
    return "; ".join((left.message, *ways))
