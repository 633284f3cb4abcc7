from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stratos.planning.provisioning.warm_first import (
    LAUNCH_SECONDS,
    STANDBY_SECONDS,
    WayToServe,
    warm_first,
)

ways = st.builds(WayToServe, st.floats(0, 10), st.floats(0, 600))


def test_a_standby_machine_is_woken_where_a_new_one_takes_longer() -> None:
    """That is what it stands by for, even where a new one would be a little cheaper."""
    verdict = warm_first(WayToServe(0.20, STANDBY_SECONDS), WayToServe(0.15, LAUNCH_SECONDS))

    assert verdict.use_standby
    assert verdict.reason == "a standby machine is ready 95 s sooner than a new one"


def test_a_new_machine_wins_only_if_it_is_cheaper_and_no_later() -> None:
    """Then nobody waits for the saving."""
    assert not warm_first(WayToServe(0.20, 25), WayToServe(0.15, 20)).use_standby
    assert warm_first(WayToServe(0.15, 25), WayToServe(0.15, 25)).use_standby


@given(standby=ways, launch=ways)
def test_whoever_is_cheaper_and_sooner_serves(standby: WayToServe, launch: WayToServe) -> None:
    """The rule never chooses what is worse in both."""
    use_standby = warm_first(standby, launch).use_standby
    chosen, other = (standby, launch) if use_standby else (launch, standby)

    cheaper = other.price_usd_per_hour < chosen.price_usd_per_hour
    sooner = other.ready_in_seconds < chosen.ready_in_seconds
    assert not (cheaper and sooner)


def test_without_one_of_the_two_the_other_serves() -> None:
    """A pod is not left waiting for a comparison."""
    assert warm_first(WayToServe(1, 1), None).use_standby
    assert not warm_first(None, WayToServe(1, 1)).use_standby
