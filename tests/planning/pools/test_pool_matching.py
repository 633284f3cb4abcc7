"""Which pool serves a pod: the scheduler's rules, and one winner."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from stratos.apis.node import Taint
from stratos.apis.pod import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    SelectorRequirement,
    Toleration,
)
from stratos.planning.pools.matching import PoolChoice, PoolOffer, Verdict
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.pool_builders import GIB, a_pod


def an_offer(
    pool: str = "ci",
    *,
    labels: dict[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
    at_hand: bool = True,
    price: float = 0.1,
    promised: tuple[str, ...] = (),
    cpu: int = 4000,
    certain: bool = False,
) -> PoolOffer:
    own = {"stratos.sh/pool": pool, **(labels or {})}
    node = NodeDescription(
        f"node-of-{pool}",
        labels={"kubernetes.io/os": "linux", **own},
        taints=taints,
        allocatable={"cpu": cpu, "memory": 16 * GIB, "pods": 110},
    )
    return PoolOffer(pool, (node,), frozenset(own), at_hand, True, (), price, frozenset(promised), certain)


def choose(pod: Pod, *offers: PoolOffer) -> Verdict:
    return PoolChoice(offers).choose(pod.metadata.key, requirements_of(pod))


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, True),
        ({"stratos.sh/pool": "ci"}, True),
        ({"stratos.sh/pool": "other"}, False),
        ({"team": "a"}, False),
        ({"kubernetes.io/os": "linux"}, True),
        ({"kubernetes.io/os": "windows"}, False),
        ({"node.kubernetes.io/unforeseen": "x"}, True),
        ({"topology.kubernetes.io/rack": "7"}, True),
        ({"example.com/unforeseen": "x"}, False),
    ],
)
def test_a14_a_node_selector_must_be_met_and_well_known_keys_may_be_unknown(
    selector: dict[str, str] | None, matches: bool
) -> None:
    """A machine woken for a pod that can never run on it is woken again and again."""
    assert (choose(a_pod(selector=selector), an_offer()).pool == "ci") is matches


def test_a14_what_nodes_that_exist_do_not_show_they_do_not_have() -> None:
    """Benefit of the doubt is for nodes that nobody has seen yet."""
    assert choose(a_pod(selector={"topology.kubernetes.io/rack": "7"}), an_offer(certain=True)).pool is None


@pytest.mark.parametrize(
    ("taint", "toleration", "matches"),
    [
        (Taint("gpu", "NoSchedule"), None, False),
        (Taint("gpu", "NoExecute"), None, False),
        (Taint("gpu", "PreferNoSchedule"), None, True),
        (Taint("gpu", "NoSchedule", "a"), Toleration(key="gpu", value="a"), True),
        (Taint("gpu", "NoSchedule", "a"), Toleration(key="gpu", value="b"), False),
        (Taint("gpu", "NoSchedule"), Toleration(key="gpu", operator="Exists", effect="NoExecute"), False),
        (Taint("gpu", "NoSchedule"), Toleration(operator="Exists"), True),
    ],
)
def test_a14_taints_are_judged_as_the_scheduler_judges_them(
    taint: Taint, toleration: Toleration | None, matches: bool
) -> None:
    """Effects count, and a preference forbids nothing."""
    pod = a_pod(tolerations=[toleration] if toleration else [])

    assert (choose(pod, an_offer(taints=(taint,))).pool == "ci") is matches


def test_required_node_affinity_is_evaluated() -> None:
    """What a pod requires by affinity is as binding as its selector."""

    def requiring(*values: str) -> Pod:
        term = NodeSelectorTerm(match_expressions=(SelectorRequirement("team", "In", values),))
        affinity = Affinity(node_affinity=NodeAffinity(required=NodeSelector((term,))))
        pod = a_pod()
        return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, affinity=affinity))

    assert choose(requiring("a", "b"), an_offer(labels={"team": "a"})).pool == "ci"
    assert choose(requiring("b"), an_offer(labels={"team": "a"})).pool is None


def test_a_pool_whose_machines_are_too_small_is_no_match() -> None:
    """It would win by price and never serve the pod."""
    verdict = choose(a_pod(cpu="6"), an_offer("small", price=0.1), an_offer("large", price=0.5, cpu=8000))

    assert verdict.pool == "large"
    assert verdict.report == ("pool small: the pod asks for 6 cpu, an empty node of it offers 4",)


@pytest.mark.parametrize(
    ("winner", "loser", "why"),
    [
        (an_offer("z", promised=("default/web",), at_hand=False), an_offer("a"), "under way for it"),
        (an_offer("z"), an_offer("a", at_hand=False), "serve it sooner"),
        (an_offer("z", labels={"team": "a"}), an_offer("a", certain=False), "more exactly"),
        (an_offer("z", price=0.1), an_offer("a", price=0.2), "costs less"),
        (an_offer("a"), an_offer("z"), "first by name"),
    ],
)
def test_a15_of_several_pools_that_match_one_acts_and_the_others_are_told_why(
    winner: PoolOffer, loser: PoolOffer, why: str
) -> None:
    """Two machines for one pod are one too many; each pool reaches the same verdict in whatever order it looks."""
    selector = {"team": "a"} if "team" in winner.own_labels else None
    if selector:
        loser = an_offer(loser.pool, labels={})
        loser = PoolOffer(loser.pool, _with_label(loser, "team", "a"), loser.own_labels, standing_by=True)
    verdicts = [choose(a_pod(selector=selector), *order) for order in permutations((winner, loser))]

    assert {verdict.pool for verdict in verdicts} == {winner.pool}
    assert all(why in verdict.report[0] for verdict in verdicts)


def _with_label(offer: PoolOffer, key: str, value: str) -> tuple[NodeDescription, ...]:
    """Nodes that carry a label which the pool's template does not speak of."""
    return tuple(
        NodeDescription(node.name, {**node.labels, key: value}, node.taints, allocatable=node.allocatable)
        for node in offer.nodes
    )
