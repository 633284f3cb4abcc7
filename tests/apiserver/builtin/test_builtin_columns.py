"""What ``kubectl get`` prints for built-in kinds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stratos.apiserver.registry.builtin import builtin_resources
from stratos.apiserver.registry.resource import Resource
from stratos.base.duration import human_duration

Obj = dict[str, Any]

RESOURCES: dict[str, Resource] = {resource.kind: resource for resource in builtin_resources()}
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def row(kind: str, obj: Obj) -> dict[str, object]:
    obj = {"metadata": {"name": "web", "creationTimestamp": "2026-01-01T11:55:00Z"}, **obj}
    return {column.name: column.cell(obj, NOW) for column in RESOURCES[kind].columns}


def waiting(reason: str) -> Obj:
    return {"state": {"waiting": {"reason": reason}}}


def terminated(code: int, **state: Any) -> Obj:
    return {"state": {"terminated": {"exitCode": code, **state}}}


RUNNING: Obj = {"state": {"running": {}}, "ready": True, "started": True}
LEAVING = {"name": "web", "deletionTimestamp": "2026-01-01T12:00:30Z"}


def a_pod(*statuses: Obj, init: tuple[Obj, ...] = (), metadata: Obj | None = None, **status: Any) -> Obj:
    pod: Obj = {
        "spec": {"containers": [{}] * (len(statuses) or 1), "initContainers": [{"name": "i"}] * len(init)},
        "status": {
            "phase": "Running",
            "containerStatuses": list(statuses),
            "initContainerStatuses": [{"name": "i", **one} for one in init],
            **status,
        },
    }
    return pod if metadata is None else {**pod, "metadata": metadata}


READY = {"type": "Ready", "status": "True"}
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}


@pytest.mark.parametrize(
    ("pod", "ready", "status"),
    [
        (a_pod(phase="Pending"), "0/1", "Pending"),
        (a_pod(phase="Pending", conditions=[GATED]), "0/1", "SchedulingGated"),
        (a_pod(waiting("ContainerCreating"), phase="Pending"), "0/1", "ContainerCreating"),
        (a_pod(RUNNING), "1/1", "Running"),
        (a_pod(RUNNING, waiting("CrashLoopBackOff")), "1/2", "CrashLoopBackOff"),
        (a_pod(terminated(0, reason="Completed"), phase="Succeeded"), "0/1", "Completed"),
        (a_pod(terminated(0, reason="Completed"), RUNNING, conditions=[READY]), "1/2", "Running"),
        (a_pod(terminated(0, reason="Completed"), RUNNING), "1/2", "NotReady"),
        (a_pod(terminated(137, reason="OOMKilled")), "0/1", "OOMKilled"),
        (a_pod(terminated(3)), "0/1", "ExitCode:3"),
        (a_pod(terminated(0, signal=9)), "0/1", "Signal:9"),
        (a_pod(phase="Failed", reason="Evicted"), "0/1", "Evicted"),
        (a_pod(init=(waiting("PodInitializing"), {}), phase="Pending"), "0/1", "Init:0/2"),
        (a_pod(init=(terminated(0), {"state": {"running": {}}}), phase="Pending"), "0/1", "Init:1/2"),
        (a_pod(init=(waiting("CrashLoopBackOff"),), phase="Pending"), "0/1", "Init:CrashLoopBackOff"),
        (a_pod(init=(terminated(2),), phase="Pending"), "0/1", "Init:ExitCode:2"),
        (a_pod(RUNNING, metadata=LEAVING), "1/1", "Terminating"),
        (a_pod(metadata=LEAVING, reason="NodeLost"), "0/1", "Unknown"),
        (a_pod(metadata=LEAVING, phase="Succeeded"), "0/1", "Succeeded"),
    ],
)
def test_the_status_of_a_pod_is_read_from_all_its_parts(pod: Obj, ready: str, status: str) -> None:
    """This word is what people act on; it must say what a real server says."""
    cells = row("Pod", pod)

    assert (cells["Ready"], cells["Status"]) == (ready, status)


def test_restarts_say_when_the_last_one_was() -> None:
    """A pod that restarted a week ago is another thing than one that keeps restarting."""
    ended = {"terminated": {"finishedAt": "2026-01-01T11:58:30Z"}}

    assert row("Pod", a_pod({**RUNNING, "restartCount": 3, "lastState": ended}))["Restarts"] == "3 (90s ago)"
    assert row("Pod", a_pod(RUNNING))["Restarts"] == "0"


CASES: list[tuple[str, Obj, dict[str, object]]] = [
    (
        "Node",
        {
            "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "gpu"}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [READY],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.32.0"},
            },
        },
        {
            "Status": "Ready,SchedulingDisabled",
            "Roles": "gpu,worker",
            "Version": "v1.32.0",
            "Internal-IP": "10.0.0.1",
            "External-IP": "<none>",
        },
    ),
    ("Node", {"status": {}}, {"Status": "Unknown", "Roles": "<none>"}),
    (
        "Deployment",
        {
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}},
            },
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
        },
        {
            "Ready": "2/3",
            "Up-to-date": 3,
            "Available": 1,
            "Age": "5m",
            "Containers": "a,b",
            "Images": "x,y",
            "Selector": "app=web",
        },
    ),
    (
        "Job",
        {
            "spec": {"completions": 3},
            "status": {"succeeded": 1, "startTime": "2026-01-01T11:59:00Z"},
        },
        {"Status": "Running", "Completions": "1/3", "Duration": "60s"},
    ),
    ("Job", {"spec": {"parallelism": 4}, "status": {}}, {"Completions": "0/1 of 4", "Duration": ""}),
    (
        "Job",
        {"spec": {}, "status": {"conditions": [{"type": "Failed", "status": "True"}]}},
        {"Status": "Failed", "Completions": "0/1"},
    ),
    (
        "CronJob",
        {"spec": {"schedule": "0 3 * * *", "suspend": False}, "status": {}},
        {"Schedule": "0 3 * * *", "Timezone": "<none>", "Suspend": "False", "Active": 0, "Last Schedule": "<none>"},
    ),
    (
        "Service",
        {
            "spec": {
                "type": "NodePort",
                "clusterIP": "10.96.0.9",
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
            }
        },
        {"Type": "NodePort", "Cluster-IP": "10.96.0.9", "External-IP": "<none>", "Port(s)": "80:30080/TCP"},
    ),
    ("Service", {"spec": {"type": "LoadBalancer"}}, {"External-IP": "<pending>", "Port(s)": "<none>"}),
    (
        "Endpoints",
        {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)], "ports": [{"port": 80}]}]},
        {"Endpoints": "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."},
    ),
    (
        "PodDisruptionBudget",
        {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
        {"Min Available": "50%", "Max Unavailable": "N/A", "Allowed Disruptions": 1},
    ),
    (
        "Event",
        {
            "lastTimestamp": "2026-01-01T11:59:50Z",
            "firstTimestamp": "2026-01-01T11:50:00Z",
            "count": 4,
            "type": "Warning",
            "reason": "FailedScheduling",
            "message": "0/3 nodes are available\n",
            "involvedObject": {"kind": "Pod", "name": "web"},
            "source": {"component": "default-scheduler"},
        },
        {
            "Last Seen": "10s",
            "First Seen": "10m",
            "Object": "pod/web",
            "Message": "0/3 nodes are available",
            "Count": 4,
            "Source": "default-scheduler",
        },
    ),
    ("Lease", {"spec": {"holderIdentity": "me"}}, {"Holder": "me", "Age": "5m"}),
    (
        "RoleBinding",
        {
            "roleRef": {"kind": "Role", "name": "reader"},
            "subjects": [
                {"kind": "User", "name": "ann"},
                {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"},
            ],
        },
        {"Role": "Role/reader", "Users": "ann", "Groups": "", "ServiceAccounts": "ci/bot"},
    ),
]


@pytest.mark.parametrize(("kind", "obj", "expected"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_columns_read_as_on_a_real_server(kind: str, obj: Obj, expected: dict[str, object]) -> None:
    """People and scripts know these tables by heart."""
    cells = row(kind, obj)

    assert {name: cells[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 120, "5h2m"),
        (26 * 3600, "26h"),
        (3 * 86400 + 3600, "3d1h"),
        (100 * 86400, "100d"),
        (3 * 365 * 86400 + 86400, "3y1d"),
    ],
)
def test_ages_have_at_most_two_units(seconds: float, shown: str) -> None:
    """An age must be understood at a glance; nobody needs the seconds of last week."""
    assert human_duration(seconds) == shown


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: str(resource.kind))
def test_an_empty_object_still_has_a_row(resource: Resource) -> None:
    """One odd object must not break the listing of all others."""
    assert [column.cell({"metadata": {}}, NOW) for column in resource.columns] != []
