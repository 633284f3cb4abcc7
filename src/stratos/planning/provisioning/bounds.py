"""What no choice of machines can undercut, for pods that were packed in several groups.

Each group was packed beside the others, and under thresholds over one kind of machine at a time: what was proved there
holds for the group, or for the kind, and cannot be added up. What all the pods want in sum, held against everything
that any of them could have had, is true of every choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stratos.planning.packing.bounds import aggregate_bound
from stratos.planning.packing.demand import Demand
from stratos.planning.packing.problem import Candidate
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.provisioning.strategies import OPTIMAL, Group


def lower_bound_of(groups: Sequence[Group]) -> float:
    """US dollars per hour that machines cost at least which hold the pods that got new ones."""
    proved, pods, kinds = [0.0], list[PodAsks](), dict[tuple[str, str, str], list[Candidate]]()
    for group in groups:
        placed = {key for machine in group.packing.machines for key in machine.pods}
        pods += [pod for pod in group.pods if pod.key in placed]
        if placed and group.strategy == OPTIMAL:
            proved.append(group.packing.lower_bound_usd_per_hour)
        for stage in group.candidates.kinds if placed else ():
            for kind in stage:
                name, _, terms = kind[0].offering
                kinds[kind[0].template, name, terms] = kind
    if pods and len(groups) > len(proved) - 1:
        proved.append(_by_amounts(pods, list(kinds.values())))
    return max(proved)


def _by_amounts(pods: Sequence[PodAsks], kinds: Sequence[Sequence[Candidate]]) -> float:
    resources = sorted({name for pod in pods for name, _ in pod.requirements.requests})
    wanted = [sum(pod.amount(name) for pod in pods) for name in resources]
    # Of each kind the cheapest zone, and the most room in any: that proves a little less, and is true of all.
    free = [[max(each.node.allocatable.get(name, 0) for each in kind) for name in resources] for kind in kinds]
    return aggregate_bound(
        Demand(
            requests=np.array([wanted], dtype=np.int64),
            pods=np.ones(1, dtype=np.int64),
            capacity=np.array(free, dtype=np.int64),
            price_usd_per_hour=np.array([kind[0].price_usd_per_hour for kind in kinds]),
            allowed=np.ones((1, len(kinds)), dtype=np.bool_),
            most_per_machine=np.ones(1, dtype=np.int64),
            limit=np.full(len(kinds), -1, dtype=np.int64),
        )
    )
