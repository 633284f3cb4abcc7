"""The status of a pod, put together from what its containers are doing, as a kubelet does.

Pure: `PodRun` changes the records, and this says what they amount to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stratos.agent.simulated_kubelet.node_report import rfc3339


@dataclass(frozen=True, slots=True)
class Waiting:
    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    exit_code: int
    started_at: datetime
    finished_at: datetime

    @property
    def reason(self) -> str:
        return "Completed" if self.exit_code == 0 else "Error"


ContainerState = Waiting | Running | Terminated


@dataclass(slots=True)
class ContainerRecord:
    """One container of the pod, over all its restarts."""

    name: str
    image: str
    id_prefix: str
    init: bool = False
    sidecar: bool = False
    state: ContainerState = Waiting()
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    over: bool = False  # it has terminated, and will not be started again

    @property
    def succeeded(self) -> bool:
        return isinstance(self.state, Terminated) and self.state.exit_code == 0


@dataclass(slots=True)
class PodRecord:
    """A pod on its host, as far as its status tells of it."""

    host_ip: str
    started_at: datetime
    containers: list[ContainerRecord]
    pod_ip: str = ""
    condition_since: dict[str, tuple[bool, datetime]] = field(default_factory=dict)

    @property
    def initialized(self) -> bool:
        return all(
            isinstance(each.state, Running) if each.sidecar else each.succeeded for each in self.containers if each.init
        )

    @property
    def main(self) -> list[ContainerRecord]:
        return [each for each in self.containers if not each.init]

    @property
    def ready(self) -> bool:
        return all(each.ready for each in self.containers if each.sidecar or not each.init)

    @property
    def phase(self) -> str:
        if any(each.init and not each.sidecar and each.over and not each.succeeded for each in self.containers):
            return "Failed"
        if all(each.over for each in self.main):
            return "Succeeded" if all(each.succeeded for each in self.main) else "Failed"
        begun = all(not isinstance(each.state, Waiting) or each.restarts or each.last for each in self.main)
        return "Running" if begun else "Pending"


def pod_status(pod: PodRecord, now: datetime) -> dict[str, Any]:
    """What a status patch carries."""
    phase = pod.phase
    status: dict[str, Any] = {
        "phase": phase,
        "startTime": rfc3339(pod.started_at),
        "hostIP": pod.host_ip,
        "hostIPs": [{"ip": pod.host_ip}],
        "conditions": _conditions(pod, phase, now),
        "containerStatuses": [_container_status(each) for each in pod.containers if not each.init],
    }
    if pod.pod_ip:
        status |= {"podIP": pod.pod_ip, "podIPs": [{"ip": pod.pod_ip}]}
    if any(each.init for each in pod.containers):
        status["initContainerStatuses"] = [_container_status(each) for each in pod.containers if each.init]
    return status


def _conditions(pod: PodRecord, phase: str, now: datetime) -> list[dict[str, Any]]:
    done = phase in ("Succeeded", "Failed")
    reason = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
    unready = [each.name for each in pod.main if not each.ready]
    message = "" if done else f"containers with unready status: [{' '.join(unready)}]"
    ready = pod.ready and pod.initialized and not done
    seen = (
        ("PodReadyToStartContainers", bool(pod.pod_ip) and not done, "", ""),
        ("Initialized", pod.initialized, "ContainersNotInitialized", ""),
        ("Ready", ready, reason, message),
        ("ContainersReady", ready, reason, message),
    )
    return [_condition(pod, *each, now) for each in seen]


def _condition(pod: PodRecord, type_: str, status: bool, reason: str, message: str, now: datetime) -> dict[str, Any]:
    before, since = pod.condition_since.get(type_, (None, now))
    if before is not status:
        since = now
        pod.condition_since[type_] = (status, now)
    # None takes away the reason of a former state: a strategic merge would keep it.
    return {
        "type": type_,
        "status": str(status),
        "lastTransitionTime": rfc3339(since),
        "reason": reason if reason and not status else None,
        "message": message if message and not status else None,
    }


def _container_status(container: ContainerRecord) -> dict[str, Any]:
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "" if isinstance(container.state, Waiting) and not container.last else f"sim://{container.image}",
        "ready": container.ready,
        "started": isinstance(container.state, Running),
        "restartCount": container.restarts,
        "state": _state(container, container.state),
        "lastState": _state(container, container.last) if container.last else {},
        **({} if isinstance(container.state, Waiting) else {"containerID": _container_id(container)}),
    }


def _state(container: ContainerRecord, state: ContainerState) -> dict[str, Any]:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(started_at):
            return {"running": {"startedAt": rfc3339(started_at)}}
        case Terminated(exit_code, started_at, finished_at):
            return {
                "terminated": {
                    "exitCode": exit_code,
                    "reason": state.reason,
                    "startedAt": rfc3339(started_at),
                    "finishedAt": rfc3339(finished_at),
                    "containerID": _container_id(container),
                }
            }


def _container_id(container: ContainerRecord) -> str:
    return f"containerd://{container.id_prefix}-{container.restarts}"
