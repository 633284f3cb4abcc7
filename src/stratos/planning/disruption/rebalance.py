"""Solve a whole template anew: which machines would hold its pods at least cost, and what it takes to get there.

Machines that the new answer has, too, stay, with as many of their pods as possible. Nothing is carried out here, and
no controller does this by itself: a plan that moves many pods is for somebody to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stratos.apis.nodetemplate import NodeTemplate
from stratos.catalog.instance_type import CapacityType
from stratos.planning.disruption.drift import drift
from stratos.planning.disruption.machines import TemplateMachine, machines_of
from stratos.planning.disruption.plan import Blocked, Disruption, Reason
from stratos.planning.disruption.pod_budgets import PodBudgets
from stratos.planning.disruption.replacing import Leaving, Market, replace_machines
from stratos.planning.disruption.room import Compile, Room
from stratos.planning.disruption.savings import saves_enough
from stratos.planning.disruption.ways import Obstacle, obstacle_of_node, way_out
from stratos.planning.packing.pack import Effort
from stratos.planning.packing.problem import OfferingName
from stratos.planning.provisioning.plan import NewMachine
from stratos.snapshot.disruption import DisruptionSnapshot


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """What rebalancing one template would do."""

    template: str
    nodes_before: int
    nodes_after: int
    cost_before_usd_per_hour: float
    cost_after_usd_per_hour: float
    change: Disruption | None = None  # None: nothing is worth doing, see `why_not`
    kept: tuple[str, ...] = ()  # claims whose machines the new answer has, too
    untouched: tuple[Blocked, ...] = ()  # machines that may not go, and why
    why_not: str = ""

    @property
    def saving_percent(self) -> float:
        before = self.cost_before_usd_per_hour
        return 100 * (before - self.cost_after_usd_per_hour) / before if before > 0 else 0.0


def plan_rebalancing(
    look: DisruptionSnapshot, *, effort: Effort = Effort.BEST, compile_pod: Compile | None = None
) -> tuple[Rebalancing, ...]:
    """One for each template that has machines, in the order of their names."""
    market = Market(look.world)
    templates = sorted(look.world.templates, key=lambda template: template.metadata.name)
    machines = machines_of(look.world)
    found = []
    for template in templates:
        mine = [machine for machine in machines if machine.template is template and machine.stays]
        if mine:
            room = Room(look.world, compile_pod)
            found.append(_rebalance(template, mine, look, room, market, effort))
    return tuple(found)


def _rebalance(
    template: NodeTemplate,
    machines: Sequence[TemplateMachine],
    look: DisruptionSnapshot,
    room: Room,
    market: Market,
    effort: Effort,
) -> Rebalancing:
    budgets = PodBudgets(look.budgets)
    cost = sum(market.price(machine) for machine in machines)
    unchanged = Rebalancing(template.metadata.name, len(machines), len(machines), cost, cost)
    movable, untouched = [], []
    for machine in machines:
        obstacle = _obstacle(machine, look, budgets)
        if obstacle is None:
            movable.append(machine)
        else:
            untouched.append(Blocked(machine.name, Reason.CHEAPER, obstacle.by, obstacle.message))
    unchanged = replace(unchanged, untouched=tuple(untouched))
    drifted = {machine.name for machine in movable if drift(machine, template, market.allowed(template))}
    leaving = sorted(movable, key=lambda machine: (-market.price(machine), machine.name))
    least = template.spec.disruption.min_nodes
    while leaving:
        message = "the same pods on the machines that cost least"
        # Where pods go in the end is what is looked for; that each is replaced before it goes is for the evacuation.
        whole = replace_machines(
            Leaving(template, tuple(leaving)), room, market, Reason.CHEAPER, message, look.world, effort=effort
        )
        if whole is None:
            return replace(unchanged, why_not="some pods would find no machine that can be had now")
        change, kept = _without_detours(whole, leaving, drifted)
        after = len(machines) - len(change.claims) + len(change.machines)
        if after < least:
            leaving.pop()  # the cheapest stays, and what it has room for may go there
            continue
        if not change.claims:
            return replace(unchanged, kept=kept, why_not="nothing cheaper would do")
        if not saves_enough(change, template, cost) and not drifted:
            share = 100 * change.saving_usd_per_hour / cost if cost else 0.0
            wanted = template.spec.disruption.min_saving_percent
            return replace(unchanged, kept=kept, why_not=f"it would save {share:.1f} %, less than the {wanted} % asked")
        return replace(
            unchanged,
            nodes_after=after,
            cost_after_usd_per_hour=cost - change.saving_usd_per_hour,
            change=change,
            kept=kept,
        )
    why_not = f"no machine may go: at least {least} nodes are to be left" if movable else "no machine may go"
    return replace(unchanged, why_not=why_not)


def _obstacle(machine: TemplateMachine, look: DisruptionSnapshot, budgets: PodBudgets) -> Obstacle | None:
    if not machine.in_service or machine.claim.spec.departure is not None or machine.node is None:
        return Obstacle("machine", "it is coming into service, or on its way out")
    found = obstacle_of_node(machine.node, machine.claim)
    for pod in machine.pods:
        if found is not None:
            break
        way = way_out(pod, look.workloads, budgets, machine.settings.single_replica)
        found = way if isinstance(way, Obstacle) else None
    return found


def _without_detours(
    whole: Disruption, leaving: Sequence[TemplateMachine], drifted: set[str]
) -> tuple[Disruption, tuple[str, ...]]:
    """Keep each machine that would be bought again, in place of the one most of whose pods it has already."""
    spare = [machine for machine in leaving if machine.name not in drifted]
    pairs = sorted(
        (
            (-len(_keys(machine) & set(new.pods)), machine.name, index)
            for index, new in enumerate(whole.machines)
            for machine in spare
            if _is_same(machine, new)
        ),
    )
    kept: dict[str, int] = {}
    for _, name, index in pairs:
        if name not in kept and index not in kept.values():
            kept[name] = index
    staying = {
        key
        for machine in spare
        if machine.name in kept
        for key in _keys(machine) & set(whole.machines[kept[machine.name]].pods)
    }
    bought = [new for index, new in enumerate(whole.machines) if index not in kept.values()]
    change = replace(
        whole,
        claims=tuple(name for name in whole.claims if name not in kept),
        machines=tuple(bought),
        pods=tuple(key for key in whole.pods if key not in staying),
        cost_before_usd_per_hour=whole.cost_before_usd_per_hour - _price(whole, kept),
        cost_after_usd_per_hour=whole.cost_after_usd_per_hour - _price(whole, kept),
    )
    return change, tuple(sorted(kept))


def _price(whole: Disruption, kept: dict[str, int]) -> float:
    return sum(whole.machines[index].candidate.price_usd_per_hour for index in kept.values())


def _is_same(machine: TemplateMachine, new: NewMachine) -> bool:
    spec = machine.claim.spec
    offering = OfferingName(spec.instance_type, spec.zone, CapacityType(spec.capacity_type))
    return offering == new.candidate.offering


def _keys(machine: TemplateMachine) -> set[str]:
    return {pod.metadata.key for pod in machine.pods}
