"""A pool's manifest need not repeat the images of the workloads that select it: their machines have them on disk."""

from stratos.apis.pod import (
    Affinity,
    Container,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    PodSpec,
    SelectorRequirement,
)
from stratos.planning.pools.images import images_of_workloads

POOL = {"stratos.sh/pool": "ci", "disk": "fast"}


def a_workload(image: str, **selector: str) -> PodSpec:
    return PodSpec(containers=(Container(image=image),), node_selector=selector or None)


def with_affinity(image: str, *alternatives: tuple[str, str]) -> PodSpec:
    terms = tuple(
        NodeSelectorTerm(match_expressions=(SelectorRequirement(key=key, operator="In", values=(value,)),))
        for key, value in alternatives
    )
    required = NodeSelector(node_selector_terms=terms)
    return PodSpec(
        containers=(Container(image=image),), affinity=Affinity(node_affinity=NodeAffinity(required=required))
    )


def test_images_of_workloads_that_select_the_pool_are_worth_having() -> None:
    workloads = [
        a_workload("b", **{"stratos.sh/pool": "ci"}),
        a_workload("a", disk="fast"),
        a_workload("a", disk="fast"),
    ]
    assert images_of_workloads(POOL, workloads) == ("a", "b")


def test_workloads_that_ask_for_nothing_of_the_pool_bring_no_images() -> None:
    """Else every pool would pull every image of the cluster."""
    strangers = [a_workload("any"), a_workload("zone", **{"topology.kubernetes.io/zone": "a"})]
    assert images_of_workloads(POOL, strangers) == ()


def test_a_workload_of_another_pool_brings_none() -> None:
    others = [
        a_workload("x", **{"stratos.sh/pool": "gpu"}),
        a_workload("y", **{"stratos.sh/pool": "ci", "disk": "slow"}),
        with_affinity("z", ("disk", "slow")),
    ]
    assert images_of_workloads(POOL, others) == ()


def test_required_affinity_selects_a_pool_too_by_any_alternative() -> None:
    assert images_of_workloads(POOL, [with_affinity("a", ("disk", "slow"), ("stratos.sh/pool", "ci"))]) == ("a",)


def test_an_alternative_that_does_not_speak_of_the_pool_is_no_wish_for_it() -> None:
    assert images_of_workloads(POOL, [with_affinity("a", ("gpu", "yes"), ("stratos.sh/pool", "ci"))]) == ()
