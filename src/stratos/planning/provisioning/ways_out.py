"""What pods that got no machine would have to give up, their annotations about machines included.

An annotation narrows what is offered before pods are held against it, so each is given up by looking at the offer that
would be there without it. Only machines to buy are told: what is free elsewhere has been tried by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import combinations
from typing import Any

from stratos.catalog.catalog import Catalog
from stratos.planning.packing.problem import Candidate, Relaxation, Unplaced
from stratos.planning.packing.relaxing import MOST_CONSTRAINTS, MOST_WAYS, WaysOut
from stratos.planning.provisioning.annotations import ANNOTATION_OF, Wishes
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.provisioning.machine_labels import asked_of_nodes, without_asked
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.requirements import PodRequirements

Offer = Callable[[Wishes], Sequence[Candidate]]
"""What may be bought for pods with such wishes."""


def with_ways_out(
    unplaced: Sequence[Unplaced], pods: Sequence[PodAsks], state: ClusterState, offer: Offer, catalog: Catalog
) -> tuple[Unplaced, ...]:
    """``unplaced`` of ``pods``, which all wish for the same. ``state`` is the cluster with all that was decided."""
    if not unplaced:
        return ()
    asked = {pod.key: pod.requirements for pod in pods}
    kinds = list(dict.fromkeys(asked[each.pod] for each in unplaced))
    found = _ways_out(kinds, pods[0].wishes, state, offer, catalog)
    return tuple(replace(each, relaxations=found[asked[each.pod]]) for each in unplaced)


def ways_out_of(pod: PodAsks, state: ClusterState, offer: Offer, catalog: Catalog) -> tuple[Relaxation, ...]:
    """The same for one pod."""
    return _ways_out([pod.requirements], pod.wishes, state, offer, catalog)[pod.requirements]


def _ways_out(
    kinds: Sequence[PodRequirements], wishes: Wishes, state: ClusterState, offer: Offer, catalog: Catalog
) -> dict[PodRequirements, tuple[Relaxation, ...]]:
    found: dict[PodRequirements, list[Relaxation]] = {kind: [] for kind in kinds}
    for given_up, left in _fewer_wishes(wishes):
        words = tuple(f"annotation {ANNOTATION_OF[name]}" for name in given_up)
        waiting = [kind for kind in kinds if len(words) <= _size(found[kind])]
        if not waiting:
            break
        # The webhook may have said the same once more.
        asked = asked_of_nodes(Wishes(**{name: getattr(wishes, name) for name in given_up}), catalog)
        freed = {kind: without_asked(kind, asked) for kind in waiting}
        ways_out = WaysOut(state, offer(left), tuple(freed.values()))
        for kind in waiting:
            for way in ways_out.of(freed[kind]):
                if words or way.constraints:  # nothing to give up: what holds it back is no constraint of its own
                    found[kind].append(replace(way, constraints=(*words, *way.constraints)))
    return {kind: _smallest(ways) for kind, ways in found.items()}


def _size(ways: Sequence[Relaxation]) -> int:
    return min((len(way.constraints) for way in ways), default=MOST_CONSTRAINTS)


def _smallest(ways: Sequence[Relaxation]) -> tuple[Relaxation, ...]:
    smallest = [way for way in ways if len(way.constraints) == _size(ways)]
    return tuple(sorted(smallest, key=lambda way: (-way.kept, way.price_usd_per_hour, way.constraints))[:MOST_WAYS])


def _fewer_wishes(wishes: Wishes) -> Iterator[tuple[tuple[str, ...], Wishes]]:
    """All wishes, then without each, each two, …: with the fields of what is given up."""
    defaults: dict[str, Any] = {each.name: each.default for each in fields(Wishes)}
    stated = [name for name in ANNOTATION_OF if getattr(wishes, name) != defaults[name]]
    for number in range(min(len(stated), MOST_CONSTRAINTS) + 1):
        for some in combinations(stated, number):
            yield some, replace(wishes, **{name: defaults[name] for name in some})
