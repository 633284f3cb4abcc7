"""Why this machine for this pod: what else would have done, what nearly did, what was ruled out, and what one could
give up. The answer is about one empty machine; what other pods leave free on nodes is the planner's to know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import msgspec

from stratos.apis.nodetemplate import Constraints
from stratos.base.quantity import GIBIBYTE, format_amount
from stratos.base.selectors import LabelSelector
from stratos.planning.estimating.answer import RunnerUp
from stratos.planning.packing.problem import Candidate, Relaxation
from stratos.planning.provisioning.annotations import ANNOTATION_OF, NO_WISHES, Wishes
from stratos.planning.provisioning.asks import PodAsks, fits
from stratos.planning.provisioning.candidates import Candidates, by_price
from stratos.planning.provisioning.machine_labels import asked_of_nodes, without_asked
from stratos.planning.provisioning.strategies import Shelf
from stratos.planning.provisioning.ways_out import ways_out_of
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.rules import reject_by_rules

_RUNNERS_UP = 3
_TOO_SMALL = 3

_NEVER_GIVEN_UP = ("on_demand", "os")  # where they are stated, it is to say what there is


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the pod's machine would be, had it or its template one constraint less."""

    constraint: str  # in words a user can find in the manifest
    instance_type: str
    price_usd_per_hour: float
    saving_usd_per_hour: float | None  # None: with the constraint nothing fits


@dataclass(frozen=True, slots=True)
class Choice:
    """The cheapest machine that a template may buy for a pod alone, and what it was chosen from."""

    best: Candidate | None
    offerings: int
    types: int
    rejected: Mapping[str, int]  # how many types each rule ruled out, the busiest first
    runners_up: tuple[RunnerUp, ...] = ()
    too_small: tuple[RunnerUp, ...] = ()
    what_if: tuple[WhatIf, ...] = ()
    ways_out: tuple[Relaxation, ...] = ()  # when nothing fits: the fewest of the pod's own constraints to give up
    notes: tuple[str, ...] = ()


def choice_for(asks: PodAsks, shelf: Shelf) -> Choice:
    """The machine for a pod that asks for so much, from what ``shelf`` has."""
    candidates = _candidates(asks, shelf)
    best = _cheapest(asks, candidates)
    next_ones, nearly = alternatives([asks], best, candidates)
    return Choice(
        best=best,
        offerings=len(candidates.all),
        types=candidates.matching_types,
        rejected=candidates.rejections(),
        runners_up=next_ones,
        too_small=nearly,
        what_if=tuple(_what_if(asks, shelf, best)),
        ways_out=_ways_out(asks, shelf) if best is None else (),
        notes=candidates.notes,
    )


def _candidates(asks: PodAsks, shelf: Shelf) -> Candidates:
    states_terms = asks.wishes.terms is not None and shelf.template.spec.strategy == "thresholds"
    return shelf.candidates(asks.wishes, any_terms=states_terms)


def _cheapest(asks: PodAsks, candidates: Candidates) -> Candidate | None:
    return next((each for stage in candidates.stages for each in stage if fits(asks, each)), None)


def _what_if(asks: PodAsks, shelf: Shelf, best: Candidate | None) -> Iterator[WhatIf]:
    """Those constraints that cost something, what costs most first."""
    found = []
    for constraint, freer_asks, freer_shelf in _with_one_less(asks, shelf):
        other = _cheapest(freer_asks, _candidates(freer_asks, freer_shelf))
        if other is None or (best is not None and other.price_usd_per_hour >= best.price_usd_per_hour):
            continue
        saving = best.price_usd_per_hour - other.price_usd_per_hour if best is not None else None
        found.append(WhatIf(constraint, other.offering.instance_type, other.price_usd_per_hour, saving))
    yield from sorted(found, key=lambda each: (-(each.saving_usd_per_hour or 0.0), each.constraint))


def _ways_out(asks: PodAsks, shelf: Shelf) -> tuple[Relaxation, ...]:
    def offer(wishes: Wishes) -> Sequence[Candidate]:
        return _candidates(replace(asks, wishes=wishes), shelf).all

    return ways_out_of(asks, ClusterState(), offer, shelf.catalog)


