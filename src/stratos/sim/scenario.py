"""What people do in a run, drawn from its seed: the pools they make, the workloads they run and what they change.

Every workload is made for one pool and fits on an empty node of it, so that the judge knows, without asking the planner
under trial, which pending pods a pool ought to serve. Odd pods, which nothing can serve, are there to tempt it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.job import JOB
from stratos.apis.meta import Kind
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.apis.simnodeclass import SIM_NODE_CLASS

NAMESPACE = "default"
SERVED_BY = "sim/pool"
"""A label of pods: the pool or template that they are made for. Its nodes carry it, too."""

IMAGES = ("ci/agent:1", "ci/build-tools:7", "web/shop:3", "batch/report:2", "models/small:1")
_INSTANCE_TYPES = {"m5.large": 1.8, "m5.xlarge": 3.7, "c5.xlarge": 3.7, "c5.2xlarge": 7.7}
"""With the CPUs that pods may ask for there, beside the DaemonSets that scenarios run."""
_DAEMON_CPU = 0.1
_HAS_TEMPLATE = 0.4
_USES_SPOT = 0.3
_TEMPLATE_CPUS = 7.7  # the largest pods need no more than a machine of eight


@dataclass(frozen=True, slots=True)
class Act:
    """Something a person does. Without an object, the one named is deleted."""

    at_seconds: float
    kind: Kind[Any]
    key: str
    manifest: dict[str, Any] | None = None  # to create
    change: dict[str, Any] | None = None  # to merge into what is there

    def __str__(self) -> str:
        verb = "creates" if self.manifest else "changes" if self.change else "deletes"
        return f"{verb} {self.kind.kind} {self.key}"


Scenario = Callable[[random.Random, float], tuple[Act, ...]]
"""Draws all acts of a run, in order of time, whose trouble lasts for so many seconds."""


def draw_scenario(rng: random.Random, seconds: float) -> tuple[Act, ...]:
    return Author(rng, seconds).write()


class Author:
    def __init__(self, rng: random.Random, seconds: float) -> None:
        self._rng = rng
        self._seconds = seconds
        self._acts: list[Act] = []

    def write(self) -> tuple[Act, ...]:
        for index in range(self._rng.choices((1, 2, 3), (5, 4, 1))[0]):
            self._pool(f"pool-{index}")
        for index in range(self._rng.choices((0, 1, 2), (3, 4, 1))[0]):
            self._daemon_set(f"daemon-{index}")
        self._odd_pods()
        # Drawn last, and by chance of its own, so that what a seed drew before there were templates it draws still.
        self._rng = random.Random(self._rng.getrandbits(64))
        if self._rng.random() < _HAS_TEMPLATE:
            self._template("template-0")
        self._rng = random.Random(self._rng.getrandbits(64))
        self._let_pools_use_spot()
        return tuple(sorted(self._acts, key=lambda act: act.at_seconds))

    def _pool(self, name: str) -> None:
        rng = self._rng
        instance_type = rng.choice(sorted(_INSTANCE_TYPES))
        begins = rng.uniform(0, 60)
        size = rng.choices((1, 2, 4, 6, 10, 20), (1, 2, 4, 4, 2, 1))[0]
        class_kind = SIM_NODE_CLASS if rng.random() < 0.8 else AWS_NODE_CLASS
        self._create(begins, class_kind, name, {"spec": _class_spec(class_kind, instance_type)})
        taints = [{"key": "dedicated", "value": name, "effect": "NoSchedule"}] if rng.random() < 0.3 else []
        spec: dict[str, Any] = {
            "poolSize": size,
            "minStandby": rng.randint(0, min(size, 4)),
            "reconciliationInterval": rng.choice(("10s", "30s", "1m")),
            "template": {
                "nodeClassRef": {"kind": class_kind.kind, "name": name},
                "labels": {SERVED_BY: name},
                "taints": taints,
                "networkReadinessStrategy": rng.choices(("Taint", "None"), (4, 1))[0],
            },
            "preWarm": {
                "timeout": rng.choice(("6m", "8m", "10m")),
                "timeoutAction": rng.choice(("stop", "terminate")),
                "images": rng.sample(IMAGES, rng.randint(0, 2)),
                "imagePullPolicy": rng.choice(("Required", "BestEffort")),
                **rng.choice(({}, {"completionMode": "SelfStop"}, {"completionMode": "ControllerStop"})),
            },
            "scaleDown": {
                "enabled": rng.random() < 0.9,
                "emptyNodeTTL": rng.choice(("10s", "1m", "5m")),
                "drainTimeout": rng.choice(("10s", "1m", "5m")),
                "forceAfterTimeout": rng.random() < 0.7,
            },
        }
        if rng.random() < 0.25:
            spec["maxNodeRuntime"] = rng.choice(("30m", "1h", "2h"))
        if rng.random() < 0.2:
            spec["template"]["startupTaints"] = [{"key": "agent.example/not-ready", "effect": "NoSchedule"}]
        self._create(begins + 1, NODE_POOL, name, {"spec": spec})
        ends = self._seconds if rng.random() < 0.75 else rng.uniform(0.4, 0.9) * self._seconds
        for index in range(rng.randint(1, 3)):
            self._deployment(f"{name}-web-{index}", name, _INSTANCE_TYPES[instance_type], ends)
        for index in range(rng.randint(0, 4)):
            self._job(f"{name}-job-{index}", name, _INSTANCE_TYPES[instance_type], ends)
        if ends < self._seconds:
            self._acts.append(Act(ends + rng.uniform(-60, 60), NODE_POOL, name))
        elif rng.random() < 0.2:
            self._change(NODE_POOL, name, {"spec": {"poolSize": size + rng.randint(1, 3)}})

    def _let_pools_use_spot(self) -> None:
        for act in self._acts:
            if act.kind is NODE_POOL and act.manifest is not None and self._rng.random() < _USES_SPOT:
                delay = self._rng.choice(("30s", "2m", "5m"))
                act.manifest["spec"]["spotReplacement"] = {"enabled": True, "replacementDelay": delay}
                act.manifest["spec"]["poolSize"] += self._rng.randint(0, 3)  # for a while both machines are there

    def _template(self, name: str) -> None:
        """Nodes of whatever type is cheapest for what happens to wait, and workloads that select them by label."""
        rng = self._rng
        begins = rng.uniform(0, 60)
        self._create(begins, SIM_NODE_CLASS, name, {"spec": {}})
        spec: dict[str, Any] = {
            "nodeClassRef": {"kind": SIM_NODE_CLASS.kind, "name": name},
            "strategy": rng.choice(("optimal", "optimal", "thresholds")),
            "pods": {"labels": {SERVED_BY: name}},
            "constraints": {
                "minCpu": rng.choice((2, 4)),
                "maxCpu": 32,
                "bareMetal": "disabled",
                **rng.choice(({}, {"spot": True}, {"spot": True, "useSpotFallbacks": True})),
            },
            "customLabels": {SERVED_BY: name},
            "scaleUpTimeout": rng.choice(("5m", "10m")),
            "backOff": rng.choice(("1m", "10m")),
            "disruption": {
                "policy": rng.choice(("Never", "WhenEmpty", "WhenEmptyOrUnderutilized")),
                "nodeUnneededDuration": rng.choice(("30s", "2m")),
                "drainTimeout": rng.choice(("10s", "1m")),
            },
        }
        if rng.random() < 0.3:
            spec["limits"] = {"nodes": rng.randint(1, 6)}
        self._create(begins + 1, NODE_TEMPLATE, name, {"spec": spec})
        ends = self._seconds if rng.random() < 0.8 else rng.uniform(0.5, 0.9) * self._seconds
        for index in range(rng.randint(1, 3)):
            self._deployment(f"{name}-web-{index}", name, _TEMPLATE_CPUS, ends)
        for index in range(rng.randint(0, 2)):
            self._job(f"{name}-job-{index}", name, _TEMPLATE_CPUS, ends)
        if ends < self._seconds:
            self._acts.append(Act(ends, NODE_TEMPLATE, name))

    def _deployment(self, name: str, pool: str, cpus: float, ends: float) -> None:
        rng = self._rng
        begins = rng.uniform(60, ends / 2)
        most = rng.randint(1, 8)
        pod = self._pod(name, pool, cpus)
        spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        alike = {"labelSelector": {"matchLabels": {"app": name}}}
        apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", **alike}]}}  # fmt: skip
        pod["spec"] |= rng.choices(
            ({}, {"affinity": apart}, {"topologySpreadConstraints": [{**spread, **alike}]}), (6, 2, 1)
        )[0]
        spec = {"replicas": most, "selector": {"matchLabels": {"app": name}}, "template": pod}
        self._create(begins, DEPLOYMENT, name, {"spec": spec})
        if rng.random() < 0.5:
            limit = rng.choice(({"minAvailable": 1}, {"minAvailable": "50%"}, {"maxUnavailable": 1}))
            self._create(begins, POD_DISRUPTION_BUDGET, name, {"spec": {"selector": alike["labelSelector"], **limit}})
        for _ in range(rng.randint(0, int(4 * self._seconds / 3600))):
            at = rng.uniform(begins, ends)
            self._acts.append(
                Act(at, DEPLOYMENT, f"{NAMESPACE}/{name}", change={"spec": {"replicas": rng.randint(0, most)}})
            )
        if ends < self._seconds and rng.random() < 0.7:  # some clean up with their pool, some forget
            self._acts.append(Act(ends + rng.uniform(0, 120), DEPLOYMENT, f"{NAMESPACE}/{name}"))

    def _job(self, name: str, pool: str, cpus: float, ends: float) -> None:
        rng = self._rng
        number = rng.randint(1, 12)
        pod = self._pod(name, pool, cpus)
        pod["metadata"]["annotations"]["sim.stratos.sh/duration"] = f"{rng.randint(20, 900)}s"
        pod["spec"]["restartPolicy"] = rng.choice(("Never", "OnFailure"))
        spec = {
            "parallelism": rng.randint(1, number),
            "completions": number,
            "backoffLimit": 100,  # machines that die under it are no fault of the job
            "template": pod,
        }
        self._create(rng.uniform(60, ends), JOB, name, {"spec": spec})
        self._acts.append(Act(self._seconds, JOB, f"{NAMESPACE}/{name}"))  # so that the end of a run is quiet

    def _pod(self, name: str, pool: str, cpus: float) -> dict[str, Any]:
        """A pod that finds room on an empty node of the pool."""
        rng = self._rng
        wanted = rng.choice((0.25, 0.5, 1.0, 1.5, 3.0, cpus - 2 * _DAEMON_CPU))
        cpu = min(wanted, cpus - 2 * _DAEMON_CPU)
        containers: list[dict[str, Any]] = [
            {
                "name": "main",
                "image": rng.choice(IMAGES),
                "resources": {"requests": {"cpu": f"{int(cpu * 1000)}m", "memory": f"{rng.randint(1, 20) * 100}Mi"}},
            }
        ]
        if rng.random() < 0.1:
            containers[0]["ports"] = [{"containerPort": 8080, "hostPort": rng.choice((8080, 9090))}]
        spec: dict[str, Any] = {
            "containers": containers,
            "terminationGracePeriodSeconds": rng.choice((5, 30, 60)),
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": pool, "effect": "NoSchedule"}],
        }
        if rng.random() < 0.7:
            spec["nodeSelector"] = {SERVED_BY: pool}
        else:
            term = {"matchExpressions": [{"key": SERVED_BY, "operator": "In", "values": [pool, "nowhere"]}]}
            spec["affinity"] = {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
            }
        if rng.random() < 0.1:
            spec["initContainers"] = [
                {"name": "first", "image": rng.choice(IMAGES), "command": ["sleep", "5"],
                 "resources": {"requests": {"cpu": f"{int(cpu * 1000)}m"}}}
            ]  # fmt: skip
        annotations = {"sim.stratos.sh/stop-seconds": str(rng.choice((1, 3, 20)))}
        return {"metadata": {"labels": {"app": name, SERVED_BY: pool}, "annotations": annotations}, "spec": spec}

    def _daemon_set(self, name: str) -> None:
        resources = {"requests": {"cpu": f"{int(self._rng.uniform(0.01, _DAEMON_CPU) * 1000)}m", "memory": "50Mi"}}
        spec: dict[str, Any] = {"containers": [{"name": "agent", "image": "infra/agent:1", "resources": resources}]}
        if self._rng.random() < 0.7:
            spec["tolerations"] = [{"operator": "Exists"}]
        template = {"metadata": {"labels": {"app": name}}, "spec": spec}
        manifest = {"spec": {"selector": {"matchLabels": {"app": name}}, "template": template}}
        self._create(self._rng.uniform(0, self._seconds / 4), DAEMON_SET, name, manifest)

    def _odd_pods(self) -> None:
        for index, odd in enumerate(_odd_specs()):
            if self._rng.random() < 0.3:
                container = {"name": "main", "image": IMAGES[0], "resources": odd.pop("resources", {})}
                manifest = {"spec": {"containers": [container], **odd}}
                self._create(self._rng.uniform(0, self._seconds), POD, f"odd-{index}", manifest)

    def _create(self, at: float, kind: Kind[Any], name: str, manifest: dict[str, Any]) -> None:
        metadata = {"name": name} | ({"namespace": NAMESPACE} if kind.namespaced else {})
        key = f"{NAMESPACE}/{name}" if kind.namespaced else name
        self._acts.append(Act(at, kind, key, manifest={"metadata": metadata, **manifest}))

    def _change(self, kind: Kind[Any], key: str, change: dict[str, Any]) -> None:
        self._acts.append(Act(self._rng.uniform(120, self._seconds), kind, key, change=change))


def _class_spec(kind: Kind[Any], instance_type: str) -> dict[str, Any]:
    if kind is SIM_NODE_CLASS:
        return {"instanceType": instance_type}
    found = {"tags": {"stratos.sh/discovery": "my-cluster"}}
    return {
        "bootstrapTemplate": "AL2023",
        "instanceType": instance_type,
        "subnetSelector": found,
        "securityGroupSelector": found,
        "role": "node-role",
    }


def _odd_specs() -> Iterator[dict[str, Any]]:
    """Pods that no pool can ever serve."""
    yield {"resources": {"requests": {"cpu": "500"}}}
    yield {"resources": {"limits": {"example.com/flux-capacitors": "1"}}}
    yield {"nodeSelector": {SERVED_BY: "no-such-pool"}}
    yield {"nodeSelector": {SERVED_BY: "pool-0", "kubernetes.io/arch": "s390x"}}
    yield {"schedulingGates": [{"name": "example.com/wait"}], "nodeSelector": {SERVED_BY: "pool-0"}}
    yield {"schedulerName": "somebody-else", "nodeSelector": {SERVED_BY: "pool-0"}}
