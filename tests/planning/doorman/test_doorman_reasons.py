"""What is said to those who wait."""

from __future__ import annotations

import pytest

from stratos.apis.meta import Condition, ObjectMeta
from stratos.apis.pod import ContainerState, ContainerStatus, Pod, PodSpec, PodStatus, WaitingState
from stratos.planning.doorman.reasons import why_waiting

TARGET = "Deployment shop/web"


def a_pod(
    name: str = "web-1", node: str = "", *conditions: Condition, waiting: str = "", restarts: int = 0, phase: str = ""
) -> Pod:
    state = ContainerState(waiting=WaitingState(waiting) if waiting else None)
    container = ContainerStatus(name="app", restart_count=restarts, state=state)
    return Pod(
        metadata=ObjectMeta(name=name, namespace="shop"),
        spec=PodSpec(node_name=node),
        status=PodStatus(phase=phase or "Pending", conditions=conditions, container_statuses=(container,)),
    )


def a_condition(type_: str, status: str, message: str = "") -> Condition:
    return Condition(type=type_, status=status, message=message)


NO_NODE = a_pod("web-1", "", a_condition("PodScheduled", "False", "0/3 nodes are available"))
READY = a_condition("Ready", "True")


@pytest.mark.parametrize(
    ("conditions", "pods", "said"),
    [
        ((), (), "Deployment shop/web was asked for a replica and has no pod yet"),
        (
            (a_condition("ReplicaFailure", "True", "exceeded quota"),),
            (),
            "Deployment shop/web cannot make a pod: exceeded quota",
        ),
        ((), (NO_NODE,), "pod shop/web-1 waits for a node: 0/3 nodes are available"),
        ((), (a_pod("web-1", "n1"),), "pod shop/web-1 is not ready yet on node n1"),
        (
            (),
            (a_pod("web-1", "n1", waiting="ImagePullBackOff"),),
            "pod shop/web-1 is not ready yet on node n1: container app is in ImagePullBackOff",
        ),
        (
            (),
            (a_pod("web-1", "n1", restarts=2),),
            "pod shop/web-1 is not ready yet on node n1: container app was started 3 times",
        ),
        ((), (a_pod("web-1", "n1", READY),), "pod shop/web-1 is ready on node n1, and cannot be reached yet"),
        ((), (NO_NODE, a_pod("web-2", "n1"), a_pod("web-3")), "pod shop/web-2 is not ready yet on node n1"),
        (
            (),
            (a_pod("web-1", "n1", READY, phase="Failed"),),
            "Deployment shop/web was asked for a replica and has no pod yet",
        ),
    ],
)
def test_the_pod_that_has_come_furthest_says_what_is_waited_for(
    conditions: tuple[Condition, ...], pods: tuple[Pod, ...], said: str
) -> None:
    """Whoever reads a 503 at night should not need kubectl to know where to look."""
    assert why_waiting(TARGET, conditions, pods) == said


def test_long_messages_are_cut() -> None:
    """Schedulers tell of every node; a header of ten thousand lines helps nobody."""
    pod = a_pod("web-1", "", a_condition("PodScheduled", "False", "x" * 5000))
    assert len(why_waiting(TARGET, (), (pod,))) < 400
