"""Dividing pods over zones: as evenly as there is room, and never further apart than the skew allows on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stratos.planning.packing.dividing import divide


def test_the_emptier_domains_catch_up_first() -> None:
    """Pods that are there already count: a zone that is behind gets the next ones."""
    assert divide(4, [3, 0, 1], [9, 9, 9], lowest_elsewhere=None, max_skew=1) == [0, 3, 1]


def test_a_domain_that_takes_no_pods_holds_the_others_back() -> None:
    """The scheduler counts it, full or not."""
    assert divide(9, [0, 0], [9, 9], lowest_elsewhere=0, max_skew=2) == [2, 2]


DOMAINS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=4)


@given(st.integers(0, 20), DOMAINS, st.none() | st.integers(0, 3), st.integers(1, 3))
def test_placed_where_there_are_fewest_no_pod_exceeds_the_skew(
    number: int, domains: list[tuple[int, int]], elsewhere: int | None, max_skew: int
) -> None:
    """The amounts are right only if there is an order in which each pod may be bound."""
    holds, room = [held for held, _ in domains], [space for _, space in domains]

    left = divide(number, holds, room, lowest_elsewhere=elsewhere, max_skew=max_skew)

    assert sum(left) <= number
    assert all(amount <= space for amount, space in zip(left, room, strict=True))
    while any(left):
        emptiest = min((index for index, amount in enumerate(left) if amount), key=lambda index: holds[index])
        lowest = min([*holds] if elsewhere is None else [*holds, elsewhere])
        assert holds[emptiest] + 1 - lowest <= max_skew
        holds[emptiest] += 1
        left[emptiest] -= 1
