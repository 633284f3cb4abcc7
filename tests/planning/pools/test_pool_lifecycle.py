"""The table of legal states, attacked from every side."""

from __future__ import annotations

from itertools import product

import pytest

from stratos.apis.nodeclaim import NodeState
from stratos.planning.pools.lifecycle import IllegalTransition, is_legal, step_through

W, S, R, T = NodeState.WARMUP, NodeState.STANDBY, NodeState.RUNNING, NodeState.TERMINATING
LEGAL = {(W, S), (W, T), (S, R), (S, T), (R, T), (R, S), (T, S)}


@pytest.mark.parametrize(("before", "after"), list(product(NodeState, NodeState)))
def test_a43_only_the_seven_documented_transitions_are_legal(before: NodeState, after: NodeState) -> None:
    """A machine in a state nobody planned for is a machine nobody looks after."""
    if (before, after) in LEGAL:
        assert is_legal(before, after)
        assert step_through(before, after) is after
        return
    assert not is_legal(before, after)
    with pytest.raises(IllegalTransition, match=f"invalid state transition from {before} to {after}"):
        step_through(before, after)


def test_a_path_is_legal_only_when_each_of_its_steps_is() -> None:
    """A machine that is never parked still passes through standby, in one go."""
    assert step_through(W, S, R) is R
    with pytest.raises(IllegalTransition):
        step_through(W, R)
