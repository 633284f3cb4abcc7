"""Decide the next steps for one machine: from what its claim wishes, where it is in its life, and what was seen of it.

The table at the end is the whole of it: one rule for each wish in each state. A rule returns the steps to take now, in
an order in which a crash between any two of them loses and doubles nothing, and says what it waits for. Steps can be
repeated: whoever comes after a crash plans again from what is then to be seen.

The law that shapes the order: a machine that stands by never takes pods. Its node is cordoned and tainted before the
cloud is asked to stop it, and opened only after the cloud has accepted to start it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.meta import find_condition, is_condition_true, with_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeClaimStatus, NodeState, Wanted
from stratos.apis.nodepool import NodePoolSpec, PoolTemplate
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.planning.pools.daemons import compile_daemons, daemons_on
from stratos.planning.pools.drain import DrainPlan, plan_drain, workload_pods
from stratos.planning.pools.lifecycle import step_through
from stratos.planning.pools.nodes import (
    NOT_READY_TAINT,
    STANDBY_TAINT,
    Role,
    has_become_ready,
    has_taint,
    is_network_up,
    is_node_ready,
    shape_node,
)
from stratos.planning.pools.rooms import settled_node
from stratos.planning.pools.steps import (
    DeleteNode,
    Empty,
    FindMachine,
    Launch,
    MachinePlan,
    Record,
    Release,
    Shape,
    Start,
    Step,
    Stop,
    Tag,
    Tell,
    Terminate,
)
from stratos.snapshot.machine import MachineSnapshot, MachineState

CLOUD_LAG = timedelta(seconds=10)
"""How long what the cloud says may contradict what it was asked before we believe that somebody else was at work."""

UNKNOWN_GRACE = timedelta(seconds=60)
"""How long after its launch a machine may be missing from the cloud's answers."""

STARTUP_TAINT_LIMIT = timedelta(minutes=2)
"""When pods are let on a started node whose network has not reported."""

_DRAIN_POLL_SECONDS = 1.0
_SHORTEST_REST = timedelta(seconds=5)  # between two tries of what the cloud refuses
_LONGEST_REST = timedelta(minutes=2)
_UP = (MachineState.PENDING, MachineState.RUNNING)
_ASLEEP = (MachineState.STOPPING, MachineState.STOPPED)


def start_token(claim: NodeClaim) -> str:
    """The same for every attempt at one wake, another for each wake."""
    return f"{claim.metadata.uid}/{claim.spec.wakes}"


def wish(claim: NodeClaim) -> Wanted:
    """What the claim comes to in the end: deleting it, a warm-up that failed and a machine that was lost override."""
    warmed_up = find_condition(claim.status.conditions, ClaimCondition.WARMED_UP)
    failed = warmed_up is not None and warmed_up.status == "False"
    lost = is_condition_true(claim.status.conditions, ClaimCondition.ENDED)
    return Wanted.GONE if failed or lost or claim.metadata.deletion_timestamp is not None else claim.spec.wanted


def wake_is_due(claim: NodeClaim) -> bool:
    """Whether the cloud has yet to be asked for the latest wake."""
    return claim.spec.wakes > claim.status.wakes_done


def wake_refused(claim: NodeClaim, reason: str, message: str, now: datetime) -> NodeClaimStatus:
    """The status after the cloud said no to a start: that wake is spent, and the pool decides anew."""
    others = tuple(held for held in claim.status.conditions if held.type != ClaimCondition.WOKEN)
    return msgspec.structs.replace(
        claim.status,
        wakes_done=claim.spec.wakes,
        # Set afresh, so that its time is that of this refusal and not of the first in a row.
        conditions=with_condition(others, ClaimCondition.WOKEN, False, reason=reason, message=message, now=now),
    )


def plan_machine(look: MachineSnapshot) -> MachinePlan:
    draft = _Draft(look)
    return _TABLE[look.claim.status.state, wish(look.claim)](draft)


