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
from stratos.planning.provisioning.candidates import by_price
from stratos.planning.provisioning.strategies import OPTIMAL, Group


def lower_bound_of(groups: Sequence[Group]) -> float:
    """US dollars per hour that machines cost at least which hold the pods that got new ones."""
    buying = [group for group in groups if group.packing.machines]
    proved = [group.packing.lower_bound_usd_per_hour for group in buying if group.strategy == OPTIMAL]
    if len(buying) > len(proved) or len(buying) > 1:
        proved.append(_by_amounts(_pods_on_machines(buying), _kinds_for(buying)))
    return max(proved, default=0.0)


def _pods_on_machines(groups: Sequence[Group]) -> list[PodAsks]:
    placed = {key for group in groups for machine in group.packing.machines for key in machine.pods}
    return [pod for group in groups for pod in group.pods if pod.key in placed]


def _kinds_for(groups: Sequence[Group]) -> list[list[Candidate]]:
    """All kinds that any of the groups could have had; of those that several could, the cheapest."""
    kinds: dict[tuple[str, str, str], list[Candidate]] = {}
    for kind in (kind for group in groups for stage in group.candidates.kinds for kind in stage):
        name, _, terms = kind[0].offering
        key = (kind[0].template, name, terms)
        if key not in kinds or by_price(kind[0]) < by_price(kinds[key][0]):
            kinds[key] = kind
    return list(kinds.values())


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
