"""Spread spot machines over families, so that one family taken back does not take everything.

Each machine becomes the type of another family, the least used so far, as long as that holds the same pods and costs
no more above the type first chosen than the template allows. Cheapest first: diversity is paid for, and has a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stratos.apis.nodetemplate import Constraints
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.problem import Candidate
from stratos.planning.provisioning.basket import Chosen
from stratos.planning.provisioning.candidates import Candidates, by_price
from stratos.planning.provisioning.limits import Budget
from stratos.planning.scheduling.rules import reject_by_rules

DEFAULT_LIMIT_PERCENT = 20  # where the template sets none


def diversify(
    machines: Sequence[Chosen],
    candidates: Candidates,
    constraints: Constraints,
    in_use: Iterable[str],
    budget: Budget,
) -> None:
    """Change the types of spot machines in place. ``in_use`` are the families of spot machines that run, one each."""
    if not constraints.enable_spot_diversity:
        return
    limit = constraints.spot_diversity_price_increase_limit_percent
    most = 1 + (DEFAULT_LIMIT_PERCENT if limit is None else limit) / 100
    used = Counter(in_use)
    spot = [each for each in candidates.all if each.offering.capacity_type is CapacityType.SPOT and each.most is None]
    for machine in machines:
        chosen = machine.candidate
        if chosen.offering.capacity_type is not CapacityType.SPOT:
            continue
        able = [
            each
            for each in spot
            if each.price_usd_per_hour <= chosen.price_usd_per_hour * most and _can_stand_for(each, machine)
        ]
        best = min(able, key=lambda each: (used[_family(each, candidates)], by_price(each)), default=chosen)
        if best.offering != chosen.offering and budget.swaps(chosen, best):
            machine.candidate = best
        used[_family(machine.candidate, candidates)] += 1


def _family(candidate: Candidate, candidates: Candidates) -> str:
    return candidates.types[candidate.offering.instance_type].family


def _can_stand_for(other: Candidate, machine: Chosen) -> bool:
    """Whether the machine's pods would run there as well: in the same zone, so that nothing else changes for them."""
    if other.offering.zone != machine.candidate.offering.zone:
        return False
    asked: Counter[str] = Counter()
    for pod in machine.pods:
        asked.update(dict(pod.requirements.requests))
        if reject_by_rules(pod.requirements.node_rules, other.node) is not None:
            return False
    return all(amount <= other.node.allocatable.get(resource, 0) for resource, amount in asked.items())