class _Draft:
    """A plan being written: the steps so far, and the status as it will be after them."""

    def __init__(self, look: MachineSnapshot) -> None:
        self.look = look
        self.claim = look.claim
        self.now = look.taken_at
        self.status = look.claim.status
        self.template = look.pool.template if look.pool else PoolTemplate()
        self.steps: list[Step] = []

    # What was seen

    @property
    def seen(self) -> MachineState | None:
        return self.look.seen.state if self.look.seen else None

    @property
    def is_gone(self) -> bool:
        """The cloud has ended the machine, or has never heard of it although it should by now."""
        seen, launched_at = self.look.seen, self.status.launched_at
        if seen is None:
            return False
        if seen.state is not None:
            return seen.state.gone
        return launched_at is not None and seen.at > launched_at + UNKNOWN_GRACE

    def seen_since(self, moment: datetime | None) -> bool:
        """Whether the last sighting is late enough to tell what happened after ``moment``."""
        return self.look.seen is not None and (moment is None or self.look.seen.at >= moment + CLOUD_LAG)

    @property
    def name(self) -> str:
        return self.status.node_name or self.status.instance_id or self.claim.metadata.name

    # What to do

    def do(self, *steps: Step) -> None:
        self.steps += steps

    def record(self, **changes: Any) -> None:
        """Note a change of status; several in a row are written at once."""
        self.status = msgspec.structs.replace(self.status, **changes)
        if self.steps and isinstance(self.steps[-1], Record):
            self.steps.pop()
        if self.status != self.claim.status:
            self.steps.append(Record(self.status))

    def condition(self, type_: ClaimCondition, status: bool | None, reason: str, message: str = "") -> None:
        self.record(
            conditions=with_condition(
                self.status.conditions, type_, status, reason=reason, message=message, now=self.now
            )
        )

    def move(self, *states: NodeState, **changes: Any) -> None:
        """Go through ``states``, each of which must be legal after the one before."""
        before = self.status.state
        after = step_through(*(() if before is None else (before,)), *states)
        self.record(state=after, state_since=self.now, **changes)

    def shape(self, role: Role, *, lifted: bool = False, just_started: bool = False) -> None:
        node = self.look.node
        if node is None:
            return
        shape = shape_node(node, self.claim, self.status, self.template, role, lifted=lifted, just_started=just_started)
        if not shape.fits(node):
            self.do(Shape(shape))

    def close_first(self, role: Role) -> None:
        """Shape the node before the move that was just noted is written: whoever reads it finds the node closed."""
        moved = self.steps.pop()
        self.shape(role)
        self.steps.append(moved)

    def tag_state(self, state: str, **more: str) -> None:
        self.do(Tag({labels.TAG_STATE: state, **more}))

    def plan(self, waits_for: str = "", look_again_seconds: float | None = None, *, follow: bool = True) -> MachinePlan:
        return MachinePlan(tuple(self.steps), waits_for, look_again_seconds, follow)

    def seconds_until(self, moment: datetime) -> float:
        return max(0.0, (moment - self.now).total_seconds())


# Before the launch


def _launch(draft: _Draft) -> MachinePlan:
    """Ask for the machine; after a refusal, or an answer that was lost, the less often the longer it has been tried."""
    launched = find_condition(draft.status.conditions, ClaimCondition.LAUNCHED)
    if launched is not None and launched.last_transition_time is not None:
        again_at = _next_try(launched.last_transition_time, draft.claim.metadata.creation_timestamp)
        if draft.now < again_at:
            return draft.plan(f"another try: {launched.message}", draft.seconds_until(again_at))
    draft.do(Launch())
    return draft.plan("the cloud to accept the launch")


def _next_try(last: datetime, since: datetime | None) -> datetime:
    """When to try again what has been tried ``since``, the last time at ``last``."""
    tried_for = last - (since or last)
    return last + min(_LONGEST_REST, max(_SHORTEST_REST, tried_for / 4))


