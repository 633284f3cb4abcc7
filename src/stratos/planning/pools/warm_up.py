"""Preparing a machine: from its launch until it stands by, goes into service at once, or is given up."""

from __future__ import annotations

from datetime import timedelta

from stratos.apis import labels
from stratos.apis.meta import find_condition, is_condition_true
from stratos.apis.nodeclaim import ClaimCondition, NodeState, Wanted
from stratos.apis.nodepool import NodePoolSpec
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.planning.pools.draft import ASLEEP, UP, Draft
from stratos.planning.pools.endings import end, now_standby, stop
from stratos.planning.pools.nodes import STANDBY_TAINT, Role, has_taint, is_network_up, is_node_ready
from stratos.planning.pools.rooms import settled_node
from stratos.planning.pools.steps import MachinePlan, Tell
from stratos.planning.scheduling.daemons import compile_daemons, daemons_on
from stratos.snapshot.machine import MachineState


def prepare(draft: Draft) -> MachinePlan:
    settings = draft.look.settings or NodePoolSpec(pool_size=1, min_standby=0, template=draft.template)
    started = draft.status.launched_at or draft.status.state_since or draft.now
    timeout = parse_duration_seconds(settings.pre_warm.timeout)
    deadline = started + timedelta(seconds=timeout)
    if draft.is_gone:
        return _fail_warm_up(draft, "terminated", "WarmupFailed", "the cloud ended its machine")
    if not draft.claim.parks and draft.seen in ASLEEP:
        return _fail_warm_up(draft, "stopped_outside", "WarmupFailed", "somebody else stopped its machine")
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
    if failure and settings.pre_warm.image_pull_policy == "Required":
        return _fail_warm_up(draft, "image_pull_failed", "WarmupFailed", failure)
    if draft.seen is MachineState.STOPPED:
        return _complete_warm_up(draft, "self_stop", "it turned itself off")
    missing = "the machine to turn itself off" if draft.look.turns_itself_off else _missing(draft, settings)
    if not missing:
        return _complete_warm_up(draft, "controller_stop", "its node is ready")
    if draft.now < deadline:
        return draft.plan(missing, draft.seconds_until(deadline))
    late = f"it waited {format_duration(timeout)} for {missing}"
    if settings.pre_warm.timeout_action == "terminate":
        return _fail_warm_up(draft, "timeout", "WarmupTimeout", late)
    draft.do(Tell("WarmupTimeout", f"{draft.name} is used as it is: {late}", warning=True))
    return _complete_warm_up(draft, "timeout", late)


def _adopt(draft: Draft) -> None:
    """Make the node the claim's: named in it, labelled, and closed to all but DaemonSets."""
    node = draft.look.node
    if node is None:
        return
    if not is_condition_true(draft.status.conditions, ClaimCondition.REGISTERED):
        draft.record(node_name=node.metadata.name)
        draft.condition(ClaimCondition.REGISTERED, True, "NodeJoined", f"node {node.metadata.name} carries its machine")
    if draft.status.warmup_completed_at is None:
        draft.shape(Role.PREPARED)


def _failed_images(draft: Draft) -> str:
    node = draft.look.node
    pulled = find_condition(node.status.conditions, labels.IMAGES_PULLED_CONDITION) if node else None
    return pulled.message or pulled.reason if pulled is not None and pulled.status == "False" else ""


def _missing(draft: Draft, settings: NodePoolSpec) -> str:
    """The first thing that a node has to have before it stands by, and has not. Empty: it is prepared."""
    node = draft.look.node
    if node is None or not is_node_ready(node, None):
        return "its node to be ready"
    if draft.template.network_readiness_strategy == "Taint" and not is_network_up(node, None):
        return "its network to be up"
    if draft.look.claim.spec.wanted is Wanted.RUNNING:
        return ""  # pods wait for it already, and fetch what they need themselves
    pulled = find_condition(node.status.conditions, labels.IMAGES_PULLED_CONDITION)
    if pulled.status == "Unknown" if pulled else draft.look.pulls_images and settings.pre_warm.all_images:
        return "its images to be pulled"
    ready = {
        f"{pod.metadata.namespace}/{owner.name}"
        for pod in draft.look.pods
        if (owner := pod.metadata.controller) and is_condition_true(pod.status.conditions, "Ready")
    }
    daemons = daemons_on(compile_daemons(draft.look.daemon_sets), settled_node(node, draft.template))
    late = [key for key, _ in daemons if key not in ready]
    return f"the pod of DaemonSet {late[0]} to be ready" if late else ""


def _complete_warm_up(draft: Draft, mode: str, message: str) -> MachinePlan:
    draft.record(warmup_completed_at=draft.now)
    draft.condition(ClaimCondition.WARMED_UP, True, mode, message)
    return _leave_warm_up(draft)


def _leave_warm_up(draft: Draft) -> MachinePlan:
    """Prepared: stop it, unless pods wait for it already."""
    if not draft.claim.parks or (draft.claim.wish is Wanted.RUNNING and _is_still_open(draft)):
        draft.do(Tell("WarmupCompleted", f"{draft.name} is prepared and goes into service at once"))
        draft.move(
            NodeState.STANDBY,
            NodeState.RUNNING,
            wakes_done=draft.claim.spec.wakes,
            last_started_at=draft.status.launched_at,
        )
        draft.condition(ClaimCondition.WOKEN, True, "NeverParked", "it was needed before it could be parked")
        draft.nominate()
        draft.shape(Role.SERVING, lifted=True, just_started=True)
        draft.tag_state(NodeState.RUNNING)
        return draft.plan("its node to take pods", 0.0)
    if draft.seen is MachineState.STOPPED:
        draft.do(Tell("WarmupCompleted", f"{draft.name} is prepared and stands by"))
        return now_standby(draft)
    warmed_up = find_condition(draft.status.conditions, ClaimCondition.WARMED_UP)
    return stop(draft, force=warmed_up is not None and warmed_up.reason == "timeout")


def _is_still_open(draft: Draft) -> bool:
    """Not on its way to standby: once it is closed it stops first, and is woken then."""
    closed = draft.look.node is not None and has_taint(draft.look.node, STANDBY_TAINT)
    return draft.seen in UP and not closed and not draft.look.turns_itself_off


def _fail_warm_up(draft: Draft, reason: str, event: str, message: str) -> MachinePlan:
    draft.move(NodeState.TERMINATING)
    draft.condition(ClaimCondition.WARMED_UP, False, reason, message)
    draft.do(Tell(event, f"{draft.name} is given up ({reason}): {message}", warning=True))
    if not draft.is_gone:
        draft.tag_state("warmup-failed", **{labels.TAG_STATE_NOTE: reason})
    return end(draft)
