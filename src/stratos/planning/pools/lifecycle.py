"""The life of a pool's machine: which state may follow which."""

from __future__ import annotations

from itertools import pairwise

from stratos.apis.nodeclaim import NodeState
from stratos.base.errors import Conflict

LEGAL: dict[NodeState, tuple[NodeState, ...]] = {
    NodeState.WARMUP: (NodeState.STANDBY, NodeState.TERMINATING),
    NodeState.STANDBY: (NodeState.RUNNING, NodeState.TERMINATING),
    NodeState.RUNNING: (NodeState.TERMINATING, NodeState.STANDBY),  # to standby: somebody else stopped it
    NodeState.TERMINATING: (NodeState.STANDBY,),  # it was drained to be parked, not to be ended
}


class IllegalTransition(Conflict):
    """A machine cannot go from the one state to the other."""

    def __init__(self, before: NodeState, after: NodeState) -> None:
        allowed = ", ".join(LEGAL[before])
        super().__init__(
            f"invalid state transition from {before} to {after}", hint=f"from {before} it goes to {allowed}"
        )
        self.before = before
        self.after = after


def is_legal(before: NodeState, after: NodeState) -> bool:
    return after in LEGAL[before]


def step_through(*states: NodeState) -> NodeState:
    """The last of ``states``, once each is found to follow the one before. Raises `IllegalTransition`."""
    for before, after in pairwise(states):
        if not is_legal(before, after):
            raise IllegalTransition(before, after)
    return states[-1]