def _forget(draft: _Draft) -> MachinePlan:
    """Never launched, or so it seems: make sure that no machine came of an attempt whose answer was lost."""
    launched = find_condition(draft.status.conditions, ClaimCondition.LAUNCHED)
    if launched is None or launched.status == "False":
        draft.do(Release())
        return draft.plan(follow=False)
    asked_at = launched.last_transition_time or draft.now
    if draft.now < asked_at + UNKNOWN_GRACE:
        draft.do(FindMachine())
        left = draft.seconds_until(asked_at + UNKNOWN_GRACE)
        return draft.plan("a machine to turn up from a launch whose answer was lost", left, follow=False)
    draft.do(FindMachine(), Release())
    return draft.plan(follow=False)


# Warm-up


def _prepare(draft: _Draft) -> MachinePlan:
    pool = draft.look.pool or NodePoolSpec(pool_size=1, min_standby=0, template=draft.template)
    started = draft.status.launched_at or draft.status.state_since or draft.now
    timeout = parse_duration_seconds(pool.pre_warm.timeout)
    deadline = started + timedelta(seconds=timeout)
    if draft.is_gone:
        return _fail_warm_up(draft, "terminated", "WarmupFailed", "the cloud ended its machine")
    if draft.look.node is None:
        if draft.seen is MachineState.STOPPED:
            return _fail_warm_up(draft, "node_never_registered", "WarmupFailed", "it stopped before its node joined")
        if draft.now >= deadline:
            late = f"no node joined within {format_duration(timeout)}"
            return _fail_warm_up(draft, "timeout_no_node", "WarmupTimeout", late)
        return draft.plan("its node to join", draft.seconds_until(deadline))
    _adopt(draft)
    if draft.status.warmup_completed_at is not None:
        return _leave_warm_up(draft)
    failure = _failed_images(draft)
    if failure and pool.pre_warm.image_pull_policy == "Required":
        return _fail_warm_up(draft, "image_pull_failed", "WarmupFailed", failure)
    if draft.seen is MachineState.STOPPED:
        return _complete_warm_up(draft, "self_stop", "it turned itself off")
    missing = "the machine to turn itself off" if draft.look.turns_itself_off else _missing(draft, pool)
    if not missing:
        return _complete_warm_up(draft, "controller_stop", "its node is ready")
    if draft.now < deadline:
        return draft.plan(missing, draft.seconds_until(deadline))
    late = f"it waited {format_duration(timeout)} for {missing}"
    if pool.pre_warm.timeout_action == "terminate":
        return _fail_warm_up(draft, "timeout", "WarmupTimeout", late)
    draft.do(Tell("WarmupTimeout", f"{draft.name} is used as it is: {late}", warning=True))
    return _complete_warm_up(draft, "timeout", late)


def _adopt(draft: _Draft) -> None:
    """Make the node the claim's: named in it, labelled, and closed to all but DaemonSets."""
    node = draft.look.node
    if node is None:
        return
    if not is_condition_true(draft.status.conditions, ClaimCondition.REGISTERED):
        draft.record(node_name=node.metadata.name)
        draft.condition(ClaimCondition.REGISTERED, True, "NodeJoined", f"node {node.metadata.name} carries its machine")
    if draft.status.warmup_completed_at is None:
        draft.shape(Role.PREPARED)


def _failed_images(draft: _Draft) -> str:
    node = draft.look.node
    pulled = find_condition(node.status.conditions, labels.IMAGES_PULLED_CONDITION) if node else None
    return pulled.message or pulled.reason if pulled is not None and pulled.status == "False" else ""


def _missing(draft: _Draft, pool: NodePoolSpec) -> str:
    """The first thing that a node has to have before it stands by, and has not. Empty: it is prepared."""
    node = draft.look.node
    if node is None or not is_node_ready(node, None):
        return "its node to be ready"
    if draft.template.network_readiness_strategy == "Taint" and not is_network_up(node, None):
        return "its network to be up"
    if draft.look.claim.spec.wanted is Wanted.RUNNING:
        return ""  # pods wait for it already, and fetch what they need themselves
    pulled = find_condition(node.status.conditions, labels.IMAGES_PULLED_CONDITION)
    if pulled.status == "Unknown" if pulled else pool.pre_warm.all_images:
        return "its images to be pulled"
    ready = {
        f"{pod.metadata.namespace}/{owner.name}"
        for pod in draft.look.pods
        if (owner := pod.metadata.controller) and is_condition_true(pod.status.conditions, "Ready")
    }
    daemons = daemons_on(compile_daemons(draft.look.daemon_sets), settled_node(node, draft.template))
    late = [key for key, _ in daemons if key not in ready]
    return f"the pod of DaemonSet {late[0]} to be ready" if late else ""


