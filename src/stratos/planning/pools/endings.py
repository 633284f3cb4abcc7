"""How a machine is stopped, emptied, ended, or found to be lost."""

from __future__ import annotations

from datetime import datetime, timedelta

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import ENDED_OUTSIDE, ClaimCondition, NodeState
from stratos.base.duration import parse_duration_seconds
from stratos.base.words import counted
from stratos.planning.interruptions.notices import presses
from stratos.planning.pools.draft import UP, Draft
from stratos.planning.pools.drain import DrainPlan, plan_drain, workload_pods
from stratos.planning.pools.nodes import Role
from stratos.planning.pools.steps import DeleteNode, Empty, MachinePlan, Release, Stop, Tell, Terminate
from stratos.snapshot.machine import MachineState

_DRAIN_POLL_SECONDS = 1.0
_SHORTEST_REST = timedelta(seconds=5)  # between two tries of what the cloud refuses
_LONGEST_REST = timedelta(minutes=2)


def stop(draft: Draft, *, force: bool = False) -> MachinePlan:
    """Close the node, then ask for the stop: never the other way round."""
    draft.shape(Role.PARKED)
    if draft.seen is None or draft.seen in UP:
        draft.do(Stop(force))
    return draft.plan("the machine to stop")


def now_standby(draft: Draft) -> MachinePlan:
    draft.move(NodeState.STANDBY, stopped_at=draft.now)
    draft.condition(ClaimCondition.READY, False, "Stopped", "its machine is stopped")
    with draft.before_it_is_recorded():
        draft.shape(Role.PARKED)
    draft.tag_state(NodeState.STANDBY)
    return draft.plan(look_again_seconds=0.0, follow=False)


def drain(draft: Draft) -> MachinePlan | None:
    """Empty the node. None when it is empty."""
    drained = find_condition(draft.status.conditions, ClaimCondition.DRAINED)
    if drained is None or (drained.status == "True" and workload_pods(draft.look.pods)):
        draft.condition(ClaimCondition.DRAINED, False, "Draining", "pods are asked to leave")
    plan = _plan_drain(draft)
    if plan.done:
        draft.condition(ClaimCondition.DRAINED, True, "Empty", "no pods are left that would have to move")
        return None
    draft.shape(Role.LEAVING)
    if plan.evict or plan.delete:
        draft.do(Empty(plan.evict, plan.delete, plan.grace_seconds))
    left = len(plan.evict) + len(plan.delete) + len(plan.leaving)
    draft.condition(
        ClaimCondition.DRAINED, False, "Draining", "; ".join((f"still to leave: {counted(left, 'pod')}", *plan.report))
    )
    return draft.plan("its pods to leave", _DRAIN_POLL_SECONDS)


def _plan_drain(draft: Draft) -> DrainPlan:
    settings, notice = draft.look.settings, draft.claim.spec.interruption
    drained = find_condition(draft.status.conditions, ClaimCondition.DRAINED)
    started = (drained and drained.last_transition_time) or draft.now
    return plan_drain(
        draft.look.pods,
        draft.look.budgets,
        now=draft.now,
        started_at=started,
        timeout_seconds=parse_duration_seconds(settings.scale_down.drain_timeout) if settings else 0.0,
        force_after_timeout=settings.scale_down.force_after_timeout if settings else True,
        deadline=notice.deadline if notice is not None and presses(draft.claim, draft.now) else None,
    )


def end(draft: Draft) -> MachinePlan:
    """Terminate; once the cloud confirms, nothing is left but to say so."""
    if not draft.is_gone:
        refused = find_condition(draft.status.conditions, ClaimCondition.ENDED)
        if refused is not None and refused.last_transition_time is not None:
            again_at = next_try(refused.last_transition_time, draft.status.state_since)
            if draft.now < again_at:
                return draft.plan(f"another try: {refused.message}", draft.seconds_until(again_at))
        draft.do(Terminate())
        return draft.plan("the machine to end")
    if draft.look.node is not None:
        draft.do(DeleteNode())
    if draft.seen is MachineState.SHUTTING_DOWN:
        return draft.plan("the machine to end")
    draft.do(Release())
    return draft.plan(follow=False)


def lost(draft: Draft) -> MachinePlan:
    """The cloud ended the machine without being asked."""
    if draft.status.state is not NodeState.TERMINATING:
        draft.move(NodeState.TERMINATING)
    draft.condition(ClaimCondition.ENDED, True, ENDED_OUTSIDE, "somebody else ended its machine")
    if draft.claim.spec.interruption is None:  # or it was told of before
        if draft.claim.is_spot:
            draft.do(Tell("SpotInterruption", f"the cloud took back the machine of {draft.name}", warning=True))
        else:
            draft.do(Tell("NodeLost", f"the machine of {draft.name} was terminated by somebody else", warning=True))
    return end(draft)


def next_try(last: datetime, since: datetime | None) -> datetime:
    """When to try again what has been tried ``since``, the last time at ``last``."""
    tried_for = last - (since or last)
    return last + min(_LONGEST_REST, max(_SHORTEST_REST, tried_for / 4))
