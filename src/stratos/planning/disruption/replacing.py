"""Machines for pods whose nodes go: what the template would get for them, if nothing that is there has room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

from stratos.apis.nodeclaim import Decision
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.catalog.instance_type import CapacityType
from stratos.planning.disruption.machines import TemplateMachine
from stratos.planning.disruption.plan import Disruption, Reason
from stratos.planning.disruption.room import Room
from stratos.planning.packing.pack import Effort
from stratos.planning.packing.problem import Candidate, OfferingName
from stratos.planning.provisioning.basket import Basket
from stratos.planning.provisioning.candidates import Candidates, candidates_of
from stratos.planning.provisioning.draft import settings_of
from stratos.planning.provisioning.limits import Budget
from stratos.planning.provisioning.plan import NewMachine
from stratos.planning.provisioning.strategies import Group, Shelf, fill
from stratos.planning.scheduling.daemons import Daemons, compile_daemons
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot

Only = Callable[[Candidate], bool]


@dataclass(frozen=True, slots=True)
class Leaving:
    """Machines of one template that would go together, and those of their pods that overlap with their replacement."""

    template: NodeTemplate
    machines: tuple[TemplateMachine, ...]
    overlapping: frozenset[str] = frozenset()

    @property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(pod for machine in self.machines for pod in machine.pods)

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(machine.node.metadata.name for machine in self.machines if machine.node is not None)


class Market:
    """What templates may buy at the moment, and what their machines cost."""

    def __init__(self, world: ProvisioningSnapshot) -> None:
        self._world = world
        self._allowed: dict[str, Candidates] = {}
        self._failing = {
            OfferingName(held.instance_type, held.zone, CapacityType(held.capacity_type))
            for held in world.backed_off
            if held.until > world.taken_at
        }

    def allowed(self, template: NodeTemplate) -> Candidates:
        """All that the template's constraints leave, whether or not it can be had now."""
        name = template.metadata.name
        if name not in self._allowed:
            ground = self._world.grounds.get(name) or LaunchGround(zones=self._world.catalog.zones)
            self._allowed[name] = candidates_of(template, self._world.catalog, ground, self._daemons)
        return self._allowed[name]

    def shelf(self, template: NodeTemplate, only: Only) -> Shelf | None:
        """What can be had now. None when the template makes no new nodes."""
        ground = self._world.grounds.get(template.metadata.name)
        if ground is None or ground.problem or not template.spec.is_enabled:
            return None
        held_back = partial(_without, self._failing, only)
        return Shelf(template, self._world.catalog, ground, self._daemons, held_back)

    def budget(self) -> Budget:
        """What is left of the limits. Machines that go still count: for a while, both are there."""
        world = self._world
        return Budget(
            world.templates,
            world.claims,
            world.catalog,
            cluster_cost_limit_usd_per_hour=world.cluster_cost_limit_usd_per_hour,
            cluster_gpu_limit=world.cluster_gpu_limit,
        )

    def price(self, machine: TemplateMachine) -> float:
        """What the machine costs now; if the catalog does not know, what it was bought for."""
        spec = machine.claim.spec
        terms = CapacityType(spec.capacity_type)
        offering = self._world.catalog.offering(spec.instance_type, spec.zone, terms)
        return offering.price_usd_per_hour if offering is not None else machine.claim.price_usd_per_hour

    @cached_property
    def _daemons(self) -> Daemons:
        return compile_daemons(self._world.daemon_sets)


def _without(failing: set[OfferingName], only: Only, candidates: Candidates) -> Candidates:
    def refuses(candidate: Candidate) -> str:
        if candidate.offering in failing:
            return "back-off"
        return "" if only(candidate) else "not what is looked for"

    return candidates.without({}, refuses)


def replace_machines(
    leaving: Leaving,
    room: Room,
    market: Market,
    reason: Reason,
    message: str,
    world: ProvisioningSnapshot,
    *,
    only: Only = lambda _: True,
    effort: Effort = Effort.FAST,
) -> Disruption | None:
    """The machines that the template's strategy would get for what the other nodes do not hold.

    None when some pod would be left over. Whether the machines that go are worth replacing is not asked here.
    """
    template, pods = leaving.template, leaving.pods
    shelf = market.shelf(template, only)
    if shelf is None:
        return None
    basket = Basket(
        room.existing_without(leaving.nodes, pods, overlapping=leaving.overlapping),
        budget=market.budget(),
        effort=effort,
        namespace_labels=world.cluster.namespace_labels,
    )
    groups = tuple(fill(basket, shelf, room.asks(pods)))
    if any(group.packing.unplaced for group in groups):
        return None
    return Disruption(
        reason=reason,
        message=message,
        claims=tuple(sorted(machine.name for machine in leaving.machines)),
        machines=tuple(_bought(template, groups, Decision(reason=reason, message=message, at=world.taken_at))),
        pods=tuple(sorted(pod.metadata.key for pod in pods)),
        cost_before_usd_per_hour=sum(market.price(machine) for machine in leaving.machines),
        cost_after_usd_per_hour=sum(group.packing.cost_usd_per_hour for group in groups),
    )


def _bought(template: NodeTemplate, groups: Iterable[Group], decision: Decision) -> Iterable[NewMachine]:
    for group in groups:
        for machine in group.packing.machines:
            yield NewMachine(
                template=template.metadata.name,
                candidate=machine.candidate,
                pods=machine.pods,
                node=settings_of(template, machine.candidate, group.strategy),
                decision=Decision(reason=decision.reason, message=decision.message, at=decision.at, pods=machine.pods),
            )
