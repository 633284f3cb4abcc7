"""The view of `stratos up`: it must fit whatever terminal it is in, and must not jump about."""

import io
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stratos.apis.nodeclaim import NodeClaim, NodeState, Wanted
from stratos.apis.pod import Pod
from stratos.cli.pool_facts import PoolFacts, pool_facts
from stratos.cli.view import Frame, pool_table, share_lines
from stratos.testing.pool_builders import NOW, a_claim, a_pod, a_pool


def shown(
    width: int,
    height: int,
    *,
    claims: Sequence[NodeClaim] = (),
    pods: Sequence[Pod] = (),
    widths: dict[str, int] | None = None,
) -> list[str]:
    """The lines on a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=False)
    pools = [pool_facts(a_pool(size=500), claims)]
    frame = Frame("https://127.0.0.1:6443", NOW, pools, claims, pods, {} if widths is None else widths)
    with console.capture() as captured:
        console.print(frame)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50)])
def test_a_busy_cluster_fits_the_terminal(width: int, height: int) -> None:
    """A view that is taller than the terminal scrolls with every redraw, and nobody can read it."""
    claims = [a_claim(f"ci-{number}") for number in range(100)]
    pods = [a_pod(f"web-{number}") for number in range(100)]

    lines = shown(width, height, claims=claims, pods=pods)

    assert len(lines) <= height - 1
    assert max(map(len, lines)) <= width
    assert sum("more" in line for line in lines) == 2


def test_waiting_pods_and_moving_machines_come_first() -> None:
    """When not all can be shown, those that need attention are."""
    claims = [a_claim(f"ci-{number}") for number in range(50)]
    claims.append(a_claim("zz-leaving", state=NodeState.TERMINATING, wanted=Wanted.GONE))
    pods = [a_pod(f"busy-{number}", node="n", phase="Running") for number in range(50)]
    pods.append(a_pod("zz-waits"))

    text = "\n".join(shown(80, 24, claims=claims, pods=pods))

    assert "zz-leaving" in text and "terminating → gone" in text
    assert "zz-waits" in text and "Unschedulable" in text


def test_columns_never_shrink() -> None:
    """A column that narrows when a long name goes away makes everything beside it jump."""
    widths: dict[str, int] = {}
    before = shown(120, 40, pods=[a_pod("a-pod-with-quite-a-long-name")], widths=widths)
    after = shown(120, 40, pods=[a_pod("web")], widths=widths)

    def place_of_phase(lines: list[str]) -> int:
        return next(line.index("PHASE") for line in lines if line.startswith("POD "))

    assert place_of_phase(after) == place_of_phase(before)


def test_ages_are_never_negative() -> None:
    """A host's clock may be a little ahead of ours."""
    claim = a_claim("ci-1", state_since=NOW + timedelta(seconds=3))

    assert any(line.startswith("ci-1") and " 0s " in line for line in shown(120, 40, claims=[claim]))


@given(lines=st.integers(-5, 200), wanted=st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_lines_are_shared_fairly_and_none_is_wasted(lines: int, wanted: list[int]) -> None:
    """A part gets less than it wants only when no other gets more than it, but for a line that cannot be split."""
    shares = share_lines(lines, wanted)

    assert sum(shares) == min(max(0, lines), sum(wanted))
    for share, want in zip(shares, wanted, strict=True):
        assert share <= want
        assert share == want or all(other <= share + 1 for other in shares)


def test_a_pool_on_spot_shows_what_that_saves() -> None:
    """It is what spot replacement is for; pools without spot machines need no columns for it."""
    usual = PoolFacts("ci", 5, 2, 0, 2, 1, 0, 0.096, "yes")
    saving = PoolFacts("web", 5, 2, 0, 2, 1, 0, 0.038, "yes", spot=1, spot_saves_usd_per_hour=0.058)

    assert "SPOT" not in printed(usual)
    assert "SAVED $/H" in printed(usual, saving)
    assert "0.058" in printed(usual, saving)


def printed(*pools: PoolFacts) -> str:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(pool_table(pools))
    return captured.get()
