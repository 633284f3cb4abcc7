"""An estimate is only as good as its count of pods; each kind says in its own way how many it runs."""

from __future__ import annotations

from typing import Any

import pytest

from stratos.base.errors import Invalid
from stratos.planning.estimating.workloads import Workload, read_workload

Obj = dict[str, Any]


def template(**spec: Any) -> Obj:
    return {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}], **spec}}


def manifest(api_version: str, kind: str, **spec: Any) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "it"}, "spec": spec}


def counts(workload: Workload | None) -> dict[str, int]:
    assert workload is not None
    return {group.part: group.pods for group in workload.groups}


RAY = {
    "headGroupSpec": {"template": template()},
    "workerGroupSpecs": [
        {"groupName": "gpu", "replicas": 2, "numOfHosts": 2, "template": template()},
        {"groupName": "cpu", "replicas": 9, "minReplicas": 1, "maxReplicas": 3, "template": template()},
        {"groupName": "idle", "minReplicas": 1, "template": template()},
    ],
}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, **template()}, {"": 1}),
        (manifest("apps/v1", "Deployment", template=template()), {"": 1}),
        (manifest("apps/v1", "Deployment", replicas=3, template=template()), {"": 3}),
        (manifest("apps/v1", "StatefulSet", replicas=3, template=template()), {"": 3}),
        (manifest("apps/v1", "ReplicaSet", replicas=0, template=template()), {}),
        (manifest("batch/v1", "Job", template=template()), {"": 1}),
        (manifest("batch/v1", "Job", parallelism=8, completions=5, template=template()), {"": 5}),
        (manifest("batch/v1", "Job", parallelism=2, completions=5, template=template()), {"": 2}),
        (
            manifest("batch/v1", "CronJob", jobTemplate={"spec": {"parallelism": 2, "template": template()}}),
            {"": 2},
        ),
        (
            manifest(
                "jobset.x-k8s.io/v1alpha2",
                "JobSet",
                replicatedJobs=[
                    {"name": "driver", "template": {"spec": {"template": template()}}},
                    {
                        "name": "workers",
                        "replicas": 3,
                        "template": {"spec": {"parallelism": 4, "template": template()}},
                    },
                ],
            ),
            {"driver": 1, "workers": 12},
        ),
        (
            manifest(
                "leaderworkerset.x-k8s.io/v1",
                "LeaderWorkerSet",
                replicas=2,
                leaderWorkerTemplate={"size": 4, "workerTemplate": template()},
            ),
            {"leader": 2, "worker": 6},
        ),
        (manifest("ray.io/v1", "RayCluster", **RAY), {"head": 1, "gpu": 4, "cpu": 3, "idle": 1}),
        (manifest("ray.io/v1", "RayService", rayClusterConfig=RAY), {"head": 1, "gpu": 4, "cpu": 3, "idle": 1}),
        (
            manifest("ray.io/v1", "RayJob", rayClusterSpec={"headGroupSpec": {"template": template()}}),
            {"head": 1, "submitter": 1},
        ),
        (
            manifest(
                "ray.io/v1",
                "RayJob",
                rayClusterSpec={"headGroupSpec": {"template": template()}},
                submissionMode="HTTPMode",
            ),
            {"head": 1},
        ),
        (manifest("argoproj.io/v1alpha1", "Rollout", replicas=4, template=template()), {"": 4}),
    ],
)
def test_each_kind_is_counted_as_its_controller_would_run_it(obj: Obj, expected: dict[str, int]) -> None:
    """Including those for which this cluster, or any, has no controller: an estimate comes before installing it."""
    assert counts(read_workload(obj)) == expected


@pytest.mark.parametrize(
    "obj",
    [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "it"}, "spec": {"ports": [{"port": 80}]}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}, "data": {"spec": "x"}},
        manifest("stratos.sh/v1alpha1", "NodePool", poolSize=3, template={"labels": {"a": "b"}}),
    ],
)
def test_what_runs_no_pods_is_no_workload(obj: Obj) -> None:
    """Manifests of a whole application hold services and settings, too; they must not stand in the way."""
    assert read_workload(obj) is None


def test_a_daemon_set_runs_beside_the_others_and_asks_for_no_machine() -> None:
    """It takes room on every node that the others need, and needs none itself."""
    workload = read_workload(manifest("apps/v1", "DaemonSet", template=template()))
    assert workload is not None
    assert workload.groups == ()
    assert workload.daemon_set is not None
    assert workload.daemon_set.metadata.key == "default/it"


def test_the_container_that_ray_adds_to_a_head_is_counted() -> None:
    """Half a core more may be the difference between one type and the next."""
    cluster = manifest("ray.io/v1", "RayCluster", enableInTreeAutoscaling=True, **RAY)
    workload = read_workload(cluster)
    assert workload is not None
    assert workload.groups[0].asks.amount("cpu") == 1500
    assert workload.notes == ("its head is counted with the container of Ray's autoscaler",)


