"""Find the machines for a packing problem: fill greedily, settle by the rules, say what it costs at least."""

from __future__ import annotations

from enum import StrEnum

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.bounds import aggregate_bound
from stratos.planning.packing.classes import PodClass, Scale, classes_of, in_order
from stratos.planning.packing.counting import Counting, topology_keys
from stratos.planning.packing.domains import Domains
from stratos.planning.packing.filling import Filling, Place, shrink_machines
from stratos.planning.packing.lots import make_lots
from stratos.planning.packing.problem import Packing, PackingProblem, PlannedMachine
from stratos.planning.packing.reasons import explain_left_over
from stratos.planning.packing.settling import Settling
from stratos.planning.packing.sites import Sites


class Effort(StrEnum):
    """How hard to look for a cheaper answer."""

    FAST = "fast"  # the first one, with a bound by amounts
    BEST = "best"  # improve it by patterns, with the bound that they prove


def pack(problem: PackingProblem, *, effort: Effort = Effort.BEST, allowance_seconds: float = 8.0) -> Packing:
    """Where each pod goes, and what to buy for those that fit nowhere. The same for any order of the input.

    ``allowance_seconds`` is what the solver may spend on a better answer.
    """
    classes = classes_of(problem.pods)
    requirements = [each.requirements for each in classes]
    scale = Scale(requirements)
    wanted = {each: scale.wanted(each) for each in requirements}
    sites = Sites(requirements)
    keys = topology_keys(requirements + [pod.requirements for node in problem.existing for pod in node.pods])
    lots = make_lots(problem.candidates, keys, scale, sites)
    bins = Bins(problem.existing, lots, scale, sites)
    domains = Domains(bins, keys)
    counting = Counting(bins, sites, domains, requirements, problem.namespace_labels)
    filling = Filling(bins, sites, domains, counting, wanted)
    ranks: dict[int, list[PodClass]] = {}
    for each in classes:
        ranks.setdefault(counting.company(each.requirements).rank, []).append(each)
    left_over = filling.fill([piece for _, rank in sorted(ranks.items()) for piece in in_order(rank, wanted)])
    shrink_machines(bins)
    settling = Settling(problem, bins, sites, scale)
    refused = settling.bind(filling.places)
    left_over = settling.place_left_over([*left_over, *settling.release(refused, wanted)])
    return _answer(problem, bins, settling.places, left_over)


def _answer(problem: PackingProblem, bins: Bins, places: list[Place], left_over: list[PodClass]) -> Packing:
    assignments: dict[str, str] = {}
    pods: dict[int, list[str]] = {}
    for place in places:
        if bins.is_machine(place.bin):
            pods.setdefault(place.bin, []).append(place.pod)
        else:
            assignments[place.pod] = bins.existing[place.bin].description.name
    machines = []
    for index, keys in sorted(pods.items()):
        lot = bins.lots[int(bins.lot[index])]
        machines.append(PlannedMachine(lot.candidates[int(bins.choice[index])], tuple(sorted(keys))))
    bought = [place.requirements for place in places if bins.is_machine(place.bin)]
    return Packing(
        assignments=dict(sorted(assignments.items())),
        machines=tuple(machines),
        unplaced=explain_left_over(problem, left_over),
        lower_bound_usd_per_hour=aggregate_bound(bought, problem.candidates),
        bound="aggregate resources",
        order=tuple(place.pod for place in places),
    )
