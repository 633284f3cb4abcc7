"""Where daemon pods belong, and how many nodes an update may leave without one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.daemonset import DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Effect
from stratos.apis.pod import Pod
from stratos.apis.workload import CONTROLLER_REVISION_HASH, ControllerRevision
from stratos.workloads.bounds import scaled
from stratos.workloads.daemonset.plan import Fit, fits, plan_daemon_set
from workloads.objects import NOW, a_node, a_pod, a_taint, a_template

UPDATE = ControllerRevision(metadata=ObjectMeta(name="agent-new"))


def a_daemon_set(*, unavailable: int | str = 1, surge: int | str = 0, **pod_spec: Any) -> DaemonSet:
    rolling = RollingUpdateDaemonSet(max_unavailable=unavailable, max_surge=surge)
    return DaemonSet(
        metadata=ObjectMeta(name="agent", namespace="default", uid="d"),
        spec=DaemonSetSpec(
            template=a_template(**pod_spec), update_strategy=DaemonSetUpdateStrategy(rolling_update=rolling)
        ),
    )


@pytest.mark.parametrize(
    ("key", "effect", "expected"),
    [
        ("stratos.sh/standby", "NoExecute", Fit(run=False, stay=False)),
        ("dedicated", "NoSchedule", Fit(run=False, stay=True)),
        ("dedicated", "PreferNoSchedule", Fit(run=True, stay=True)),
        ("node.kubernetes.io/not-ready", "NoExecute", Fit(run=True, stay=True)),
        ("node.kubernetes.io/unreachable", "NoExecute", Fit(run=True, stay=True)),
        ("node.kubernetes.io/unschedulable", "NoSchedule", Fit(run=True, stay=True)),
        ("node.kubernetes.io/disk-pressure", "NoSchedule", Fit(run=True, stay=True)),
        ("node.kubernetes.io/network-unavailable", "NoSchedule", Fit(run=False, stay=True)),
    ],
)
def test_taints_keep_daemons_off_unless_daemons_are_what_makes_the_node_usable(
    key: str, effect: Effect, expected: Fit
) -> None:
    assert fits(a_daemon_set(), a_node(taints=(a_taint(key, effect),))) == expected


def test_daemons_on_the_host_network_do_not_wait_for_the_network() -> None:
    """The network plugin itself is such a daemon."""
    node = a_node(taints=(a_taint("node.kubernetes.io/network-unavailable", "NoSchedule"),))

    assert fits(a_daemon_set(hostNetwork=True), node).run


def test_required_affinity_is_any_of_its_terms_and_all_of_each() -> None:
    terms = [
        {
            "matchExpressions": [
                {"key": "gpu", "operator": "Exists"},
                {"key": "zone", "operator": "NotIn", "values": ["b"]},
            ]
        },
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["special"]}]},
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    daemon_set = a_daemon_set(affinity={"nodeAffinity": required})

    assert fits(daemon_set, a_node("special")).run
    assert fits(daemon_set, a_node("x", labels={"gpu": "h100", "zone": "a"})).run
    assert not fits(daemon_set, a_node("x", labels={"gpu": "h100", "zone": "b"})).run
    assert not fits(daemon_set, a_node("x")).stay


def test_a_pod_is_pinned_to_its_node_and_keeps_all_else_of_its_template() -> None:
    """The template's own terms would be alternatives to the pin, so they must not stand beside it."""
    own = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]}
    preferred = [{"weight": 1, "preference": {"matchExpressions": [{"key": "fast", "operator": "Exists"}]}}]
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": own,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    }
    node = a_node("n", labels={"gpu": "yes"})

    (pod,) = plan_daemon_set(a_daemon_set(affinity=affinity, shmSize="1Gi"), [node], [], UPDATE, NOW).create

    node_affinity = pod["spec"]["affinity"]["nodeAffinity"]
    pin = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]
    assert node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] == {"nodeSelectorTerms": pin}
    assert node_affinity["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    assert pod["spec"]["shmSize"] == "1Gi"
    assert pod["metadata"]["labels"][CONTROLLER_REVISION_HASH] == "new"
    assert {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"} in pod["spec"][
        "tolerations"
    ]


def a_daemon(node: str, revision: str, *, number: int = 0, **state: Any) -> Pod:
    labels = {"app": "web", CONTROLLER_REVISION_HASH: revision}
    return a_pod(f"agent-{node}-{revision}-{number}", node=node, labels=labels, **state)


NODES = [a_node(f"n{number}") for number in range(6)]
daemons = st.lists(
    st.builds(
        a_daemon,
        node=st.sampled_from([node.metadata.name for node in NODES] + ["gone"]),
        revision=st.sampled_from(["old", "new"]),
        number=st.integers(0, 2),
        ready_seconds=st.sampled_from([None, 100.0]),
        leaving=st.booleans(),
        phase=st.sampled_from(["Running", "Running", "Failed"]),
    ),
    max_size=12,
    unique_by=lambda pod: pod.metadata.name,
)


@given(pods=daemons, unavailable=st.sampled_from([1, 2, "50%", "100%"]))
def test_an_update_never_takes_more_serving_nodes_than_its_budget(pods: list[Pod], unavailable: int | str) -> None:
    """Nodes that lack a serving pod already are paid from the same budget."""
    plan = plan_daemon_set(a_daemon_set(unavailable=unavailable), NODES, pods, UPDATE, NOW)

    gone = {pod.metadata.name for pod in (*plan.delete, *plan.failed)}
    before, after = serving_nodes(pods), serving_nodes([pod for pod in pods if pod.metadata.name not in gone])
    assert len(NODES) - len(after) <= max(scaled(unavailable, len(NODES), round_up=True), len(NODES) - len(before))


def serving_nodes(pods: list[Pod]) -> set[str]:
    known = {node.metadata.name for node in NODES}
    return {
        pod.spec.node_name
        for pod in pods
        if pod.spec.node_name in known
        and pod.status.conditions
        and not pod.finished
        and pod.metadata.deletion_timestamp is None
    }


@given(pods=daemons, surge=st.integers(0, 2))
def test_every_node_ends_with_one_new_pod_whatever_was_there(pods: list[Pod], surge: int) -> None:
    daemon_set = a_daemon_set(unavailable=1 if not surge else 0, surge=surge)
    for round_number in range(60):
        pods = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
        pods = [pod if pod.finished else a_daemon_again(pod) for pod in pods]
        plan = plan_daemon_set(daemon_set, NODES, pods, UPDATE, NOW)
        gone = {pod.metadata.name for pod in (*plan.delete, *plan.failed)}
        pods = [pod for pod in pods if pod.metadata.name not in gone]
        pods += [made(body, round_number) for body in plan.create]
        if not plan.create and not gone:
            break
    else:
        raise AssertionError("the set never settles")

    here = [pod for pod in pods if pod.spec.node_name != "gone"]
    assert sorted(pod.spec.node_name for pod in here) == [node.metadata.name for node in NODES]
    assert {pod.metadata.labels[CONTROLLER_REVISION_HASH] for pod in here} == {"new"}
    status = plan.status
    assert status.number_available == status.updated_number_scheduled == status.desired_number_scheduled == len(NODES)


def a_daemon_again(pod: Pod) -> Pod:
    return a_pod(pod.metadata.name, node=pod.spec.node_name, labels=pod.metadata.labels)


def made(body: dict[str, Any], round_number: int) -> Pod:
    terms = body["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    node = terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
    return a_pod(f"agent-{node}-made-{round_number}", node=node, labels=body["metadata"]["labels"])
