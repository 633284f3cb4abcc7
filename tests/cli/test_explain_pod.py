"""Stories of pods that a quiet cluster seldom shows: held back, left waiting, served cold, refused by every pool."""

from datetime import timedelta

import msgspec
import pytest

from stratos.apis.event import Event, ObjectReference
from stratos.apis.meta import Condition, ObjectMeta
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeState, Wanted
from stratos.apis.nodepool import NodePool
from stratos.apis.pod import Pod, SchedulingGate
from stratos.cli.explaining.pod import tell_pod
from stratos.cli.explaining.scene import Scene
from stratos.snapshot.pool import PoolMachine
from stratos.testing.pool_builders import NOW, a_claim, a_look, a_machine, a_node, a_pod, a_pool

CREATED = NOW - timedelta(seconds=90)


def created(pod: Pod) -> Pod:
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, creation_timestamp=CREATED))


def a_scene(pod: Pod, *machines: PoolMachine, pool: NodePool | None = None) -> Scene:
    return Scene(taken_at=NOW, looks=(a_look(pool, *machines),), waiting=(pod,) if pod.unschedulable else ())


def test_a_pod_with_gates_names_them() -> None:
    """No pool and no scheduler can do anything for it, so neither is to blame."""
    pod = created(a_pod())
    held = msgspec.structs.replace(
        pod,
        spec=msgspec.structs.replace(pod.spec, scheduling_gates=(SchedulingGate(name="team/quota"),)),
        status=msgspec.structs.replace(pod.status, conditions=()),
    )

    story = tell_pod(a_scene(held), held)

    assert "held back for 90s" in story.headline
    assert "team/quota" in story.reasons[0]


def test_a_pod_that_a_full_pool_leaves_waiting_says_what_the_pool_reports_and_what_to_raise() -> None:
    """It matches; there is just nothing left. That is another problem than matching nothing."""
    pod = created(a_pod(cpu="3"))
    report = "left waiting: 1 pod (default/web): the pool owns 1 of 1 machine allowed, and none is free"
    pool = a_pool(size=1, standby=0)
    status = msgspec.structs.replace(
        pool.status, conditions=(Condition(type="ScaleUpInProgress", status="False", message=report),)
    )
    busy = a_machine("ci-1", state=NodeState.RUNNING, wanted=Wanted.RUNNING, pods=[a_pod("other", cpu="3", node="n")])

    story = tell_pod(a_scene(pod, busy, pool=msgspec.structs.replace(pool, status=status)), pod)

    assert "pool ci is to serve it and has no machine for it yet" in story.headline
    assert f"pool ci reports: {report}" in story.reasons
    assert story.hint.startswith("raise spec.poolSize of NodePool ci, now 1")


def test_a_pod_whose_machine_is_coming_tells_of_it_and_of_what_went_wrong() -> None:
    """A start that the cloud refused is why it takes longer than it should."""
    pod = created(a_pod())
    decision = Decision(reason="ScaleUp", message="a standby machine for default/web", at=NOW, pods=("default/web",))
    coming = a_machine("ci-1", state=NodeState.STANDBY, wanted=Wanted.RUNNING, wakes=1, wakes_done=0, decision=decision)

    story = tell_pod(a_scene(pod, coming), pod)

    assert "pool ci is bringing ci-1 into service for it" in story.headline
    assert story.reasons[0] == "ScaleUp: a standby machine for default/web"
    assert [step.stage for step in story.steps] == ["created", "unschedulable", "decided"]


def test_a_machine_launched_for_a_pod_is_told_as_the_cold_path() -> None:
    """Minutes instead of seconds: the reader should see at once that nothing stood by."""
    decision = Decision(
        reason="ScaleUp", message="a cold machine for default/web", at=CREATED, pods=("default/web", "default/web-2")
    )
    claim = a_claim(
        "ci-1",
        state=NodeState.RUNNING,
        wanted=Wanted.RUNNING,
        decision=decision,
        launched_at=CREATED + timedelta(seconds=1),
        last_started_at=CREATED + timedelta(seconds=1),
        warmup_completed_at=CREATED + timedelta(seconds=60),
        ready_at=CREATED + timedelta(seconds=61),
    )
    pod = created(a_pod(node="node-ci-1", phase="Running"))

    story = tell_pod(
        a_scene(pod, PoolMachine(claim, a_node("ci-1"), (pod,))), pod, started_at=CREATED + timedelta(seconds=70)
    )

    assert story.headline == "pod default/web runs on node-ci-1, 70s after it was created (a machine was launched cold)"
    assert story.facts["path"] == "cold"
    assert [step.stage for step in story.steps] == [
        "created", "unschedulable", "decided", "launched", "prepared", "node-ready", "running",
    ]  # fmt: skip
    assert "it was brought into service for default/web-2, too" in story.reasons


