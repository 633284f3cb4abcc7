"""In which order the pods of one machine are bound.

A pod that is spread over hosts looks at the pods that are there when it is bound, and not at those that follow. So it
may share a machine with many that it counts, as long as it comes before them. What is bound where, and the order among
machines, is settled elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stratos.planning.packing.counting import Company, Count, Counting
from stratos.planning.packing.domains import Domains
from stratos.planning.packing.filling import Place


def spread_pods_first(places: Sequence[Place], counting: Counting, domains: Domains) -> list[Place]:
    """The same places; pods of one machine change their turns among themselves where the rules ask for it."""
    turns: dict[int, list[int]] = {}
    for turn, place in enumerate(places):
        turns.setdefault(place.bin, []).append(turn)
    ordered = list(places)
    for own in turns.values():
        on_machine = [places[turn] for turn in own]
        rules = [_limits(counting.company(place.version), domains) for place in on_machine]
        if not any(rules):
            continue
        companies = [counting.company(place.requirements) for place in on_machine]
        for turn, position in zip(own, _order(rules, companies), strict=True):
            ordered[turn] = on_machine[position]
    return ordered


def _limits(company: Company, domains: Domains) -> list[tuple[Count, int]]:
    """How many pods, itself included, a host may hold right after such a pod came, while others hold none."""
    return [(rule.count, rule.constraint.max_skew) for rule in company.spread if domains.is_unique(rule.key)]


def _order(rules: Sequence[list[tuple[Count, int]]], companies: Sequence[Company]) -> list[int]:
    """From the end: the last of those whom all the others do not disturb comes last, and so on."""
    there: Counter[Count] = Counter(count for company in companies for count in company.adds_to)
    waiting = list(range(len(rules)))
    from_the_end: list[int] = []
    while waiting:
        undisturbed = (
            position for position in reversed(waiting) if all(there[count] <= most for count, most in rules[position])
        )
        last = next(undisturbed, waiting[-1])  # no order is right: the rules will say whom they refuse
        waiting.remove(last)
        from_the_end.append(last)
        there.subtract(companies[last].adds_to)
    return from_the_end[::-1]
