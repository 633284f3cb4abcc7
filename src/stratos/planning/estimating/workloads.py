"""Which pods a manifest asks for, whatever kind it is of: pods of one template, and how many of them.

Only what decides about machines is read; the rest is the API's to judge. A manifest without pods is not an error. What
has no meaning (a quantity that is none, a count below zero) is, and the message names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from stratos.apis.daemonset import DaemonSet
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.planning.estimating.assumptions import assume_labels
from stratos.planning.provisioning.asks import PodAsks, asks_of
from stratos.planning.scheduling.requests import effective_requests

MOST_PODS = 100_000
"""Of one manifest. Beyond, it is a slip of the pen, and would only cost memory."""


@dataclass(frozen=True, slots=True)
class PodGroup:
    """So many pods of one template."""

    asks: PodAsks  # of each of them; the key is that of its workload and its part
    pod: Pod  # as it is written, with all that was assumed away from what it asks
    pods: int
    part: str = ""  # which part of its workload, where it has several: head, a worker group, leader …


@dataclass(frozen=True, slots=True)
class Workload:
    """What one manifest asks for."""

    kind: str
    namespace: str
    name: str
    groups: tuple[PodGroup, ...] = ()
    daemon_set: DaemonSet | None = None  # it runs on every node, and takes from each
    notes: tuple[str, ...] = ()  # what was assumed, and why it asks for nothing

    @property
    def title(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class _Part:
    """A pod template at its place in a manifest."""

    path: str
    template: object
    pods: int
    name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        return f"{self.path}." if self.path else ""


@dataclass(frozen=True, slots=True)
class _Place:
    """A mapping inside a manifest, and the way to it, so that complaints can name fields."""

    path: str
    value: Mapping[str, Any]

    def at(self, *names: str) -> _Place:
        """What is further inside; nothing where nothing is. Raises `Invalid` when it is not a mapping."""
        place = self
        for name in names:
            path = f"{place.path}.{name}" if place.path else name
            place = _Place(path, _mapping(place.value.get(name), path))
        return place

    def each(self, name: str) -> Iterator[_Place]:
        found = self.value.get(name) or ()
        path = f"{self.path}.{name}"
        if not isinstance(found, list | tuple):
            raise Invalid(f"{path}: this is {_shown(found)}, not a list")
        for index, value in enumerate(found):
            yield _Place(f"{path}[{index}]", _mapping(value, f"{path}[{index}]"))

    def number(self, name: str, default: int) -> int:
        value = self.value.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Invalid(
                f"{self.path}.{name}: {_shown(value)} is not a number of pods", hint="write a whole number, 0 or more"
            )
        return value

    def part(self, pods: int, name: str = "", notes: tuple[str, ...] = (), template: str = "template") -> _Part:
        return _Part(f"{self.path}.{template}", self.value.get(template), pods, name, notes)


def read_workload(obj: Mapping[str, Any]) -> Workload | None:
    """The pods that ``obj`` asks for; None when its kind runs none. Raises `Invalid` naming the field."""
    kind = str(obj.get("kind", ""))
    metadata = _mapping(obj.get("metadata"), "metadata")
    name = str(metadata.get("name", ""))
    namespace = str(metadata.get("namespace") or "default")
    if (kind, _group(obj)) == ("DaemonSet", "apps"):
        daemon_set = _daemon_set(obj, namespace)
        return Workload(kind, namespace, name, daemon_set=daemon_set, notes=("it takes its share of every machine",))
    reader = _READERS.get((kind, _group(obj)), _read_anything_with_a_template)
    parts = tuple(reader(_Place("", obj)))
    if not parts:
        return None
    groups, notes = [], [note for part in parts for note in part.notes]
    for part in parts:
        if part.pods:
            pod = _pod(part, namespace, f"{name}-{part.name}" if part.name else name)
            asks, assumed = _asks(part, pod)
            groups.append(PodGroup(asks, pod, part.pods, part.name))
            notes += [note for note in assumed if note not in notes]
    if not groups:
        notes.append("it asks for no pods")
    return Workload(kind, namespace, name, tuple(groups), notes=tuple(notes))


def _group(obj: Mapping[str, Any]) -> str:
    group, slash, _ = str(obj.get("apiVersion", "")).partition("/")
    return group if slash else ""


# How each kind says what it runs


def _read_pod(obj: _Place) -> Iterator[_Part]:
    yield _Part("", obj.value, 1)


def _read_replicas(obj: _Place) -> Iterator[_Part]:
    spec = obj.at("spec")
    yield spec.part(spec.number("replicas", 1))


def _read_anything_with_a_template(obj: _Place) -> Iterator[_Part]:
    """Kinds we have never heard of often run pods as a Deployment does."""
    spec = obj.value.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pod_spec = template.get("spec") if isinstance(template, dict) else None
    if isinstance(pod_spec, dict) and pod_spec.get("containers"):
        yield from _read_replicas(obj)


def _read_job(obj: _Place) -> Iterator[_Part]:
    yield _job(obj.at("spec"))


def _job(spec: _Place, *, times: int = 1, name: str = "") -> _Part:
    """The pods that run at once: no more than there is work left for."""
    parallel = spec.number("parallelism", 1)
    completions = spec.number("completions", parallel)
    notes = ("it is suspended; counted as if it ran",) if spec.value.get("suspend") else ()
    return spec.part(times * min(parallel, completions), name, notes)


def _read_cron_job(obj: _Place) -> Iterator[_Part]:
    part = _job(obj.at("spec", "jobTemplate", "spec"))
    yield _Part(part.path, part.template, part.pods, part.name, (*part.notes, "counted while one run of it lasts"))


def _read_job_set(obj: _Place) -> Iterator[_Part]:
    for each in obj.at("spec").each("replicatedJobs"):
        spec = each.at("template", "spec")
        yield _job(spec, times=each.number("replicas", 1), name=str(each.value.get("name", "")))


def _read_leader_worker_set(obj: _Place) -> Iterator[_Part]:
    spec = obj.at("spec")
    replicas = spec.number("replicas", 1)
    group = spec.at("leaderWorkerTemplate")
    size = group.number("size", 1)
    led = min(size, 1)
    own = "leaderTemplate" if group.value.get("leaderTemplate") else "workerTemplate"
    yield group.part(replicas * led, "leader", template=own)
    yield group.part(replicas * (size - led), "worker", template="workerTemplate")


def _read_ray_cluster(obj: _Place) -> Iterator[_Part]:
    yield from _ray_cluster(obj.at("spec"))


def _read_ray_service(obj: _Place) -> Iterator[_Part]:
    yield from _ray_cluster(obj.at("spec", "rayClusterConfig"))


def _read_ray_job(obj: _Place) -> Iterator[_Part]:
    spec = obj.at("spec")
    if spec.value.get("rayClusterSpec") is not None:  # else it runs on a cluster that is there
        yield from _ray_cluster(spec.at("rayClusterSpec"))
    if spec.value.get("submissionMode", "K8sJobMode") == "K8sJobMode":
        if spec.value.get("submitterPodTemplate"):
            yield spec.part(1, "submitter", template="submitterPodTemplate")
        else:
            yield _Part(f"{spec.path}.submitterPodTemplate", _RAY_SUBMITTER, 1, "submitter")


def _ray_cluster(spec: _Place) -> Iterator[_Part]:
    head = spec.at("headGroupSpec")
    if spec.value.get("enableInTreeAutoscaling"):
        yield _with_ray_autoscaler(head, spec.at("autoscalerOptions"))
    else:
        yield head.part(1, "head")
    for group in spec.each("workerGroupSpecs"):
        replicas = max(group.number("replicas", 0), group.number("minReplicas", 0))
        if group.value.get("maxReplicas") is not None:
            replicas = min(replicas, group.number("maxReplicas", replicas))
        name = str(group.value.get("groupName") or "worker")
        yield group.part(replicas * group.number("numOfHosts", 1), name)


# What KubeRay fills in where nothing is said (ray-operator, common/job.go and common/pod.go).
_RAY_SUBMITTER = {
    "spec": {
        "containers": [{"name": "ray-job-submitter", "resources": {"requests": {"cpu": "500m", "memory": "200Mi"}}}]
    }
}
_RAY_AUTOSCALER = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}


def _with_ray_autoscaler(head: _Place, options: _Place) -> _Part:
    """Ray's own autoscaler runs beside the head, in a container that no manifest shows."""
    part = head.part(1, "head", ("its head is counted with the container of Ray's autoscaler",))
    spec = head.at("template", "spec").value
    added = {"name": "autoscaler", "resources": options.value.get("resources") or _RAY_AUTOSCALER}
    containers = [*spec.get("containers", ()), added]
    template = {**head.at("template").value, "spec": {**spec, "containers": containers}}
    return _Part(part.path, template, part.pods, part.name, part.notes)