def _complete_warm_up(draft: _Draft, mode: str, message: str) -> MachinePlan:
    draft.record(warmup_completed_at=draft.now)
    draft.condition(ClaimCondition.WARMED_UP, True, mode, message)
    return _leave_warm_up(draft)


def _leave_warm_up(draft: _Draft) -> MachinePlan:
    """Prepared: stop it, unless pods wait for it already."""
    closed = draft.look.node is not None and has_taint(draft.look.node, STANDBY_TAINT)
    if wish(draft.claim) is Wanted.RUNNING and draft.seen in _UP and not closed and not draft.look.turns_itself_off:
        draft.do(Tell("WarmupCompleted", f"{draft.name} is prepared and goes into service at once"))
        draft.move(
            NodeState.STANDBY,
            NodeState.RUNNING,
            wakes_done=draft.claim.spec.wakes,
            last_started_at=draft.status.launched_at,
        )
        draft.condition(ClaimCondition.WOKEN, True, "NeverParked", "it was needed before it could be parked")
        draft.shape(Role.SERVING, lifted=True, just_started=True)
        draft.tag_state(NodeState.RUNNING)
        return draft.plan("its node to take pods", 0.0)
    if draft.seen is MachineState.STOPPED:
        draft.do(Tell("WarmupCompleted", f"{draft.name} is prepared and stands by"))
        return _now_standby(draft)
    warmed_up = find_condition(draft.status.conditions, ClaimCondition.WARMED_UP)
    return _stop(draft, force=warmed_up is not None and warmed_up.reason == "timeout")


def _fail_warm_up(draft: _Draft, reason: str, event: str, message: str) -> MachinePlan:
    draft.move(NodeState.TERMINATING)
    draft.condition(ClaimCondition.WARMED_UP, False, reason, message)
    draft.do(Tell(event, f"{draft.name} is given up ({reason}): {message}", warning=True))
    if not draft.is_gone:
        draft.tag_state("warmup-failed", **{labels.TAG_STATE_NOTE: reason})
    return _end(draft)


# Standing by


def _stop(draft: _Draft, *, force: bool = False) -> MachinePlan:
    """Close the node, then ask for the stop: never the other way round."""
    draft.shape(Role.PARKED)
    if draft.seen is None or draft.seen in _UP:
        draft.do(Stop(force))
    return draft.plan("the machine to stop")


def _now_standby(draft: _Draft) -> MachinePlan:
    draft.move(NodeState.STANDBY, stopped_at=draft.now)
    draft.condition(ClaimCondition.READY, False, "Stopped", "its machine is stopped")
    draft.close_first(Role.PARKED)
    draft.tag_state(NodeState.STANDBY)
    return draft.plan(look_again_seconds=0.0, follow=False)


def _stand_by(draft: _Draft) -> MachinePlan:
    if draft.is_gone:
        return _lost(draft)
    draft.shape(Role.PARKED)
    if draft.seen is MachineState.STOPPED:
        # The kubelet that would confirm their end is off, and nothing runs there any more.
        left = tuple(sorted(p.metadata.key for p in draft.look.pods if p.metadata.deletion_timestamp is not None))
        if left:
            draft.do(Empty(delete=left))
    elif draft.seen in _UP and draft.seen_since(draft.status.state_since):
        draft.condition(ClaimCondition.WOKEN, False, "StartedOutside", "somebody else started its machine")
        return draft.plan("the pool to decide about a machine that somebody else started")
    return draft.plan(follow=draft.seen is not MachineState.STOPPED)