def test_the_schedulers_own_words_are_told() -> None:
    """They name the nodes that are there already, which no pool knows about."""
    pod = created(a_pod())
    event = Event(
        metadata=ObjectMeta(name="e"),
        involved_object=ObjectReference(kind="Pod", name="web"),
        reason="FailedScheduling",
        message="0/3 nodes are available: 3 Insufficient cpu.",
        event_time=CREATED + timedelta(seconds=1),  # as newer schedulers tell the time
    )

    story = tell_pod(a_scene(pod), pod, [event])

    assert story.steps[1].text == "no node fits: 0/3 nodes are available: 3 Insufficient cpu."


@pytest.mark.parametrize(
    ("pod", "template", "hint"),
    [
        (a_pod(selector={"disk": "ssd"}), {}, "add disk=ssd to the pool's spec.template.labels"),
        (a_pod(), {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}, "give the pod a toleration"),
        (a_pod(cpu="100"), {}, "ask for less cpu"),
        (a_pod(cpu="100", selector={"disk": "ssd"}), {}, "more than one wish of the pod"),
    ],
    ids=["label", "taint", "size", "two"],
)
def test_the_hint_names_the_wish_that_stands_in_the_way(pod: Pod, template: dict[str, object], hint: str) -> None:
    """One change that would help is worth more than a list of all that differs."""
    story = tell_pod(a_scene(pod, pool=a_pool(template=template)), pod)

    assert story.hint.startswith(hint)
    assert len(story.rejected) == 1


def test_a_refusal_is_told_before_what_it_led_to() -> None:
    """Events are posted a little late; a story that shows the effect before its cause confuses."""
    decided = CREATED + timedelta(seconds=1)
    decision = Decision(reason="ScaleUp", message="a standby machine", at=decided, pods=("default/web",))
    coming = a_machine("ci-1", wanted=Wanted.RUNNING, wakes=1, wakes_done=0, decision=decision)
    late = Event(reason="FailedScheduling", message="no room", first_timestamp=decided + timedelta(seconds=4))
    pod = created(a_pod())

    steps = tell_pod(a_scene(pod, coming), pod, [late]).steps

    assert [(step.at, step.stage) for step in steps[1:]] == [(decided, "unschedulable"), (decided, "decided")]


def test_without_any_pool_the_hint_is_to_make_one() -> None:
    """The first thing a new user runs into."""
    pod = created(a_pod())

    story = tell_pod(Scene(taken_at=NOW, waiting=(pod,)), pod)

    assert "there are no pools" in story.headline
    assert story.hint.startswith("create a NodePool")


def test_a_wake_that_failed_is_said() -> None:
    """The condition says what the cloud answered."""
    pod = created(a_pod())
    decision = Decision(reason="ScaleUp", message="a standby machine", at=NOW, pods=("default/web",))
    coming = a_machine(
        "ci-1",
        state=NodeState.RUNNING,
        wanted=Wanted.RUNNING,
        decision=decision,
        ready_at=None,
        conditions={ClaimCondition.WOKEN: "InsufficientCapacity"},
    )

    story = tell_pod(a_scene(pod, coming), pod)

    assert any(reason.startswith("Woken: ") for reason in story.reasons)


def test_other_pools_say_why_they_did_not_act() -> None:
    """Several may match; readers wonder why it was this one."""
    pod = created(a_pod(node="node-ci-1", phase="Running"))
    machine = a_machine("ci-1", state=NodeState.RUNNING, wanted=Wanted.RUNNING, pods=[pod])
    tainted = a_pool("gpu", template={"taints": [{"key": "gpu", "effect": "NoSchedule"}]})
    looks = (a_look(None, machine), a_look(tainted), a_look(a_pool("spare")))

    story = tell_pod(Scene(taken_at=NOW, looks=looks), pod)

    assert story.rejected == (
        "pool gpu: the pod does not tolerate its taint gpu=:NoSchedule",
        "pool spare: would do too; one acts for a pod, and that was pool ci",
    )


def test_a_pod_that_is_slow_to_start_is_sent_to_look_at_its_images() -> None:
    """From here on it is the node's business, which no pool knows about; right after binding it is just early."""
    pod = created(a_pod(node="node-ci-1"))
    bound = Condition(type="PodScheduled", status="True", last_transition_time=NOW - timedelta(minutes=3))
    slow = msgspec.structs.replace(pod, status=msgspec.structs.replace(pod.status, conditions=(bound,)))
    machine = a_machine("ci-1", state=NodeState.RUNNING, wanted=Wanted.RUNNING, pods=[slow])

    late = tell_pod(a_scene(slow, machine), slow)
    early = tell_pod(Scene(taken_at=NOW - timedelta(minutes=2), looks=(a_look(None, machine),)), slow)

    assert late.hint.startswith("bound 3m ago and not running")
    assert early.hint == ""