_READERS: Mapping[tuple[str, str], Callable[[_Place], Iterator[_Part]]] = {
    ("Pod", ""): _read_pod,
    ("ReplicationController", ""): _read_replicas,
    ("Deployment", "apps"): _read_replicas,
    ("StatefulSet", "apps"): _read_replicas,
    ("ReplicaSet", "apps"): _read_replicas,
    ("Job", "batch"): _read_job,
    ("CronJob", "batch"): _read_cron_job,
    ("JobSet", "jobset.x-k8s.io"): _read_job_set,
    ("LeaderWorkerSet", "leaderworkerset.x-k8s.io"): _read_leader_worker_set,
    ("RayCluster", "ray.io"): _read_ray_cluster,
    ("RayJob", "ray.io"): _read_ray_job,
    ("RayService", "ray.io"): _read_ray_service,
}


# Pods


def _pod(part: _Part, namespace: str, name: str) -> Pod:
    if part.pods > MOST_PODS:
        raise Invalid(
            f"it asks for {part.pods:,} pods; an estimate takes {MOST_PODS:,} of one manifest at most",
            hint="estimate a part of them, and multiply",
        )
    template, prefix = _mapping(part.template, part.path), part.prefix
    if not _mapping(template.get("spec"), f"{prefix}spec").get("containers"):
        raise Invalid(f"{prefix}spec.containers: it has none", hint="a pod runs at least one container")
    try:
        pod = msgspec.convert({"metadata": template.get("metadata") or {}, "spec": template["spec"]}, Pod)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        raise Invalid(f"{prefix}{place.strip('.`')}: {problem}") from error
    metadata = msgspec.structs.replace(pod.metadata, namespace=namespace, name=name)
    return msgspec.structs.replace(pod, metadata=metadata)


def _asks(part: _Part, pod: Pod) -> tuple[PodAsks, tuple[str, ...]]:
    """What each pod of the template asks for, and what was assumed about the nodes."""
    pod, notes = assume_labels(pod)
    try:
        _refuse_less_than_nothing(pod)
        return asks_of(pod), notes
    except Invalid as error:
        raise Invalid(f"{part.prefix}{error.message}", hint=error.hint) from error


def _refuse_less_than_nothing(pod: Pod) -> None:
    for resource, amount in sorted(effective_requests(pod.spec).items()):
        if amount < 0:
            raise Invalid(f"spec.containers: they ask for less than no {resource}", hint="requests are 0 or more")


def _daemon_set(obj: Mapping[str, Any], namespace: str) -> DaemonSet:
    """Checked as other pods are, for whoever reads DaemonSets later leaves out those that make no sense."""
    part = _Place("", obj).at("spec").part(1)
    _asks(part, _pod(part, namespace, ""))
    daemon_set = msgspec.convert(dict(obj), DaemonSet)
    return msgspec.structs.replace(
        daemon_set, metadata=msgspec.structs.replace(daemon_set.metadata, namespace=namespace)
    )


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"{path}: this is {_shown(value)}, not a mapping")
    return value


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
