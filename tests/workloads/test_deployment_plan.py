"""The laws of a rollout, attacked with every order in which pods may come, go and be reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.deployment import (
    REVISION_ANNOTATION,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    RollingUpdateDeployment,
)
from stratos.apis.meta import ObjectMeta, find_condition
from stratos.apis.replicaset import ReplicaSet, ReplicaSetSpec, ReplicaSetStatus
from stratos.workloads.bounds import scaled, surge_and_unavailable
from stratos.workloads.deployment.plan import bounds_of, plan_deployment
from stratos.workloads.deployment.proportional import resize
from stratos.workloads.revisions import template_hash
from workloads.objects import NOW, a_template


def a_deployment(replicas: int = 3, *, image: str = "v1", **spec: Any) -> Deployment:
    return Deployment(
        metadata=ObjectMeta(name="web", namespace="default", uid="d", generation=2),
        spec=DeploymentSpec(replicas=replicas, template=a_template(image), **spec),
    )


def a_replica_set(
    image: str,
    replicas: int,
    *,
    available: int | None = None,
    annotations: dict[str, str] | None = None,
    age_seconds: float = 0,
) -> ReplicaSet:
    serving = replicas if available is None else available
    return ReplicaSet(
        metadata=ObjectMeta(
            name=f"web-{image}",
            namespace="default",
            uid=f"uid-{image}",
            annotations=annotations or {},
            creation_timestamp=NOW - timedelta(seconds=age_seconds),
        ),
        spec=ReplicaSetSpec(replicas=replicas, template=a_template(image)),
        status=ReplicaSetStatus(replicas=replicas, ready_replicas=serving, available_replicas=serving),
    )


@dataclass
class World:
    """ReplicaSets with real pods behind them; their statuses tell of the pods only when they are synced."""

    deployment: Deployment
    sets: dict[str, ReplicaSet] = field(default_factory=dict)
    pods: dict[str, list[bool]] = field(default_factory=dict)  # by ReplicaSet: is each pod serving?

    def plan(self) -> bool:
        """Plan and carry out once. Says whether anything changed."""
        plan = plan_deployment(self.deployment, list(self.sets.values()), [], NOW)
        for change in plan.change:
            self._change(change.replica_set, change.replicas, dict(change.annotations))
        if plan.create is not None:
            created = msgspec.convert(plan.create, ReplicaSet)
            metadata = msgspec.structs.replace(
                created.metadata, uid=created.metadata.name, creation_timestamp=NOW + timedelta(seconds=len(self.sets))
            )
            self.sets[created.metadata.name] = msgspec.structs.replace(created, metadata=metadata)
            self.pods[created.metadata.name] = []
        return bool(plan.change) or plan.create is not None

    def _change(self, before: ReplicaSet, replicas: int, annotations: dict[str, str]) -> None:
        metadata = msgspec.structs.replace(before.metadata, annotations={**before.metadata.annotations, **annotations})
        spec = msgspec.structs.replace(before.spec, replicas=replicas)
        self.sets[before.metadata.name] = msgspec.structs.replace(before, metadata=metadata, spec=spec)

    def sync(self, name: str) -> None:
        """The ReplicaSet controller makes and removes pods (not serving ones first), and reports."""
        serving = sorted(self.pods[name], reverse=True)[: self.sets[name].spec.replicas]
        serving += [False] * (self.sets[name].spec.replicas - len(serving))
        self.pods[name] = serving
        status = ReplicaSetStatus(replicas=len(serving), ready_replicas=sum(serving), available_replicas=sum(serving))
        self.sets[name] = msgspec.structs.replace(self.sets[name], status=status)

    def serve(self, name: str) -> None:
        """One more pod becomes ready; the status does not know yet."""
        if False in self.pods[name]:
            self.pods[name][self.pods[name].index(False)] = True

    @property
    def serving(self) -> int:
        return sum(sum(pods) for pods in self.pods.values())

    @property
    def wanted(self) -> int:
        return sum(each.spec.replicas for each in self.sets.values())


bounds = st.integers(0, 4) | st.sampled_from(["0%", "25%", "50%", "100%"])


@given(
    replicas=st.integers(1, 8),
    surge=bounds,
    unavailable=bounds,
    steps=st.lists(st.tuples(st.sampled_from(["plan", "sync", "serve"]), st.integers(0, 2)), max_size=60),
    changes=st.integers(1, 2),
)
def test_a_rollout_stays_within_its_bounds_and_arrives_whatever_the_order(
    replicas: int,
    surge: int | str,
    unavailable: int | str,
    steps: list[tuple[str, int]],
    changes: int,
) -> None:
    """Never more pods than surge allows, never fewer serving than promised, and in the end only new ones."""
    rolling = RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    strategy = DeploymentStrategy(rolling_update=rolling)
    world = World(a_deployment(replicas, image="v0", strategy=strategy))
    settle(world)
    limits = bounds_of(world.deployment)
    for version in range(1, changes + 1):
        world.deployment = a_deployment(replicas, image=f"v{version}", strategy=strategy)
        for step, choice in steps:
            names = sorted(world.sets)
            if step == "plan":
                world.plan()
            elif step == "sync":
                world.sync(names[choice % len(names)])
            else:
                world.serve(names[choice % len(names)])
            assert world.wanted <= limits.most
            assert world.serving >= limits.least_available
    settle(world)

    assert world.wanted == world.serving == replicas
    new = [each for each in world.sets.values() if each.spec.replicas]
    assert [each.spec.template["spec"]["containers"][0]["image"] for each in new] == [f"v{changes}"]


def settle(world: World) -> None:
    """Let everybody do their work until nothing is left to do."""
    for _ in range(200):
        for name in sorted(world.sets):
            world.sync(name)
            for _ in world.pods[name]:
                world.serve(name)
            world.sync(name)
        if not world.plan():
            return
    raise AssertionError("the rollout never settles")


@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    desired=st.integers(0, 60),
    surge=st.integers(0, 5),
)
def test_resizing_in_the_middle_of_a_rollout_shares_the_change_out_whole(
    sizes: list[int], desired: int, surge: int
) -> None:
    """What is added or taken away is exactly the difference, and nobody goes below zero."""
    sets = [a_replica_set(f"v{number}", size, available=0) for number, size in enumerate(sizes)]

    shares = resize(desired, desired + surge, sets[-1], sets[:-1])

    total = sum(shares.get(each.metadata.uid, each.spec.replicas) for each in sets)
    assert total == (desired + surge if desired else 0)
    assert min(shares.values()) >= 0
    growing = total >= sum(sizes)
    for each in sets:
        after = shares.get(each.metadata.uid, each.spec.replicas)
        assert after >= each.spec.replicas if growing else after <= each.spec.replicas


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "expected"),
    [
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 10, (3, 2)),
        ("0%", "10%", 5, (0, 1)),
        (0, "50%", 1, (0, 1)),
        (2, 0, 3, (2, 0)),
    ],
)
def test_bounds_round_in_favour_of_availability_and_never_to_a_standstill(
    surge: int | str, unavailable: int | str, desired: int, expected: tuple[int, int]
) -> None:
    assert surge_and_unavailable(surge, unavailable, desired) == expected


@given(percent=st.integers(0, 100), total=st.integers(0, 1000))
def test_a_percentage_is_rounded_by_less_than_one(percent: int, total: int) -> None:
    exact = percent * total / 100
    assert 0 <= scaled(f"{percent}%", total, round_up=True) - exact < 1
    assert 0 <= exact - scaled(f"{percent}%", total, round_up=False) < 1


def test_a_template_keeps_its_name_however_its_fields_are_ordered() -> None:
    """Servers and clients print fields in any order; that must not start a rollout."""
    one = {"metadata": {"labels": {"app": "web"}}, "spec": {"a": 1, "b": 2}}
    same = {"spec": {"b": 2, "a": 1}, "metadata": {"labels": {"app": "web", "pod-template-hash": "x"}}}

    assert template_hash(one) == template_hash(same)
    assert template_hash(one) != template_hash({**one, "spec": {"a": 1, "b": 3}})
    assert template_hash(one) != template_hash(one, collision_count=1)


def test_an_outage_in_the_middle_of_a_rollout_does_not_throw_the_old_pods_away() -> None:
    """They may come back, and the new ones have not shown yet that they work."""
    old, new = a_replica_set("v1", 4, available=0, age_seconds=500), a_replica_set("v2", 1, available=0)
    rolling = RollingUpdateDeployment(max_surge=1, max_unavailable=1)

    plan = plan_deployment(
        a_deployment(4, image="v2", strategy=DeploymentStrategy(rolling_update=rolling)), [old, new], [], NOW
    )

    assert [change.replicas for change in plan.change if change.replica_set is old] == [3]


def test_a_rollout_that_stops_advancing_is_declared_late_at_its_deadline_and_not_before() -> None:
    deployment = a_deployment(2, image="v2", progress_deadline_seconds=60)
    sets = [
        a_replica_set("v1", 2, age_seconds=500, annotations={REVISION_ANNOTATION: "1"}),
        a_replica_set("v2", 1, available=0, annotations={REVISION_ANNOTATION: "2"}),
    ]
    first = plan_deployment(deployment, sets, [], NOW)
    seen = msgspec.structs.replace(deployment, status=first.status)

    early = plan_deployment(seen, sets, [], NOW + timedelta(seconds=59))
    late = plan_deployment(seen, sets, [], NOW + timedelta(seconds=60))

    assert first.check_again_seconds == 60
    assert _progress(early.status) == ("True", "ReplicaSetUpdated")
    assert early.check_again_seconds == 1
    assert _progress(late.status) == ("False", "ProgressDeadlineExceeded")


def _progress(status: DeploymentStatus) -> tuple[str, str] | None:
    condition = find_condition(status.conditions, "Progressing")
    return (condition.status, condition.reason) if condition else None


def test_pods_lost_after_a_finished_rollout_do_not_restart_its_deadline() -> None:
    """A node failure a month later is no failed rollout."""
    deployment = a_deployment(2, image="v1", progress_deadline_seconds=60)
    finished = plan_deployment(deployment, [a_replica_set("v1", 2)], [], NOW)
    assert _progress(finished.status) == ("True", "NewReplicaSetAvailable")
    seen = msgspec.structs.replace(deployment, status=finished.status)

    later = plan_deployment(seen, [a_replica_set("v1", 2, available=1)], [], NOW + timedelta(days=30))

    assert _progress(later.status) == ("True", "NewReplicaSetAvailable")
    assert later.check_again_seconds is None


def test_a_plan_carried_out_leaves_nothing_to_do() -> None:
    """Controllers that keep writing keep each other awake."""
    world = World(a_deployment(3))
    settle(world)
    plan = plan_deployment(world.deployment, list(world.sets.values()), [], NOW)
    seen = msgspec.structs.replace(world.deployment, status=plan.status)

    assert plan_deployment(seen, list(world.sets.values()), [], NOW + timedelta(hours=1)).status == plan.status