def _wake(draft: _Draft) -> MachinePlan:
    if draft.is_gone:
        return _lost(draft)
    if not wake_is_due(draft.claim):
        draft.shape(Role.PARKED)
        return draft.plan("the pool to decide again: this wake is spent")
    draft.do(Start(start_token(draft.claim)))
    draft.move(NodeState.RUNNING, wakes_done=draft.claim.spec.wakes, last_started_at=draft.now)
    draft.condition(ClaimCondition.WOKEN, True, "Started", "the cloud accepted the start")
    draft.shape(Role.SERVING)
    draft.do(Tell("NodeStarted", f"{draft.name} is started from standby"))
    draft.tag_state(NodeState.RUNNING)
    return draft.plan("its node to be ready", STARTUP_TAINT_LIMIT.total_seconds())


# In service


def _serve(draft: _Draft) -> MachinePlan:
    if draft.is_gone:
        return _lost(draft)
    if draft.seen is MachineState.STOPPED and draft.seen_since(draft.status.last_started_at):
        draft.condition(ClaimCondition.WOKEN, False, "StoppedOutside", "somebody else stopped its machine")
        draft.do(Tell("NodeStopped", f"{draft.name} was stopped by somebody else", warning=True))
        return _now_standby(draft)
    if wake_is_due(draft.claim):
        draft.record(wakes_done=draft.claim.spec.wakes)  # it is awake: there is nothing to start
    node = draft.look.node
    if node is None:
        draft.condition(ClaimCondition.READY, False, "NoNode", "its machine has no node")
        return draft.plan("its node to join")
    ready = is_node_ready(node, draft.status.stopped_at)
    network = is_network_up(node, draft.status.stopped_at) or draft.template.network_readiness_strategy == "None"
    started = draft.status.last_started_at or draft.now
    lifted = (ready and network) or draft.now >= started + STARTUP_TAINT_LIMIT
    waiting = has_taint(node, NOT_READY_TAINT, *_lifted_startup_taints(draft))
    if ready and (lifted or not waiting):
        if not has_become_ready(draft.status):
            draft.record(ready_at=draft.now)
        draft.condition(ClaimCondition.READY, True, "NodeReady", "its node takes pods")
    else:
        draft.condition(ClaimCondition.READY, False, "NodeNotReady", "its node does not take pods")
    draft.shape(Role.SERVING, lifted=lifted)
    if waiting and lifted:
        if ready and network:
            draft.do(Tell("StartupTaintsRemoved", f"{draft.name} has its network and takes pods"))
        else:
            late = f"{draft.name} takes pods although its network was not reported within 2m"
            draft.do(Tell("StartupTaintTimeout", late, warning=True))
    if ready and lifted:
        return draft.plan(follow=False)
    return draft.plan("its node to be ready", draft.seconds_until(started + STARTUP_TAINT_LIMIT) or None)


def _lifted_startup_taints(draft: _Draft) -> tuple[Any, ...]:
    return draft.template.startup_taints if draft.template.startup_taint_removal == "WhenNetworkReady" else ()


# Leaving service


def _retire(draft: _Draft) -> MachinePlan:
    """Close the node first: what is decided next shall not be overtaken by new pods."""
    if draft.is_gone:
        return _lost(draft)
    draft.shape(Role.LEAVING)
    draft.move(NodeState.TERMINATING)
    # Forget earlier drains, so that the time of this one counts from now.
    others = (held for held in draft.status.conditions if held.type != ClaimCondition.DRAINED)
    draft.record(conditions=tuple(others))
    draft.condition(ClaimCondition.DRAINED, False, "Draining", "its node was closed")
    return draft.plan(look_again_seconds=0.0)


def _park(draft: _Draft) -> MachinePlan:
    if draft.is_gone:
        return _lost(draft)
    if draft.seen is MachineState.STOPPED:
        draft.do(Tell("NodeStopped", f"{draft.name} is stopped and stands by again"))
        return _now_standby(draft)
    decision = draft.claim.spec.decision
    pods = workload_pods(draft.look.pods)
    if pods and decision is not None and decision.reason == "ScaleDown":
        # It was to leave because it was empty. It is not any more: the pool will want it back.
        draft.condition(ClaimCondition.DRAINED, False, "PodsArrived", f"{pods[0].metadata.key} runs there")
        return draft.plan("the pool to decide about a node that is in use again")
    return _drain(draft) or _stop(draft)


