"""What built-in kinds mean when they do not say."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.builtin import builtin_resources
from stratos.apiserver.registry.resource import Resource

Obj = dict[str, Any]

RESOURCES: dict[str, Resource] = {resource.kind: resource for resource in builtin_resources()}


def defaulted(kind: str, **fields: Any) -> Obj:
    obj: Obj = {"kind": kind, "metadata": {"name": "web", "namespace": "default", "uid": "u-1"}, **fields}
    RESOURCES[kind].default(obj)
    return obj


def a_pod_spec(**container: Any) -> Obj:
    return {"containers": [{"name": "main", "image": "nginx", **container}]}


def test_a_bare_pod_gets_what_a_real_server_gives_it() -> None:
    """Controllers, kubelets and people reading YAML all expect these fields to be there."""
    pod = defaulted("Pod", spec=a_pod_spec())

    container = pod["spec"].pop("containers")[0]
    assert pod["spec"] == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
    }
    assert container == {
        "name": "main",
        "image": "nginx",
        "imagePullPolicy": "Always",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1.27", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image: str, policy: str) -> None:
    """A pool pre-pulls images only to save time: a wrong policy would pull them again on every start."""
    pod = defaulted("Pod", spec=a_pod_spec(image=image))

    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"nvidia.com/gpu": "1"}}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_limits_become_requests_and_decide_the_quality_of_service(resources: Obj, quality: str) -> None:
    """The scheduler counts requests; a pod that only names limits must not look free."""
    pod = defaulted("Pod", spec=a_pod_spec(resources=resources))

    found = pod["spec"]["containers"][0]["resources"]
    assert pod["status"]["qosClass"] == quality
    assert set(found.get("limits", {})) <= set(found.get("requests", {}))


def test_a_deployment_rolls_a_quarter_at_a_time() -> None:
    """These numbers decide how many pods are there during a rollout."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": a_pod_spec()}
    spec = defaulted("Deployment", spec={"template": template})["spec"]

    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"


def test_a_job_selects_its_own_pods_by_uid() -> None:
    """Two jobs of the same name, one after the other, must never count each other's pods."""
    spec = defaulted("Job", spec={"template": {"spec": a_pod_spec()}})["spec"]

    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert labels["batch.kubernetes.io/controller-uid"] == labels["controller-uid"] == "u-1"
    assert labels["job-name"] == "web"
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)


def test_plain_text_of_a_secret_is_encoded_and_gone() -> None:
    """``stringData`` is for writing only: reading a Secret shows ``data``."""
    secret = defaulted("Secret", data={"a": "b2xk"}, stringData={"a": "new", "b": "2"})

    assert secret["data"] == {"a": "bmV3", "b": "Mg=="}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_a_namespace_keeps_its_finalizer_until_it_is_going() -> None:
    """Giving a terminating namespace its finalizer back would keep it forever."""
    living = defaulted("Namespace")
    going: Obj = {"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"finalizers": []}}
    RESOURCES["Namespace"].default(going)

    assert living["spec"] == {"finalizers": ["kubernetes"]}
    assert living["status"] == {"phase": "Active"}
    assert living["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
    assert going["spec"] == {"finalizers": []}


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "hostNetwork": st.booleans(),
        "restartPolicy": st.sampled_from(["Never", "OnFailure"]),
        "volumes": st.lists(st.fixed_dictionaries({"name": st.just("v")}), max_size=2),
        "containers": st.lists(
            st.fixed_dictionaries(
                {"name": st.just("c"), "image": st.sampled_from(["a", "a:1"])},
                optional={
                    "ports": st.just([{"containerPort": 80}]),
                    "livenessProbe": st.just({"httpGet": {"port": 80}}),
                    "resources": st.just({"limits": {"cpu": "1"}}),
                },
            ),
            max_size=2,
        ),
        "type": st.sampled_from(["ClusterIP", "NodePort", "ExternalName"]),
    },
)


@given(kind=st.sampled_from(sorted(RESOURCES)), spec=SPECS)
def test_defaulting_twice_changes_nothing(kind: str, spec: Obj) -> None:
    """Defaults run on every write: an object must not wander because it is written again."""
    once = defaulted(kind, spec=copy.deepcopy(spec))
    twice = copy.deepcopy(once)
    RESOURCES[kind].default(twice)

    assert twice == once


@pytest.mark.parametrize(
    ("written", "kept"), [(1, "1"), (1.5, "1500m"), (2.0, "2"), (0.0001, "1m"), ("1000m", "1000m"), ("odd", "odd")]
)
def test_amounts_are_kept_as_text(written: object, kept: str) -> None:
    """YAML turns ``cpu: 1`` into a number; typed clients would choke on reading one."""
    pod = defaulted("Pod", spec=a_pod_spec(resources={"limits": {"cpu": written}}))

    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": kept}, "requests": {"cpu": kept}}


def test_equal_amounts_guarantee_however_they_are_written() -> None:
    """``1000m`` and ``1`` are the same CPU: the pod is as guaranteed with either."""
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}

    assert defaulted("Pod", spec=a_pod_spec(resources=resources))["status"]["qosClass"] == "Guaranteed"
