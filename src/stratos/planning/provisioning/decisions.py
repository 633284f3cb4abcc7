"""Why this machine, in a sentence: the record that goes into its claim and that ``explain`` tells."""

from __future__ import annotations

from collections import Counter

from stratos.base.words import counted
from stratos.planning.packing.problem import Candidate
from stratos.planning.provisioning.basket import Chosen
from stratos.planning.provisioning.strategies import BIN_PACKING, BIN_SELECTION, Group
from stratos.planning.scheduling.rules import reject_by_rules

_DEARER = 2  # how many of the types that would have done are named
_RULES = 4  # and how many of the rules that left types out


def describe_decision(chosen: Chosen, group: Group) -> tuple[str, tuple[str, ...]]:
    """The decision in a sentence, and what was not chosen, with the reason."""
    candidate = chosen.candidate
    name, zone, terms = candidate.offering
    why = {
        BIN_PACKING: "the cheapest of the shape that shared nodes have",
        BIN_SELECTION: "the cheapest that holds one of them",
    }.get(group.strategy, "part of the cheapest mix for all pods that waited")
    offers = len(group.candidates.all)
    message = (
        f"{name} in {zone} ({terms}) at ${candidate.price_usd_per_hour:.4f}/h for {counted(len(chosen.pods), 'pod')}:"
        f" {why}, of {counted(offers, 'offering')} of {counted(group.candidates.matching_types, 'type')}"
    )
    dearer = [
        f"{each.offering.instance_type} ({each.offering.capacity_type}):"
        f" ${each.price_usd_per_hour - candidate.price_usd_per_hour:.4f}/h more"
        for each in _also_able(chosen, group)
    ]
    rules = [f"{counted(number, 'type')}: {rule}" for rule, number in group.candidates.rejections().items()]
    return message, (*dearer, *rules[:_RULES])


def _also_able(chosen: Chosen, group: Group) -> list[Candidate]:
    """The next by price that would hold the same pods, one of each type."""
    asked: Counter[str] = Counter()
    for pod in chosen.pods:
        asked.update(dict(pod.requirements.requests))
    rules = {pod.requirements.node_rules for pod in chosen.pods}
    seen, found = {chosen.candidate.offering.instance_type}, list[Candidate]()
    for candidate in group.candidates.all:
        name = candidate.offering.instance_type
        if candidate.price_usd_per_hour < chosen.candidate.price_usd_per_hour or name in seen:
            continue
        free = candidate.node.allocatable
        if all(amount <= free.get(resource, 0) for resource, amount in asked.items()) and not any(
            reject_by_rules(each, candidate.node) for each in rules
        ):
            seen.add(name)
            found.append(candidate)
            if len(found) == _DEARER:
                break
    return found
