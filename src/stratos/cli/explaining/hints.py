"""One thing to change, so that a pod which no pool can serve would be served.

Each hint is found by asking the pools again without one of the pod's wishes: if one of them would do then, that wish is
all that stands in the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stratos.apis.pod import Toleration
from stratos.base.selectors import LabelSelector
from stratos.planning.pools.matching import PoolOffer, why_not
from stratos.planning.scheduling.requirements import PodRequirements
from stratos.snapshot.pool import PoolSnapshot

_TOLERATES_ALL = Toleration(operator="Exists")


def hint_for_unserved(asks: PodRequirements, offers: Sequence[PoolOffer]) -> str:
    """For a pod that no pool matches."""
    if not offers:
        return "create a NodePool whose template carries the labels that the pod selects"
    for relaxed, advice in _relaxations(asks):
        for offer in offers:
            if offer.nodes and not why_not(relaxed, offer):
                return f"{advice}; NodePool {offer.pool} would serve it then"
    return "more than one wish of the pod stands against every pool: start with the pool that should serve it"


def hint_for_left_waiting(look: PoolSnapshot) -> str:
    """For a pod that a pool matches but has no machine for."""
    name, spec = look.pool.metadata.name, look.pool.spec
    if len(look.machines) >= spec.pool_size:
        return (
            f"raise spec.poolSize of NodePool {name}, now {spec.pool_size}, or wait until one of its machines is free"
        )
    if look.problem is not None:
        return f"mend what keeps NodePool {name} from launching: {look.problem.message}"
    return ""


def _relaxations(asks: PodRequirements) -> Iterator[tuple[PodRequirements, str]]:
    """The pod with one wish less, and what to do about that wish."""
    rules = asks.node_rules
    for requirement in rules.selector.requirements:
        others = tuple(other for other in rules.selector.requirements if other != requirement)
        relaxed = replace(asks, node_rules=replace(rules, selector=LabelSelector(others)))
        yield relaxed, f"add {requirement} to the pool's spec.template.labels or take it off the pod's nodeSelector"
    tolerant = replace(asks, node_rules=replace(rules, tolerations=(_TOLERATES_ALL,)))
    yield tolerant, "give the pod a toleration for the pool's taint, or take the taint off the pool"
    if rules.required is not None:
        free = replace(asks, node_rules=replace(rules, required=None))
        yield free, "widen the pod's required node affinity to the labels of the pool's nodes"
    for resource, _ in asks.requests:
        less = replace(asks, requests=tuple(pair for pair in asks.requests if pair[0] != resource))
        yield less, f"ask for less {resource}, or give the pool an instance type that has more of it"
