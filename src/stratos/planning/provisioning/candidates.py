"""What a template may buy: its constraints held against all that the cloud sells, each offering as the node it makes.

Of every type that will not do, the first rule that it breaks is kept, by the name a user finds in the manifest, so that
``explain`` and ``estimate`` can tell. Which of the candidates is bought is for `packing`; what of them is left after
back-offs and limits for the planner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from stratos.apis.nodetemplate import NodeTemplate
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.planning.packing.problem import Candidate, OfferingName
from stratos.planning.provisioning.annotations import NO_WISHES, Wishes
from stratos.planning.provisioning.constraints import OfferSieve, TypeSieve, unknown_gpus
from stratos.planning.provisioning.draft import NodeDraft
from stratos.planning.scheduling.daemons import Daemons
from stratos.snapshot.provisioning import LaunchGround


@dataclass(frozen=True)  # without slots: what is asked again and again is worked out once
class Candidates:
    """The offerings that will do, and why the rest will not.

    ``stages`` holds all candidates, each once: those of a later stage are for pods that no earlier one could take
    (lower tiers of priority; on-demand machines that stand in for spot).
    """

    stages: tuple[tuple[Candidate, ...], ...]  # each by price
    types: Mapping[str, InstanceType]  # of the candidates
    rejected: Mapping[str, str] = field(default_factory=dict)  # instance type → the rule that ruled it out
    notes: tuple[str, ...] = ()  # what looks like a mistake in the constraints

    @cached_property
    def all(self) -> tuple[Candidate, ...]:
        return tuple(candidate for stage in self.stages for candidate in stage)

    @cached_property
    def kinds(self) -> tuple[list[list[Candidate]], ...]:
        """Of each stage, see `kinds`."""
        return tuple(kinds(stage) for stage in self.stages)

    @property
    def matching_types(self) -> int:
        return len(self.types)

    def rejections(self) -> dict[str, int]:
        """How many types each rule ruled out, the busiest rule first."""
        counted = Counter(self.rejected.values())
        return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))

    def narrowed(self, wishes: Wishes) -> Candidates:
        """What is left for a pod with such wishes."""
        if wishes == NO_WISHES:
            return self
        refused = {name: rule for name, type_ in self.types.items() if (rule := wishes.refuses(type_))}
        left = self.without(
            refused, lambda each: wishes.refuses_offer(each.offering.capacity_type, each.price_usd_per_hour)
        )
        return replace(left, notes=(*self.notes, *unknown_gpus(self.types, wishes.gpu_skus)))

    def without(self, refused: Mapping[str, str], refuses: Callable[[Candidate], str] = lambda _: "") -> Candidates:
        """What is left without some types, and without some offers; both say by what rule."""
        lost = dict(refused)
        stages = []
        for stage in self.stages:
            kept = []
            for candidate in stage:
                name = candidate.offering.instance_type
                if name in refused:
                    continue
                rule = refuses(candidate)
                if rule:
                    lost[name] = rule
                else:
                    kept.append(candidate)
            stages.append(tuple(kept))
        left = {candidate.offering.instance_type for stage in stages for candidate in stage}
        return Candidates(
            stages=tuple(stage for stage in stages if stage),
            types={name: type_ for name, type_ in self.types.items() if name in left},
            rejected={**self.rejected, **{name: rule for name, rule in lost.items() if name not in left}},
            notes=self.notes,
        )


def candidates_of(
    template: NodeTemplate,
    catalog: Catalog,
    ground: LaunchGround,
    daemons: Daemons = (),
    *,
    any_terms: bool = False,
) -> Candidates:
    """All that ``template`` may buy. Order of the catalog makes no difference.

    ``any_terms`` leaves the choice between spot and on-demand to the pods' annotations, which then decide alone.
    Raises `Invalid` for a malformed regular expression; `validation.check_template` finds that and more beforehand.
    """
    return _answer(_Question(template, catalog, ground, daemons, any_terms))


class _Question:
    """All that the answer depends on. The catalog, which is large and never changes, is compared by identity."""

    __slots__ = ("any_terms", "catalog", "daemons", "ground", "template")

    def __init__(
        self, template: NodeTemplate, catalog: Catalog, ground: LaunchGround, daemons: Daemons, any_terms: bool
    ) -> None:
        self.template = template
        self.catalog = catalog
        self.ground = ground
        self.daemons = daemons
        self.any_terms = any_terms

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Question)
            and self.catalog is other.catalog
            and self.any_terms == other.any_terms
            and self.template.metadata.name == other.template.metadata.name
            and self.template.spec == other.template.spec
            and self.ground == other.ground
            and self.daemons == other.daemons
        )

    def __hash__(self) -> int:
        return hash((id(self.catalog), self.template.metadata.name, self.any_terms))


@lru_cache(maxsize=32)
def _answer(asked: _Question) -> Candidates:
    # Thousands of offerings take tens of milliseconds, and every plan asks the same again until somebody edits.
    template, catalog = asked.template, asked.catalog
    spec = template.spec
    sieve = TypeSieve(spec.constraints, catalog)
    draft = NodeDraft(template, catalog, asked.ground, asked.daemons)
    offers = OfferSieve(spec, catalog, asked.ground.zones, draft, any_terms=asked.any_terms)
    rejected: dict[str, str] = {}
    types: dict[str, InstanceType] = {}
    found: dict[int, list[Candidate]] = {}
    for name in sorted(catalog.instance_types):
        type_ = catalog.instance_types[name]
        rule = sieve.refuses(type_)
        if not rule:
            for stage, candidate in offers.of(type_):
                found.setdefault(stage, []).append(candidate)
                types[name] = type_
            rule = "" if name in types else offers.last_rule
        if rule:
            rejected[name] = rule
    return Candidates(
        stages=tuple(tuple(sorted(found[stage], key=by_price)) for stage in sorted(found)),
        types=types,
        rejected=rejected,
        notes=sieve.notes(),
    )


def by_price(candidate: Candidate) -> tuple[float, OfferingName]:
    return candidate.price_usd_per_hour, candidate.offering


def kinds(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """A type under one kind of terms, in all zones; the cheapest first, as the candidates come."""
    found: dict[tuple[str, CapacityType], list[Candidate]] = {}
    for candidate in candidates:
        found.setdefault((candidate.offering.instance_type, candidate.offering.capacity_type), []).append(candidate)
    return sorted(found.values(), key=lambda kind: by_price(kind[0]))
