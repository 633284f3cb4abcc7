"""Pods and PodTemplates: what ``kubectl get pods`` shows, what may be selected, and their life-long rules."""

from __future__ import annotations

from datetime import datetime

from stratos.apiserver.registry.builtin.columns import (
    AGE,
    NAME,
    NONE,
    age,
    column,
    joined,
    map_text,
)
from stratos.apiserver.registry.builtin.fields import Problems, integer, mapping, mappings, text
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.pod_defaults import default_pod_spec, fill, quality_of_service
from stratos.apiserver.registry.builtin.pod_validation import (
    validate_pod_change,
    validate_pod_spec,
    validate_pod_template,
)
from stratos.apiserver.registry.resource import Column, Obj

_FINISHED = ("Succeeded", "Failed")


def _default_pod(pod: Obj) -> None:
    fill(pod, spec={}, status={})
    spec, status = pod["spec"], pod["status"]
    if isinstance(spec, dict) and isinstance(status, dict):
        default_pod_spec(spec)
        fill(status, phase="Pending", qosClass=quality_of_service(spec))


def _validate_pod(pod: Obj) -> Problems:
    yield from validate_pod_spec(mapping(pod, "spec"), "spec")


def _default_template(template: Obj) -> None:
    default_pod_spec(mapping(template, "template", "spec"))


def _validate_template(template: Obj) -> Problems:
    yield from validate_pod_template(mapping(template, "template"), "template")


# What kubectl calls STATUS is none of the API's fields: it is read from phase, reasons and container states together.


def _has_condition(pod: Obj, name: str) -> bool:
    return any(c.get("type") == name and c.get("status") == "True" for c in mappings(pod, "status", "conditions"))


def _ended(state: Obj) -> str:
    """How a container ended, when it gave no reason."""
    signal = integer(state, "signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{integer(state, 'exitCode') or 0}"


def _sidecars(pod: Obj) -> frozenset[str]:
    """Init containers that keep running beside the others."""
    found = mappings(pod, "spec", "initContainers")
    return frozenset(text(c, "name") for c in found if c.get("restartPolicy") == "Always")


def _is_up_sidecar(status: Obj, sidecars: frozenset[str]) -> bool:
    return text(status, "name") in sidecars and status.get("started") is True


def _init_state(pod: Obj) -> str | None:
    """``Init:…`` for the first init container that is not done, if any."""
    sidecars = _sidecars(pod)
    for index, status in enumerate(mappings(pod, "status", "initContainerStatuses")):
        terminated, waiting = mapping(status, "state", "terminated"), mapping(status, "state", "waiting")
        if (terminated and not integer(terminated, "exitCode")) or _is_up_sidecar(status, sidecars):
            continue
        if terminated:
            return f"Init:{text(terminated, 'reason') or _ended(terminated)}"
        if text(waiting, "reason") not in ("", "PodInitializing"):
            return f"Init:{text(waiting, 'reason')}"
        return f"Init:{index}/{len(mappings(pod, 'spec', 'initContainers'))}"
    return None


def _container_state(pod: Obj, state: str) -> str:
    """The state of the first container that has one to tell of, else ``state``."""
    running = False
    for status in reversed(mappings(pod, "status", "containerStatuses")):
        terminated, waiting = mapping(status, "state", "terminated"), mapping(status, "state", "waiting")
        if text(waiting, "reason"):
            state = text(waiting, "reason")
        elif terminated:
            state = text(terminated, "reason") or _ended(terminated)
        elif status.get("ready") is True and mapping(status, "state").get("running") is not None:
            running = True
    if state == "Completed" and running:
        return "Running" if _has_condition(pod, "Ready") else "NotReady"
    return state


def pod_state(pod: Obj) -> str:
    """The word in the STATUS column."""
    status = mapping(pod, "status")
    state = text(status, "reason") or text(status, "phase")
    for condition in mappings(status, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            state = "SchedulingGated"
    waits_in = _init_state(pod)
    if waits_in and not _has_condition(pod, "Initialized"):
        state = waits_in
    else:
        state = _container_state(pod, waits_in or state)
    if mapping(pod, "metadata").get("deletionTimestamp"):
        if text(status, "reason") == "NodeLost":
            return "Unknown"
        if text(status, "phase") not in _FINISHED:
            return "Terminating"
    return state


def _ready(pod: Obj) -> str:
    sidecars = _sidecars(pod)
    ready = sum(
        status.get("ready") is True and mapping(status, "state").get("running") is not None
        for status in mappings(pod, "status", "containerStatuses")
    )
    ready += sum(
        _is_up_sidecar(status, sidecars) and status.get("ready") is True
        for status in mappings(pod, "status", "initContainerStatuses")
    )
    return f"{ready}/{len(mappings(pod, 'spec', 'containers')) + len(sidecars)}"


def _restarts(pod: Obj, now: datetime) -> str:
    """How often containers started anew, and when last; init containers count only until they are done."""
    init, main = mappings(pod, "status", "initContainerStatuses"), mappings(pod, "status", "containerStatuses")
    if not _init_state(pod) or _has_condition(pod, "Initialized"):
        sidecars = _sidecars(pod)
        counted = [status for status in init if text(status, "name") in sidecars] + main
    else:
        counted = init
    restarts = sum(integer(status, "restartCount") or 0 for status in counted)
    last = max((text(status, "lastState", "terminated", "finishedAt") for status in counted), default="")
    return f"{restarts} ({age(last, now)} ago)" if restarts and last else str(restarts)


def _address(pod: Obj) -> str:
    return next((text(ip, "ip") for ip in mappings(pod, "status", "podIPs")), text(pod, "status", "podIP")) or NONE


def _readiness_gates(pod: Obj) -> str:
    gates = mappings(pod, "spec", "readinessGates")
    if not gates:
        return NONE
    return f"{sum(_has_condition(pod, text(gate, 'conditionType')) for gate in gates)}/{len(gates)}"


_POD_COLUMNS = (
    NAME,
    column("Ready", _ready),
    column("Status", pod_state),
    Column("Restarts", _restarts),
    AGE,
    column("IP", _address, wide=True),
    column("Node", lambda pod: text(pod, "spec", "nodeName") or NONE, wide=True),
    column("Nominated Node", lambda pod: text(pod, "status", "nominatedNodeName") or NONE, wide=True),
    column("Readiness Gates", _readiness_gates, wide=True),
)

RESOURCES = (
    kind(
        "v1",
        "Pod",
        short_names=("po",),
        categories=("all",),
        subresources=("status", "eviction", "binding", "log", "ephemeralcontainers"),
        columns=_POD_COLUMNS,
        selectable=(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ),
        default=_default_pod,
        validate=_validate_pod,
        validate_update=validate_pod_change,
    ),
    kind(
        "v1",
        "PodTemplate",
        columns=(
            NAME,
            column(
                "Containers", lambda t: joined(text(c, "name") for c in mappings(t, "template", "spec", "containers"))
            ),
            column("Images", lambda t: joined(text(c, "image") for c in mappings(t, "template", "spec", "containers"))),
            column("Pod Labels", lambda t: map_text(mapping(t, "template", "metadata").get("labels"))),
        ),
        default=_default_template,
        validate=_validate_template,
    ),
)
