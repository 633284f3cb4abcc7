"""Replace machines by cheaper ones: several small by one large, one that is too large by a smaller, stand-ins by spot.

A replacement moves pods, so it has to be worth it, and must not lead to the next: it saves at least the template's
``minSavingPercent``, and a machine that was made for such a reason is left alone for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis.nodetemplate import NodeTemplate
from stratos.base.duration import parse_duration_seconds
from stratos.catalog.instance_type import CapacityType
from stratos.planning.disruption.machines import TemplateMachine
from stratos.planning.disruption.plan import Disruption, Reason
from stratos.planning.disruption.replacing import Leaving, Market, replace_machines
from stratos.planning.disruption.room import Room
from stratos.planning.packing.problem import Candidate
from stratos.snapshot.provisioning import ProvisioningSnapshot

REST = timedelta(hours=1)
"""How long a machine that was made to save money is left alone: prices that swing must not make pods swing, too."""

_SINGLES = 6  # how many machines are tried alone in one plan; each costs a packing

Movable = tuple[TemplateMachine, frozenset[str]]
"""A machine that nothing bars from going, and its pods that overlap with their replacement."""


@dataclass(frozen=True, slots=True)
class Saving:
    disruption: Disruption | None = None
    due_at: tuple[datetime, ...] = ()  # when more machines may be considered


def cheaper(
    template: NodeTemplate,
    movable: Sequence[Movable],
    room: Room,
    market: Market,
    world: ProvisioningSnapshot,
    allowed: int,
) -> Saving:
    """The first set of at most ``allowed`` machines whose replacement pays."""
    if allowed <= 0:
        return Saving()
    now = world.taken_at
    due: list[datetime] = []
    for machine, overlapping in movable:
        if machine.restore_seconds and machine.since is not None:
            restored_at = machine.since + timedelta(seconds=machine.restore_seconds)
            found = _to_spot(template, (machine, overlapping), room, market, world) if now >= restored_at else None
            if found is not None:
                return Saving(found)
            due.append(restored_at)
    if template.spec.strategy != "optimal":
        return Saving(due_at=tuple(due))  # thresholds say what a machine looks like, whatever would be cheaper
    rested = []
    for machine, overlapping in movable:
        if machine.restore_seconds is not None:
            continue  # what would be cheaper is spot, which it stands in for: that has a time of its own
        rests_until = _rests_until(machine)
        if now >= rests_until:
            rested.append((machine, overlapping))
        else:
            due.append(rests_until)
    for chosen in _sets(rested, allowed, market):
        found = _replace(template, chosen, room, market, world)
        if found is not None:
            return Saving(found)
    return Saving(due_at=tuple(due))


def saves_enough(disruption: Disruption, template: NodeTemplate, of_usd_per_hour: float) -> bool:
    """Whether it saves the template's ``minSavingPercent`` of what is spent now on what is compared."""
    least = of_usd_per_hour * template.spec.disruption.min_saving_percent / 100
    return disruption.saving_usd_per_hour > 0 and disruption.saving_usd_per_hour >= least


def _sets(movable: Sequence[Movable], allowed: int, market: Market) -> Iterator[tuple[Movable, ...]]:
    """The least used together, in sets that halve; then one by one those that waste most."""
    by_use = sorted(movable, key=lambda each: (each[0].usage, each[0].name))
    size = min(allowed, len(by_use))
    while size > 1:
        yield tuple(by_use[:size])
        size //= 2

    def waste(each: Movable) -> tuple[float, str]:
        return -market.price(each[0]) * (1 - each[0].usage), each[0].name

    yield from ((each,) for each in sorted(movable, key=waste)[:_SINGLES])


def _replace(
    template: NodeTemplate, chosen: Sequence[Movable], room: Room, market: Market, world: ProvisioningSnapshot
) -> Disruption | None:
    message = "cheaper machines would do"
    found = replace_machines(_leaving(template, chosen), room, market, Reason.CHEAPER, message, world)
    if found is None or not saves_enough(found, template, found.cost_before_usd_per_hour):
        return None
    return found


def _to_spot(
    template: NodeTemplate, chosen: Movable, room: Room, market: Market, world: ProvisioningSnapshot
) -> Disruption | None:
    def is_spot(candidate: Candidate) -> bool:
        return candidate.offering.capacity_type is CapacityType.SPOT

    message = "spot capacity may be had again, for which it stood in"
    leaving = _leaving(template, (chosen,))
    found = replace_machines(leaving, room, market, Reason.CHEAPER, message, world, only=is_spot)
    return found if found is not None and found.saving_usd_per_hour > 0 else None


def _leaving(template: NodeTemplate, chosen: Sequence[Movable]) -> Leaving:
    overlapping = frozenset(key for _, keys in chosen for key in keys)
    return Leaving(template, tuple(machine for machine, _ in chosen), overlapping)


def _rests_until(machine: TemplateMachine) -> datetime:
    """A machine is given time to fill; one that was made to replace another, more."""
    since = machine.since or machine.claim.metadata.creation_timestamp
    decision = machine.claim.spec.decision
    settles = timedelta(seconds=parse_duration_seconds(machine.settings.node_unneeded_duration))
    made_for_this = decision is not None and decision.reason in list(Reason)
    assert since is not None  # it is in service
    return since + max(settles, REST if made_for_this else settles)