def _with_one_less(asks: PodAsks, shelf: Shelf) -> Iterator[tuple[str, PodAsks, Shelf]]:
    for field in fields(Wishes):
        unset = getattr(NO_WISHES, field.name)
        if getattr(asks.wishes, field.name) != unset:
            asked = asked_of_nodes(replace(NO_WISHES, **{field.name: getattr(asks.wishes, field.name)}), shelf.catalog)
            freer = replace(
                asks,
                requirements=without_asked(asks.requirements, asked),
                wishes=replace(asks.wishes, **{field.name: unset}),
            )
            yield f"annotation {ANNOTATION_OF[field.name]}", freer, shelf
    rules = asks.requirements.node_rules
    for requirement in rules.selector.requirements:
        others = LabelSelector(tuple(each for each in rules.selector.requirements if each != requirement))
        yield f"nodeSelector {requirement}", _under(asks, selector=others), shelf
    if rules.required is not None:
        yield "required node affinity", _under(asks, required=None), shelf
    for name in Constraints.__struct_fields__:
        constraints = shelf.template.spec.constraints
        freer_constraints = _unset(constraints, name)
        if name not in _NEVER_GIVEN_UP and freer_constraints != constraints:
            spec = msgspec.structs.replace(shelf.template.spec, constraints=freer_constraints)
            template = msgspec.structs.replace(shelf.template, spec=spec)
            yield f"constraints.{_camel(name)}", asks, replace(shelf, template=template)


def _under(asks: PodAsks, **rules: object) -> PodAsks:
    freer = replace(asks.requirements.node_rules, **rules)  # type: ignore[arg-type]
    return replace(asks, requirements=replace(asks.requirements, node_rules=freer))


def _unset(constraints: Constraints, name: str) -> Constraints:
    return msgspec.structs.replace(constraints, **{name: getattr(Constraints(), name)})


def _camel(name: str) -> str:
    return dict(zip(Constraints.__struct_fields__, Constraints.__struct_encode_fields__, strict=True))[name]


def alternatives(
    held: Sequence[PodAsks], chosen: Candidate | None, candidates: Candidates
) -> tuple[tuple[RunnerUp, ...], tuple[RunnerUp, ...]]:
    """The next by price that would have held the same pods, and of the cheaper ones those that nearly did."""
    needs = _sum_of(held)
    rules = {asks.requirements.node_rules for asks in held}
    next_ones: list[RunnerUp] = []
    nearly: list[tuple[float, float, RunnerUp]] = []
    for candidate in _one_of_each_kind(candidates):
        if chosen is not None and candidate.offering[::2] == chosen.offering[::2]:
            continue
        if any(reject_by_rules(each, candidate.node) for each in rules):
            continue
        short = _shortfalls(needs, candidate)
        price = candidate.price_usd_per_hour
        if short and (chosen is None or price <= chosen.price_usd_per_hour):
            nearly.append((max(share for share, _ in short), -price, _runner_up(candidate, _short_words(short))))
        elif not short and chosen is not None:
            next_ones.append(_runner_up(candidate, _why_lost(candidate, chosen)))
            if len(next_ones) == _RUNNERS_UP:
                break
    closest = sorted(nearly, key=lambda each: (*each[:2], each[2].instance_type))
    return tuple(next_ones), tuple(each for _, _, each in islice(closest, _TOO_SMALL))


def _one_of_each_kind(candidates: Candidates) -> list[Candidate]:
    """The cheapest offering of each type and terms, by price."""
    return sorted((min(kind, key=by_price) for stage in candidates.kinds for kind in stage), key=by_price)


def _sum_of(held: Sequence[PodAsks]) -> dict[str, int]:
    total: dict[str, int] = {}
    for asks in held:
        for resource, amount in asks.requirements.requests:
            total[resource] = total.get(resource, 0) + amount
    return total


def _shortfalls(needs: Mapping[str, int], candidate: Candidate) -> list[tuple[float, str]]:
    """What the machine lacks, the worst first: as a share of what is needed, and in words."""
    free = candidate.node.allocatable
    short = [
        (
            (amount - free.get(resource, 0)) / amount,
            f"{_words(resource, free.get(resource, 0))} of {_words(resource, amount)} {resource}",
        )
        for resource, amount in sorted(needs.items())
        if amount > free.get(resource, 0)
    ]
    return sorted(short, key=lambda each: -each[0])


def _words(resource: str, amount: int) -> str:
    match resource:
        case "cpu":
            return f"{amount / 1000:g}"
        case "memory":
            return f"{round(amount / GIBIBYTE, 2):g}Gi"
        case _:
            return format_amount(resource, amount)


def _short_words(short: Sequence[tuple[float, str]]) -> str:
    return "leaves " + ", ".join(words for _, words in short)


def _why_lost(candidate: Candidate, chosen: Candidate) -> str:
    price, best = candidate.price_usd_per_hour, chosen.price_usd_per_hour
    if math.isclose(price, best, rel_tol=1e-9):
        return "costs the same"
    if price < best:
        return f"{1 - price / best:.0%} cheaper, and held back by a rule about other pods"
    return f"{price / best - 1:.{0 if price / best > 1.01 else 2}%} dearer"


def _runner_up(candidate: Candidate, reason: str) -> RunnerUp:
    name, _, capacity_type = candidate.offering
    return RunnerUp(name, capacity_type, candidate.price_usd_per_hour, reason)
