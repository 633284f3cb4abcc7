"""Find the machines for a packing problem: fill greedily, settle by the rules, say what it costs at least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.bounds import aggregate_bound
from stratos.planning.packing.classes import PodClass, Scale, classes_of, in_order
from stratos.planning.packing.counting import Counting, topology_keys
from stratos.planning.packing.domains import Domains
from stratos.planning.packing.filling import Filling, Place, shrink_machines
from stratos.planning.packing.improving import rearrange
from stratos.planning.packing.lots import make_lots
from stratos.planning.packing.patterns.solve import solve_patterns
from stratos.planning.packing.preferences import versions_of
from stratos.planning.packing.problem import Packing, PackingProblem, PlannedMachine
from stratos.planning.packing.reasons import explain_left_over
from stratos.planning.packing.settling import Settling
from stratos.planning.packing.sites import Sites
from stratos.planning.packing.stating import Statement, Stating, hardness

AMOUNTS, PATTERNS = "aggregate resources", "patterns"  # how a bound was proved
GOOD_ENOUGH = 0.003  # a gap below which further work is not worth anybody's time
NEEDS_SHARE = (
    0.2  # of the allowance: what pods need at least only has to be proved, and to say which machines to ask about
)
ALLOWANCE_SECONDS = 8.0
"""What a search for a better answer may take on a machine like ours, where nobody says."""

MOST_SETTLINGS = 3  # then rules chase each other round, and what was bound last stands
SAME = 1 - 1e-6  # bounds that differ by less differ in rounding alone
# Classes × kinds × resources: past that, writing the question down takes longer than one may spend on its answer.
MOST_WORK_A_SECOND = 1_000_000  # of the allowance …
ALWAYS_WORTH_IT = 2_000_000  # … and however small that is


class Effort(StrEnum):
    """How hard to look for a cheaper answer."""

    FAST = "fast"  # the first one, with a bound by amounts
    BEST = "best"  # improve it by patterns, with the bound that they prove


def pack(
    problem: PackingProblem, *, effort: Effort = Effort.BEST, allowance_seconds: float = ALLOWANCE_SECONDS
) -> Packing:
    """Where each pod goes, and what to buy for those that fit nowhere. The same for any order of the input.

    ``allowance_seconds`` is what the solver may spend on a better answer.
    """
    return _Packer(problem).pack(effort, allowance_seconds)


def _most_work(allowance_seconds: float) -> float:
    return max(ALWAYS_WORTH_IT, MOST_WORK_A_SECOND * allowance_seconds)


@dataclass(slots=True)
class _Attempt:
    """An answer that went through: every pod in a bin, or left over."""

    settling: Settling
    left_over: list[PodClass]

    @property
    def bins(self) -> Bins:
        return self.settling.bins

    @property
    def places(self) -> list[Place]:
        return self.settling.places

    @property
    def cost_usd_per_hour(self) -> float:
        used = {place.bin for place in self.places if self.bins.is_machine(place.bin)}
        return sum(self.bins.machine(index).price_usd_per_hour for index in sorted(used))

    @property
    def rank(self) -> tuple[int, float]:
        return sum(len(each.keys) for each in self.left_over), round(self.cost_usd_per_hour, 9)


class _Packer:
    """A problem with what can be worked out before the first pod is placed."""

    def __init__(self, problem: PackingProblem) -> None:
        self._problem = problem
        self._classes = classes_of(problem.pods)
        self._versions = {
            each.requirements: versions_of(each.requirements) if problem.respects_preferences else (each.requirements,)
            for each in self._classes
        }
        requirements = list(dict.fromkeys(version for versions in self._versions.values() for version in versions))
        self._scale = Scale(requirements)
        self._wanted = {each: self._scale.wanted(each) for each in requirements}
        self._sites = Sites(requirements)
        there = [pod.requirements for node in problem.existing for pod in node.pods]
        self._keys = topology_keys(requirements + there)

    def pack(self, effort: Effort, allowance_seconds: float) -> Packing:
        first, stating = self._fill()
        if not first.cost_usd_per_hour:
            return self._answer(first, 0.0, "")
        needs = stating.needs(first.places)
        bound = aggregate_bound(needs.demand)
        if effort is Effort.FAST or first.cost_usd_per_hour <= bound * (1 + GOOD_ENOUGH):
            return self._answer(first, bound, AMOUNTS)
        if hardness(needs.demand) > _most_work(allowance_seconds):
            return self._answer(first, bound, AMOUNTS, "this is the first answer: too many kinds of pods for patterns")
        return self._improve(first, stating, needs, bound, allowance_seconds)

    def _fill(self) -> tuple[_Attempt, Stating]:
        bins = self._empty_bins()
        domains = Domains(bins, self._keys)
        counting = Counting(bins, self._sites, domains, self._wanted, self._problem.namespace_labels)
        filling = Filling(bins, self._sites, domains, counting, self._wanted, self._versions)
        ranks: dict[int, list[PodClass]] = {}
        for each in self._classes:
            ranks.setdefault(counting.company(self._versions[each.requirements][0]).rank, []).append(each)
        pieces = [piece for _, rank in sorted(ranks.items()) for piece in in_order(rank, self._wanted)]
        left_over = filling.fill(pieces)
        shrink_machines(bins)
        stating = Stating(bins, self._sites, domains, counting, self._wanted, len(self._scale.resources))
        return self._settle(bins, filling.places, left_over), stating

    def _improve(
        self, first: _Attempt, stating: Stating, needs: Statement, bound: float, allowance_seconds: float
    ) -> Packing:
        """Ask what the pods need at least; where rules say more than that, ask again with the rules."""
        splits = stating.splits(first.places)
        share = allowance_seconds * (NEEDS_SHARE if splits else 1.0)
        proved = found = solve_patterns(needs.demand, needs.start, allowance_seconds=share)
        proof = PATTERNS if proved.lower_bound_usd_per_hour >= bound * SAME else AMOUNTS
        bound = max(bound, proved.lower_bound_usd_per_hour)
        question = needs
        if splits:
            question = stating.question(first.places, shapes=proved.machines)
            if not question.start:
                return self._answer(first, bound, proof)
            if hardness(question.demand) > _most_work(allowance_seconds):
                report = "this is the first answer: rules about zones and hosts split the pods into too many kinds"
                return self._answer(first, bound, proof, report)
            found = solve_patterns(question.demand, question.start, allowance_seconds=allowance_seconds - share)
        fresh = self._empty_bins()
        arranged = rearrange(first.places, first.bins, fresh, question, found.machines, self._wanted)
        improved = self._settle(fresh, arranged, first.left_over)
        return self._answer(min(first, improved, key=lambda attempt: attempt.rank), bound, proof)

    def _empty_bins(self) -> Bins:
        lots = make_lots(self._problem.candidates, self._keys, self._scale, self._sites)
        return Bins(self._problem.existing, lots, self._scale, self._sites)

    def _settle(self, bins: Bins, places: Sequence[Place], left_over: Sequence[PodClass]) -> _Attempt:
        """Bind all, and find places for the rest. A machine more may be one more domain, so then all is bound again."""
        for _ in range(MOST_SETTLINGS):
            settling = Settling(self._problem, bins, self._sites, self._scale)
            refused = settling.bind(places)
            machines = bins.size
            left_over = settling.place_left_over([*left_over, *settling.release(refused, self._wanted)])
            if bins.size == machines:
                break
            places = settling.places
        return _Attempt(settling, list(left_over))

    def _answer(self, attempt: _Attempt, bound: float, proof: str, *report: str) -> Packing:
        assignments: dict[str, str] = {}
        pods: dict[int, list[str]] = {}
        for place in attempt.places:
            if attempt.bins.is_machine(place.bin):
                pods.setdefault(place.bin, []).append(place.pod)
            else:
                assignments[place.pod] = attempt.bins.existing[place.bin].description.name
        machines = (
            PlannedMachine(attempt.bins.machine(index), tuple(sorted(keys))) for index, keys in sorted(pods.items())
        )
        return Packing(
            assignments=dict(sorted(assignments.items())),
            machines=tuple(machines),
            unplaced=tuple(explain_left_over(attempt.settling, self._sites, self._scale, attempt.left_over)),
            lower_bound_usd_per_hour=min(bound, attempt.cost_usd_per_hour),
            bound=proof,
            report=report,
            order=tuple(place.pod for place in attempt.places),
        )
