"""The story of a pod: where it is and what brought it there, or what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from stratos.apis.event import Event
from stratos.apis.meta import find_condition, is_condition_true
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim
from stratos.apis.pod import Pod
from stratos.base.duration import human_duration
from stratos.cli.explaining.hints import hint_for_left_waiting, hint_for_unserved
from stratos.cli.explaining.scene import (
    Scene,
    condition_time,
    decision_words,
    event_time,
    first_event,
    machine_words,
    owner_words,
    was_woken,
)
from stratos.cli.explaining.story import Step, Story, Value, in_order
from stratos.cli.explaining.template import (
    choice_of_template,
    not_chosen_lines,
    service_of_templates,
    what_if_lines,
)
from stratos.planning.estimating.choice import Choice
from stratos.planning.pools.matching import why_not
from stratos.snapshot.pool import PoolMachine, PoolSnapshot

WARM = "warm"  # a standby machine was started for it
COLD = "cold"  # a machine was launched for it
RUNNING = "running"  # its node was running already

_USUAL_START = timedelta(minutes=2)  # on a node: longer than most images take
_PATH_WORDS = {
    WARM: "a standby machine was started",
    COLD: "a machine was launched cold",
    RUNNING: "its node was running already",
}
_WHY_THAT_ONE = {
    WARM: "standby machines go first, and of them the one last in service: its caches are the freshest",
    COLD: "no machine stood by that could have served it",
}


def tell_pod(scene: Scene, pod: Pod, events: Sequence[Event] = (), started_at: datetime | None = None) -> Story:
    """``events`` are those about the pod, ``started_at`` is when the last of its containers started."""
    if pod.spec.node_name:
        return _tell_placed(scene, pod, events, started_at)
    return _tell_waiting(scene, pod, events)


# On a node


def _tell_placed(scene: Scene, pod: Pod, events: Sequence[Event], started_at: datetime | None) -> Story:
    found = scene.machine_of_node(pod.spec.node_name)
    claim = found[1].claim if found else scene.template_claim_of_node(pod.spec.node_name)
    choice = choice_of_template(scene.world, pod, claim.spec.template) if claim is not None else None
    path = _path(pod, claim) if claim is not None else None
    steps = _steps(pod, claim, events, started_at)
    return Story(
        kind="pod",
        name=pod.metadata.key,
        headline=f"pod {pod.metadata.key} {_doing(pod)} {pod.spec.node_name}{_waited(pod, steps, path)}",
        facts=_facts(scene, pod, claim, steps, path),
        steps=steps,
        reasons=_why_there(pod, claim, path),
        rejected=_rejected(scene, pod, claim, choice) if claim is not None else (),
        what_if=what_if_lines(choice) if choice is not None else (),
        hint="" if started_at or pod.finished else _hint_for_starting(scene, pod),
    )


def _doing(pod: Pod) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "is being deleted from"
    match pod.status.phase:
        case "Running":
            return "runs on"
        case "Pending":
            return "is starting on"
        case phase:
            return f"ended ({phase}) on"


def _waited(pod: Pod, steps: Sequence[Step], path: str | None) -> str:
    ends = [step.at for step in steps if step.stage == "running"]
    if not ends or pod.metadata.creation_timestamp is None:
        return ""
    how = f" ({_PATH_WORDS[path]})" if path else ""
    seconds = human_duration((ends[0] - pod.metadata.creation_timestamp).total_seconds())
    started = "; it started" if pod.finished else ","
    return f"{started} {seconds} after it was created{how}"


def _path(pod: Pod, claim: NodeClaim) -> str:
    created, ready = pod.metadata.creation_timestamp, claim.status.ready_at
    decision = claim.spec.decision
    made_for_it = decision is not None and pod.metadata.key in decision.pods
    if not made_for_it and created is not None and ready is not None and ready <= created:
        return RUNNING
    return WARM if was_woken(claim) else COLD


def _why_there(pod: Pod, claim: NodeClaim | None, path: str | None) -> tuple[str, ...]:
    if claim is None:
        return (f"no NodePool or NodeTemplate made {pod.spec.node_name}: the scheduler found room there",)
    decision = claim.spec.decision
    if decision is None or pod.metadata.key not in decision.pods:
        if path == RUNNING or decision is None:
            return ("the scheduler found room there: no machine was brought into service for this pod",)
        return ("the scheduler found room on a machine that came into service for others", decision_words(decision))
    others = ", ".join(key for key in decision.pods if key != pod.metadata.key)
    return (
        decision_words(decision),
        *((_WHY_THAT_ONE[path],) if path in _WHY_THAT_ONE else ()),
        *((f"it was brought into service for {others}, too",) if others else ()),
    )


def _hint_for_starting(scene: Scene, pod: Pod) -> str:
    bound = condition_time(pod.status.conditions, "PodScheduled")
    if bound is None or scene.taken_at < bound + _USUAL_START or pod.metadata.deletion_timestamp is not None:
        return ""
    since = scene.age(bound)
    return f"bound {since} ago and not running: kubectl describe pod tells of images and volumes that are missing"


def _rejected(scene: Scene, pod: Pod, claim: NodeClaim, choice: Choice | None) -> tuple[str, ...]:
    """What was weighed at the time, if the machine came for this pod; of others, how it looks now."""
    decision = claim.spec.decision
    then = decision.rejected if decision is not None and pod.metadata.key in decision.pods else ()
    if choice is not None:
        return not_chosen_lines(choice)
    asks = scene.compile_pod(pod)
    now = tuple(
        f"pool {offer.pool}: "
        + (why_not(asks, offer) or f"would do too; one acts for a pod, and that was {owner_words(claim)}")
        for offer in sorted(scene.offers, key=lambda offer: offer.pool)
        if offer.pool != claim.spec.pool
    )
    told = {_pool_of(line) for line in then}
    return (*then, *(line for line in now if _pool_of(line) not in told))


def _pool_of(line: str) -> str:
    """Of lines such as ``pool gpu: …``, as verdicts have them."""
    return line.partition(":")[0]


# Waiting


def _tell_waiting(scene: Scene, pod: Pod, events: Sequence[Event]) -> Story:
    key = pod.metadata.key
    created = pod.metadata.creation_timestamp
    age = f" for {scene.age(created)}" if created else ""
    if pod.finished:
        return Story(
            "pod", key, f"pod {key} ended ({pod.status.phase}) without a node", _steps(pod, None, events, None)
        )
    if pod.spec.scheduling_gates:
        gates = ", ".join(gate.name for gate in pod.spec.scheduling_gates)
        return Story(
            kind="pod",
            name=key,
            headline=f"pod {key} has been held back{age}: it has scheduling gates",
            steps=_steps(pod, None, events, None),
            reasons=(f"no scheduler looks at it before these gates are removed: {gates}",),
            hint=f"remove spec.schedulingGates; whoever set {gates} is meant to",
        )
    if not pod.unschedulable:
        scheduler = pod.spec.scheduler_name
        return Story(
            kind="pod",
            name=key,
            headline=f"pod {key} has been waiting{age}: the scheduler has not looked at it yet",
            steps=_steps(pod, None, events, None),
            hint=f"if this lasts, see whether the scheduler it names ({scheduler}) runs",
        )
    return _tell_unschedulable(scene, pod, events, age)


def _tell_unschedulable(scene: Scene, pod: Pod, events: Sequence[Event], age: str) -> Story:
    key = pod.metadata.key
    asks = scene.compile_pod(pod)
    verdict = scene.choice.choose(key, asks)
    promised = scene.machine_promised_to(key)
    look = scene.look(verdict.pool) if verdict.pool else None
    if look is None and (story := _left_to_templates(scene, pod, events, age)) is not None:
        return story
    claim = promised[1].claim if promised else None
    if promised is not None and look is not None and promised[0].pool is look.pool:
        acting, reasons, hint = _on_its_way(look, promised[1])
    elif look is not None:
        acting = f"pool {verdict.pool} is to serve it and has no machine for it yet"
        reasons, hint = _said_by(look), hint_for_left_waiting(look)
        claim = None
    else:
        acting = "no pool can serve it" if scene.looks else "there are no pools"
        reasons, hint, claim = (), hint_for_unserved(asks, scene.offers), None
    steps = _steps(pod, claim, events, None)
    return Story(
        kind="pod",
        name=key,
        headline=f"pod {key} has been waiting{age}: {acting}",
        facts=_facts(scene, pod, claim, steps, None) | {"pool": verdict.pool},
        steps=steps,
        reasons=reasons,
        rejected=verdict.report,
        hint=hint,
    )


def _left_to_templates(scene: Scene, pod: Pod, events: Sequence[Event], age: str) -> Story | None:
    """None when no template serves the pod either."""
    served = service_of_templates(scene, pod, events)
    if served is None:
        return None
    steps = _steps(pod, served.claim, events, None)
    return Story(
        kind="pod",
        name=pod.metadata.key,
        headline=f"pod {pod.metadata.key} has been waiting{age}: {served.acting}",
        facts=_facts(scene, pod, served.claim, steps, None) | {"template": served.template},
        steps=steps,
        reasons=served.reasons,
        rejected=(*not_chosen_lines(served.choice), *served.other_templates),
        what_if=what_if_lines(served.choice),
        hint=served.hint,
    )


def _on_its_way(look: PoolSnapshot, machine: PoolMachine) -> tuple[str, tuple[str, ...], str]:
    """Headline, reasons and hint for a pod whose machine is coming."""
    claim = machine.claim
    decision = claim.spec.decision
    reasons = (decision_words(decision),) if decision is not None else ()
    if is_condition_true(claim.status.conditions, ClaimCondition.READY):
        ready = f"{claim.status.node_name} is ready for it"
        return ready, reasons, "if the scheduler still refuses that node, its message below the pod's creation says why"
    failed = [
        f"{condition.type}: {condition.message}"
        for type_ in (ClaimCondition.LAUNCHED, ClaimCondition.WOKEN, ClaimCondition.WARMED_UP)
        if (condition := find_condition(claim.status.conditions, type_)) is not None and condition.status == "False"
    ]
    coming = f"pool {look.pool.metadata.name} is bringing {claim.metadata.name} into service for it"
    return coming, (*reasons, *failed), ""


def _said_by(look: PoolSnapshot) -> tuple[str, ...]:
    """What the pool itself reports of why it has nothing more to give."""
    conditions = look.pool.status.conditions
    told = [find_condition(conditions, "ScaleUpInProgress"), find_condition(conditions, "Degraded")]
    name = look.pool.metadata.name
    return tuple(f"pool {name} reports: {each.message}" for each in told if each is not None and each.message)


# What happened


def _steps(pod: Pod, claim: NodeClaim | None, events: Sequence[Event], started_at: datetime | None) -> tuple[Step, ...]:
    created = pod.metadata.creation_timestamp
    if created is None:
        return ()
    found = [
        Step(created, "created", "created"),
        *_refusals(pod, claim, events),
        *(_machine_steps(pod, claim) if claim is not None else ()),
        *_node_steps(pod, events, started_at),
    ]
    return in_order(step for step in found if step.at >= created)


def _refusals(pod: Pod, claim: NodeClaim | None, events: Sequence[Event]) -> Iterator[Step]:
    """Events are told a little late: a pool that acted for the pod had seen it refused before."""
    refused = first_event(events, "FailedScheduling")
    condition = find_condition(pod.status.conditions, "PodScheduled")
    since = condition_time(pod.status.conditions, "PodScheduled", "False")
    decision = claim.spec.decision if claim is not None else None
    acted_at = decision.at if decision is not None and pod.metadata.key in decision.pods else None
    told_at = event_time(refused) if refused is not None else None
    known = [at for at in (told_at, since, acted_at) if at is not None]
    said = refused.message if refused is not None else condition.message if since and condition else ""
    if known:
        yield Step(min(known), "unschedulable", f"no node fits: {said}" if said else "no node fits")


def _machine_steps(pod: Pod, claim: NodeClaim) -> Iterator[Step]:
    """What the machine did; what it did before the pod was there is dropped by the caller."""
    status, decision = claim.status, claim.spec.decision
    if decision is not None and pod.metadata.key in decision.pods:
        yield Step(decision.at, "decided", f"{owner_words(claim)} acted: {claim.metadata.name} is to serve it")
    if status.launched_at is not None:
        yield Step(status.launched_at, "launched", f"the cloud launched {machine_words(claim)}")
    if joined := condition_time(status.conditions, ClaimCondition.REGISTERED):
        yield Step(joined, "joined", f"its node joined: {status.node_name}")
    if status.warmup_completed_at is not None:
        yield Step(status.warmup_completed_at, "prepared", "the machine was prepared")
    if was_woken(claim) and status.last_started_at is not None:
        yield Step(status.last_started_at, "started", f"the cloud was asked to start {machine_words(claim)}")
    if status.ready_at is not None:
        yield Step(status.ready_at, "node-ready", "node and network were ready")


def _node_steps(pod: Pod, events: Sequence[Event], started_at: datetime | None) -> Iterator[Step]:
    conditions = pod.status.conditions
    if bound := condition_time(conditions, "PodScheduled"):
        yield Step(bound, "bound", f"bound to {pod.spec.node_name}")
    pulled = first_event(events, "Pulled")
    if pulled is not None and (at := event_time(pulled)) is not None:
        yield Step(at, "image-pulled", pulled.message)
    if started_at is not None:
        yield Step(started_at, "running", "its containers ran")
    ready = condition_time(conditions, "Ready")
    if ready is not None and (started_at is None or ready > started_at):
        yield Step(ready, "ready", "it became ready")
    ended = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses or ()
        if status.state.terminated is not None and status.state.terminated.finished_at is not None
    ]
    if pod.finished and ended:
        yield Step(max(ended), "ended", f"it ended: {pod.status.phase}")


def _facts(
    scene: Scene, pod: Pod, claim: NodeClaim | None, steps: Sequence[Step], path: str | None
) -> dict[str, Value]:
    ends = next((step.at for step in steps if step.stage == "running"), scene.taken_at)
    created = pod.metadata.creation_timestamp
    return {
        "phase": pod.status.phase,
        "path": path,
        "pending_seconds": max(0.0, round((ends - created).total_seconds(), 3)) if created else None,
        "pool": claim.spec.pool if claim else None,
        "template": claim.spec.template if claim else None,
        "machine": claim.metadata.name if claim else None,
        "node": pod.spec.node_name or None,
    }