def test_pods_are_named_by_their_workload_and_part_in_their_namespace() -> None:
    """Messages about a pod must lead back to the manifest it comes from."""
    cluster = manifest("ray.io/v1", "RayCluster", **RAY)
    cluster["metadata"] = {"name": "llm", "namespace": "ml"}
    workload = read_workload(cluster)
    assert workload is not None
    assert [group.asks.key for group in workload.groups] == [
        "ml/llm-head",
        "ml/llm-gpu",
        "ml/llm-cpu",
        "ml/llm-idle",
    ]


def with_requests(**requests: Any) -> Obj:
    return template(containers=[{"name": "main", "resources": {"requests": requests}}])


@pytest.mark.parametrize(
    ("obj", "complaint"),
    [
        (
            manifest("apps/v1", "Deployment", template=with_requests(cpu="2 cores")),
            "spec.template.spec.containers[0].resources.requests[cpu]: '2 cores' is not a quantity",
        ),
        (
            manifest("apps/v1", "Deployment", template=with_requests(memory=[1])),
            "spec.template.spec.containers[0].resources.requests",
        ),
        (manifest("apps/v1", "Deployment", template=with_requests(cpu="-1")), "less than no cpu"),
        (manifest("apps/v1", "Deployment", replicas="three", template=template()), "spec.replicas: 'three'"),
        (manifest("apps/v1", "Deployment", replicas=-1, template=template()), "spec.replicas: -1"),
        (manifest("apps/v1", "Deployment", replicas=10**9, template=template()), "it asks for 1,000,000,000 pods"),
        (manifest("apps/v1", "Deployment", template=["x"]), "spec.template: this is a list, not a mapping"),
        (manifest("apps/v1", "Deployment"), "spec.template.spec.containers: it has none"),
        (manifest("apps/v1", "DaemonSet", template=with_requests(cpu="much")), "'much' is not a quantity"),
        (manifest("ray.io/v1", "RayCluster", **(RAY | {"workerGroupSpecs": {}})), None),
        (manifest("ray.io/v1", "RayCluster", **(RAY | {"workerGroupSpecs": "two"})), "workerGroupSpecs: this is 'two'"),
        (
            manifest("ray.io/v1", "RayCluster", **(RAY | {"workerGroupSpecs": [{"replicas": 1}]})),
            "spec.workerGroupSpecs[0].template.spec.containers: it has none",
        ),
    ],
)
def test_what_has_no_meaning_is_named_by_its_field(obj: Obj, complaint: str | None) -> None:
    """Whoever wrote it has many fields to look through; an estimate from a guess would be worse than none."""
    if complaint is None:
        assert counts(read_workload(obj)) == {"head": 1}
        return
    with pytest.raises(Invalid) as caught:
        read_workload(obj)
    assert complaint in caught.value.message


def test_what_the_template_says_of_its_machine_is_checked_where_it_stands() -> None:
    """An annotation that has no meaning would otherwise be found only when nothing fits."""
    annotated = template() | {"metadata": {"annotations": {"node.elotl.co/instance-max-cost": "-1"}}}
    with pytest.raises(Invalid, match=r"^spec\.template\.metadata\.annotations\[node\.elotl\.co/instance-max-cost\]"):
        read_workload(manifest("apps/v1", "Deployment", template=annotated))


def test_labels_that_only_a_cluster_can_explain_are_assumed_and_said_so() -> None:
    """`pool: ci` says nothing about machines, and `kubernetes.io/arch` says everything."""
    selecting = template(nodeSelector={"pool": "ci", "kubernetes.io/arch": "arm64"})
    workload = read_workload(manifest("apps/v1", "Deployment", template=selecting))
    assert workload is not None
    selector = workload.groups[0].asks.requirements.node_rules.selector
    assert [requirement.key for requirement in selector.requirements] == ["kubernetes.io/arch"]
    assert workload.notes == ("assumed that nodes can carry what it selects: pool=ci",)


def test_alternatives_of_which_one_is_assumed_leave_every_machine() -> None:
    """A pod that runs on our nodes or on those with a certain label may run on ours."""
    terms = [
        {"matchExpressions": [{"key": "node.elotl.co/created-by", "operator": "In", "values": ["luna"]}]},
        {"matchExpressions": [{"key": "cloud.google.com/gke-accelerator", "operator": "In", "values": ["nvidia-l4"]}]},
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    workload = read_workload(manifest("apps/v1", "Deployment", template=template(affinity={"nodeAffinity": required})))
    assert workload is not None
    assert workload.groups[0].asks.requirements.node_rules.required is None
