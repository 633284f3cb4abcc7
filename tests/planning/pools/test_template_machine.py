"""A template's machine lives by the table of pools' machines, except that it never stands by."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.apis.meta import find_condition
from stratos.apis.node import Node, Taint
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeClaim, NodeSettings, NodeState, Wanted
from stratos.planning.pools.machine import plan_machine
from stratos.planning.pools.settings import settings_of_template_claim
from stratos.planning.pools.steps import Launch, MachinePlan, Nominate, Record, Shape, Start, Stop
from stratos.snapshot.machine import MachineSnapshot, MachineState, Sighting
from stratos.testing.pool_builders import NOW, a_claim, a_node

AS_IT_REGISTERS = [Taint(labels.STANDBY_TAINT, "NoExecute")]


def a_template_claim(**more: Any) -> NodeClaim:
    decision = Decision(reason="ScaleUp", message="", at=NOW, pods=("default/web-1",))
    claim = a_claim(pool="", wanted=Wanted.RUNNING, decision=decision, **more)
    node = NodeSettings(join_timeout="10m")
    return msgspec.structs.replace(
        claim, spec=msgspec.structs.replace(claim.spec, template="general", instance_type="m5.large", node=node)
    )


def plan(claim: NodeClaim, *, seen: MachineState | None = None, node: Node | None = None) -> MachinePlan:
    return plan_machine(
        MachineSnapshot(
            taken_at=NOW,
            claim=claim,
            settings=settings_of_template_claim(claim),
            seen=Sighting(seen, NOW) if seen else None,
            node=node,
        )
    )


def last(made: MachinePlan, kind: type[Any]) -> Any:
    return next(step for step in reversed(made.steps) if isinstance(step, kind))


@pytest.mark.parametrize("seen", [MachineState.RUNNING, MachineState.PENDING, None])
def test_a_node_that_is_ready_when_it_is_first_seen_goes_into_service(seen: MachineState | None) -> None:
    """It still bears the taint it registered with; taken for one on its way to standby, it would never come back."""
    claim = a_template_claim(state=NodeState.WARMUP)

    made = plan(claim, seen=seen, node=a_node(taints=AS_IT_REGISTERS))

    assert last(made, Record).status.state is NodeState.RUNNING
    assert last(made, Shape).shape.taints == ()
    assert last(made, Nominate).pods == ("default/web-1",)


@pytest.mark.parametrize("node", [None, a_node(), a_node(ready=False)])
@pytest.mark.parametrize("seen", [MachineState.STOPPING, MachineState.STOPPED])
def test_a_machine_that_somebody_stops_before_it_serves_is_given_up_at_once(
    node: Node | None, seen: MachineState
) -> None:
    """Its pods wait: another machine is asked for now, not when joining has taken too long."""
    made = plan(a_template_claim(state=NodeState.WARMUP), seen=seen, node=node)

    assert last(made, Record).status.state is NodeState.TERMINATING


def test_a_machine_that_somebody_stops_while_it_serves_is_given_up() -> None:
    made = plan(a_template_claim(state=NodeState.RUNNING), seen=MachineState.STOPPED, node=a_node())

    ended = find_condition(last(made, Record).status.conditions, ClaimCondition.ENDED)
    assert ended is not None and ended.reason == "StoppedOutside"


def test_a_launch_that_was_refused_is_not_tried_again() -> None:
    """It stands for one offering; which one is tried next is for whoever chose it."""
    refused = a_template_claim(state=None, conditions={ClaimCondition.LAUNCHED: "OutOfStock"})

    made = plan(refused)

    assert not any(isinstance(step, Launch) for step in made.steps)
    assert "let it go" in made.waits_for


@given(
    state=st.sampled_from([NodeState.WARMUP, NodeState.RUNNING, NodeState.TERMINATING]),
    seen=st.none() | st.sampled_from(MachineState),
    node=st.none() | st.builds(a_node, ready=st.booleans(), taints=st.sampled_from([[], AS_IT_REGISTERS])),
    leaving=st.booleans(),
)
def test_no_machine_of_a_template_is_ever_stopped_started_or_parked(
    state: NodeState, seen: MachineState | None, node: Node | None, leaving: bool
) -> None:
    """Nobody would wake it again: it would be paid for, and its pods would wait for ever.

    Nor when somebody writes into a claim that is on its way out that its machine is wanted after all.
    """
    claim = a_template_claim(state=state, deleted=leaving)

    made = plan(claim, seen=seen, node=node)

    assert not any(isinstance(step, Stop | Start) for step in made.steps)
    assert all(step.status.state is not NodeState.STANDBY for step in made.steps if isinstance(step, Record))
