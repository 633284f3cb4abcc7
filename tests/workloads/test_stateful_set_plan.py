"""The laws of a StatefulSet's steps, whatever its pods are going through."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import ObjectMeta
from stratos.apis.pod import Pod
from stratos.apis.statefulset import (
    STATEFUL_SET,
    RollingUpdateStatefulSet,
    StatefulSet,
    StatefulSetOrdinals,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from stratos.apis.workload import CONTROLLER_REVISION_HASH, ControllerRevision
from stratos.workloads.revisions import Revisions, plan_revisions
from stratos.workloads.statefulset.plan import ordinal_of, plan_stateful_set
from workloads.objects import NOW, a_pod, a_template


def a_stateful_set(replicas: int = 3, *, partition: int = 0, policy: str = "OrderedReady", **spec: Any) -> StatefulSet:
    strategy = StatefulSetUpdateStrategy(rolling_update=RollingUpdateStatefulSet(partition=partition))
    return StatefulSet(
        metadata=ObjectMeta(name="web", namespace="default", uid="s", generation=1),
        spec=StatefulSetSpec(
            replicas=replicas, pod_management_policy=policy, update_strategy=strategy, template=a_template(), **spec
        ),
    )


def a_revision(name: str, number: int, image: str) -> ControllerRevision:
    return ControllerRevision(
        metadata=ObjectMeta(name=name, namespace="default", uid=name),
        revision=number,
        data={"spec": {"template": {**a_template(image), "$patch": "replace"}}},
    )


OLD, NEW = a_revision("web-old", 1, "v1"), a_revision("web-new", 2, "v2")
UPDATING = Revisions(current=OLD, update=NEW, create=None, renumber=None, delete=())

STATES: dict[str, dict[str, Any]] = {
    "serves": {},
    "starts": {"phase": "Pending", "ready_seconds": None},
    "unready": {"ready_seconds": None},
    "leaves": {"leaving": True},
    "failed": {"phase": "Failed", "ready_seconds": None},
}


def a_member(ordinal: int, state: str, revision: ControllerRevision) -> Pod:
    labels = {"app": "web", CONTROLLER_REVISION_HASH: revision.metadata.name}
    return a_pod(f"web-{ordinal}", labels=labels, **STATES[state])


members = st.dictionaries(
    st.integers(0, 5), st.tuples(st.sampled_from(sorted(STATES)), st.sampled_from([OLD, NEW])), max_size=6
).map(lambda chosen: [a_member(ordinal, *state) for ordinal, state in sorted(chosen.items())])


@given(pods=members, replicas=st.integers(0, 5), partition=st.integers(0, 5))
def test_an_ordered_step_touches_one_pod_and_only_while_all_before_it_serve(
    pods: list[Pod], replicas: int, partition: int
) -> None:
    plan = plan_stateful_set(a_stateful_set(replicas, partition=partition), pods, UPDATING, NOW)

    touched = [each["metadata"]["name"] for each in plan.create] + [each.metadata.name for each in plan.delete]
    assert len(touched) <= 1
    serving = {pod.metadata.name for pod in pods if serves(pod)}
    for name in touched:
        ordinal = ordinal_of("web", name)
        assert ordinal is not None
        # A missing or failed member waits for those below it; whatever serves waits for all others.
        waits_for = range(ordinal if ordinal < replicas and name not in serving else replicas)
        assert {f"web-{other}" for other in waits_for} - {name} <= serving


def serves(pod: Pod) -> bool:
    running = pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None
    return running and bool(pod.status.conditions)


@given(pods=members, replicas=st.integers(0, 5), partition=st.integers(0, 5))
def test_no_pod_below_the_partition_is_replaced_for_being_outdated(
    pods: list[Pod], replicas: int, partition: int
) -> None:
    for policy in ("OrderedReady", "Parallel"):
        plan = plan_stateful_set(a_stateful_set(replicas, partition=partition, policy=policy), pods, UPDATING, NOW)
        for pod in plan.delete:
            ordinal = ordinal_of("web", pod.metadata.name)
            assert ordinal is not None
            assert ordinal >= min(partition, replicas) or pod.finished


@given(
    pods=members,
    replicas=st.integers(0, 5),
    partition=st.integers(0, 5),
    policy=st.sampled_from(["OrderedReady", "Parallel"]),
)
def test_a_set_arrives_whatever_it_starts_from(pods: list[Pod], replicas: int, partition: int, policy: str) -> None:
    """Pods that are left alone come to serve, those told to leave are gone: then every set ends as it was meant."""
    stateful_set = a_stateful_set(replicas, partition=partition, policy=policy)
    for _ in range(60):
        pods = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
        pods = [pod if pod.finished else _now_serving(pod) for pod in pods]
        plan = plan_stateful_set(stateful_set, pods, UPDATING, NOW)
        gone = {pod.metadata.name for pod in plan.delete}
        pods = [pod for pod in pods if pod.metadata.name not in gone]
        pods += [_made(body) for body in plan.create]
        if not plan.create and not plan.delete:
            break
    else:
        raise AssertionError("the set never settles")

    revisions = {pod.metadata.name: pod.metadata.labels[CONTROLLER_REVISION_HASH] for pod in pods}
    assert sorted(revisions) == [f"web-{ordinal}" for ordinal in range(replicas)]
    assert all(revisions[f"web-{ordinal}"] == "web-new" for ordinal in range(partition, replicas))


def _now_serving(pod: Pod) -> Pod:
    return a_pod(pod.metadata.name, labels=pod.metadata.labels)


def _made(body: dict[str, Any]) -> Pod:
    return a_pod(body["metadata"]["name"], labels=body["metadata"]["labels"])


def test_a_changed_template_becomes_a_new_revision_and_a_restored_one_the_newest_again() -> None:
    """Going back must not copy history, and the number must rise so that `rollout history` shows what is newest."""
    owner = a_stateful_set()

    def plan(image: str, history: list[ControllerRevision]) -> Revisions:
        return plan_revisions(
            STATEFUL_SET,
            owner,
            a_template(image),
            history,
            current_name="web-old",
            in_use=frozenset(),
            limit=10,
            collision_count=None,
        )

    made = plan("v3", [OLD, NEW])
    assert made.create is not None
    assert made.create["revision"] == 3
    assert made.current is OLD

    restored = plan("v1", [OLD, NEW])
    assert (restored.create, restored.renumber, restored.update) == (None, 3, OLD)

    unchanged = plan("v2", [OLD, NEW])
    assert (unchanged.create, unchanged.renumber) == (None, None)


def test_history_in_use_is_never_forgotten() -> None:
    """A pod that runs an old revision may have to be made again from it."""
    history = [a_revision(f"web-{number}", number, f"v{number}") for number in range(1, 7)]

    revisions = plan_revisions(
        STATEFUL_SET,
        a_stateful_set(),
        a_template("v6"),
        history,
        current_name="web-5",
        in_use=frozenset({"web-1"}),
        limit=1,
        collision_count=None,
    )

    assert [each.metadata.name for each in revisions.delete] == ["web-2", "web-3"]


def test_an_ordinal_is_read_only_from_names_the_set_gives() -> None:
    assert ordinal_of("web", "web-12") == 12
    assert ordinal_of("web", "web-2-1") is None
    assert ordinal_of("web", "web-x") is None


def test_ordinals_start_where_they_are_told_to() -> None:
    stateful_set = a_stateful_set(2, policy="Parallel", ordinals=StatefulSetOrdinals(start=5))

    plan = plan_stateful_set(stateful_set, [], UPDATING, NOW)

    assert [each["metadata"]["name"] for each in plan.create] == ["web-5", "web-6"]
