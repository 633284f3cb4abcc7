"""What pools tell each other: enough to agree who serves a pod, and no more than is true."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from stratos.apis import labels
from stratos.apis.daemonset import DaemonSet, DaemonSetSpec
from stratos.apis.meta import ObjectMeta
from stratos.apis.nodeclaim import Decision, NodeState, Wanted
from stratos.planning.pools.matching import PoolChoice, PoolOffer, Speed
from stratos.planning.pools.offers import bare_offer_of, offer_of, pool_named_by
from stratos.planning.scheduling.requirements import requirements_of
from stratos.snapshot.pool import PoolSnapshot
from stratos.testing.pool_builders import NOW, a_look, a_machine, a_pod, a_pool, a_shape

POD = a_pod(cpu="3")
ASKS = requirements_of(POD)


def booting(*pods: str) -> Any:
    decision = Decision(reason="ScaleUp", message="", at=NOW - timedelta(seconds=3), pods=pods)
    return a_machine("up", state=NodeState.RUNNING, wanted=Wanted.RUNNING, ready_at=None, decision=decision)


def offer(look: PoolSnapshot) -> PoolOffer:
    return offer_of(look, {"default/first": requirements_of(a_pod("first", cpu="3"))})


def test_room_under_way_is_offered_once_it_is_known_what_it_was_promised_for() -> None:
    """Two pods of three cores do not share four, however free the node still looks."""
    free = offer(a_look(a_pool(size=1), booting()))
    taken = offer(a_look(a_pool(size=1), booting("default/first")))

    assert free.speed(ASKS) is Speed.AT_HAND
    assert taken.speed(ASKS) is Speed.NOTHING_LEFT
    assert taken.promised == {"default/first"}


def test_a_pool_that_has_nothing_left_hands_over_to_the_next() -> None:
    """A pod does not wait at a full pool while another stands by."""
    full = offer(a_look(a_pool("a-full", size=1), booting("default/first")))
    spare = offer(a_look(a_pool("b-spare"), a_machine("s")))

    assert PoolChoice([full, spare]).choose("default/second", ASKS).pool == "b-spare"
    assert PoolChoice([full, spare]).choose("default/first", ASKS).pool == "a-full"


def test_what_daemon_sets_take_is_not_offered() -> None:
    """A pod that fits only an empty node would wake machines for ever."""
    container = {"name": "main", "resources": {"requests": {"cpu": "1500m"}}}
    daemon_set = DaemonSet(
        metadata=ObjectMeta(name="agent", namespace="kube-system"),
        spec=DaemonSetSpec(template={"metadata": {}, "spec": {"containers": [container]}}),
    )
    bare = offer(a_look(a_pool(), a_machine("s")))
    loaded = offer(a_look(a_pool(), a_machine("s"), daemon_sets=(daemon_set,)))

    assert PoolChoice([bare]).choose("default/web", ASKS).pool == "ci"
    assert PoolChoice([loaded]).choose("default/web", ASKS).pool is None


def test_zones_without_a_node_are_offered_as_far_as_the_class_reaches() -> None:
    """The first pod for a zone must not be turned away because nobody has been there yet."""
    made = offer(a_look(a_pool(), a_machine("s"), shape=a_shape(zones=("a", "b"))))

    assert [node.labels[labels.ZONE] for node in made.nodes] == ["a", "b"]
    assert all(node.labels[labels.POOL] == "ci" for node in made.nodes)


def test_a_pool_that_cannot_serve_a_pod_which_names_another_says_so_without_counting_what_it_has() -> None:
    """With many pools of many machines, counting for nothing is what takes the time."""
    named = a_pod("first", cpu="3", selector={labels.POOL: "a"})
    asks = requirements_of(named)
    looks = [a_look(a_pool(name), a_machine(f"{name}-1", pool=name)) for name in ("a", "b")]
    every, bare = offer_of(looks[1], {"default/first": asks}), bare_offer_of(looks[1])

    mine = offer_of(looks[0], {"default/first": asks})

    assert pool_named_by(named) == "a"
    assert PoolChoice([mine, bare]).choose("default/first", asks) == PoolChoice([mine, every]).choose(
        "default/first", asks
    )
    assert PoolChoice([mine, bare]).choose("default/first", asks).pool == "a"