def _resume(draft: _Draft) -> MachinePlan:
    """Wanted again while it was leaving: if it is not closed yet it just stays, otherwise it stops and is woken."""
    if draft.is_gone:
        return _lost(draft)
    closed = draft.look.node is None or has_taint(draft.look.node, STANDBY_TAINT)
    if closed or draft.seen in _ASLEEP:
        return _park(draft)
    draft.move(NodeState.STANDBY, NodeState.RUNNING, wakes_done=draft.claim.spec.wakes)
    draft.shape(Role.SERVING, lifted=True)
    return draft.plan(look_again_seconds=0.0)


def _remove(draft: _Draft) -> MachinePlan:
    if draft.status.state is not NodeState.TERMINATING:
        draft.move(NodeState.TERMINATING)
    if draft.is_gone or draft.seen in _ASLEEP:
        return _end(draft)
    return _drain(draft) or _end(draft)


def _drain(draft: _Draft) -> MachinePlan | None:
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
        draft.do(Empty(plan.evict, plan.delete))
    left = len(plan.evict) + len(plan.delete) + len(plan.leaving)
    draft.condition(ClaimCondition.DRAINED, False, "Draining", "; ".join((f"{left} pods are left", *plan.report)))
    return draft.plan("its pods to leave", _DRAIN_POLL_SECONDS)


def _plan_drain(draft: _Draft) -> DrainPlan:
    pool = draft.look.pool
    drained = find_condition(draft.status.conditions, ClaimCondition.DRAINED)
    started = (drained and drained.last_transition_time) or draft.now
    return plan_drain(
        draft.look.pods,
        draft.look.budgets,
        now=draft.now,
        started_at=started,
        timeout_seconds=parse_duration_seconds(pool.scale_down.drain_timeout) if pool else 0.0,
        force_after_timeout=pool.scale_down.force_after_timeout if pool else True,
    )


def _end(draft: _Draft) -> MachinePlan:
    """Terminate; once the cloud confirms, nothing is left but to say so."""
    if not draft.is_gone:
        refused = find_condition(draft.status.conditions, ClaimCondition.ENDED)
        if refused is not None and refused.last_transition_time is not None:
            again_at = _next_try(refused.last_transition_time, draft.status.state_since)
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


def _lost(draft: _Draft) -> MachinePlan:
    """The cloud ended the machine without being asked."""
    if draft.status.state is not NodeState.TERMINATING:
        draft.move(NodeState.TERMINATING)
    draft.condition(ClaimCondition.ENDED, True, "EndedOutside", "somebody else ended its machine")
    draft.do(Tell("NodeLost", f"the machine of {draft.name} was terminated by somebody else", warning=True))
    return _end(draft)


_TABLE: dict[tuple[NodeState | None, Wanted], Callable[[_Draft], MachinePlan]] = {
    (None, Wanted.STANDBY): _launch,
    (None, Wanted.RUNNING): _launch,
    (None, Wanted.GONE): _forget,
    (NodeState.WARMUP, Wanted.STANDBY): _prepare,
    (NodeState.WARMUP, Wanted.RUNNING): _prepare,
    (NodeState.WARMUP, Wanted.GONE): _remove,
    (NodeState.STANDBY, Wanted.STANDBY): _stand_by,
    (NodeState.STANDBY, Wanted.RUNNING): _wake,
    (NodeState.STANDBY, Wanted.GONE): _remove,
    (NodeState.RUNNING, Wanted.STANDBY): _retire,
    (NodeState.RUNNING, Wanted.RUNNING): _serve,
    (NodeState.RUNNING, Wanted.GONE): _retire,
    (NodeState.TERMINATING, Wanted.STANDBY): _park,
    (NodeState.TERMINATING, Wanted.RUNNING): _resume,
    (NodeState.TERMINATING, Wanted.GONE): _remove,
}
