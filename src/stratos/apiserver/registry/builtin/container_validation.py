"""Rules for one container of a pod: its image, ports, environment, mounts, probes and resources."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stratos.apiserver.registry.builtin.amounts import validate_container_resources
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    duplicate,
    forbidden,
    integer,
    invalid,
    mapping,
    not_found,
    not_negative,
    numbered,
    one_of,
    repeated,
    required,
    text,
)
from stratos.apiserver.registry.builtin.names import (
    check_name,
    config_key,
    dns_label,
    dns_subdomain,
    environment_name,
    port_name,
    port_number,
)

PROTOCOLS = ("TCP", "UDP", "SCTP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENVIRONMENT_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


def validate_containers(spec: dict[str, Any], volumes: Collection[str], field: str) -> Problems:
    """All containers of a pod spec: each alone, and what they must not share."""
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    found = [*numbered(spec, "initContainers", at=f"{field}.initContainers")]
    found += numbered(spec, "containers", at=f"{field}.containers")
    host_network = spec.get("hostNetwork") is True
    for at, container in found:
        yield from _validate_container(container, volumes, at, host_network=host_network)
    yield from repeated((f"{at}.name", container.get("name")) for at, container in found)
    for at, container in numbered(spec, "initContainers", at=f"{field}.initContainers"):
        yield from _validate_init_container(container, at)
    for at, container in numbered(spec, "containers", at=f"{field}.containers"):
        if container.get("restartPolicy"):
            yield forbidden(f"{at}.restartPolicy", "may not be set for non-init containers")
        yield from _validate_probes(container, at)
        yield from _validate_lifecycle(container, at)
    yield from _validate_host_ports(spec, field)


def _validate_init_container(container: dict[str, Any], field: str) -> Problems:
    policy = container.get("restartPolicy")
    if policy == "Always":
        yield from _validate_probes(container, field)
        yield from _validate_lifecycle(container, field)
        return
    yield from one_of(f"{field}.restartPolicy", policy, ("Always",))
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            yield forbidden(f"{field}.{name}", "may not be set for init containers without restartPolicy=Always")


def _validate_container(
    container: dict[str, Any], volumes: Collection[str], field: str, *, host_network: bool
) -> Problems:
    yield from check_name(f"{field}.name", container.get("name"), dns_label)
    image = container.get("image")
    if not image:
        yield required(f"{field}.image")
    elif isinstance(image, str) and image != image.strip():
        yield invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    yield from one_of(f"{field}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    yield from one_of(f"{field}.terminationMessagePolicy", container.get("terminationMessagePolicy"), _MESSAGE_POLICIES)
    yield from _validate_ports(container, field, host_network=host_network)
    yield from _validate_environment(container, field)
    yield from _validate_mounts(container, volumes, field)
    yield from validate_container_resources(container.get("resources"), f"{field}.resources")
    security = mapping(container, "securityContext")
    yield from not_negative(f"{field}.securityContext.runAsUser", security.get("runAsUser"))
    if security.get("privileged") is True and security.get("allowPrivilegeEscalation") is False:
        yield invalid(
            f"{field}.securityContext",
            security,
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        )


def _validate_ports(container: dict[str, Any], field: str, *, host_network: bool) -> Problems:
    ports = list(numbered(container, "ports", at=f"{field}.ports"))
    for at, port in ports:
        if name := text(port, "name"):
            yield from check_name(f"{at}.name", name, port_name)
        number, host_port = integer(port, "containerPort"), integer(port, "hostPort")
        if not number:
            yield required(f"{at}.containerPort")
        elif problem := port_number(number):
            yield invalid(f"{at}.containerPort", number, problem)
        if host_port and (problem := port_number(host_port)):
            yield invalid(f"{at}.hostPort", host_port, problem)
        if host_network and host_port and host_port != number:
            yield invalid(f"{at}.hostPort", host_port, "must match `containerPort` when `hostNetwork` is true")
        yield from one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS, needed=True)
    yield from repeated((f"{at}.name", port.get("name")) for at, port in ports)


def _validate_host_ports(spec: dict[str, Any], field: str) -> Problems:
    seen: set[tuple[object, ...]] = set()
    for at, container in numbered(spec, "containers", at=f"{field}.containers"):
        for port_at, port in numbered(container, "ports", at=f"{at}.ports"):
            host_port = integer(port, "hostPort")
            key = (text(port, "protocol"), text(port, "hostIP"), host_port)
            if host_port and key in seen:
                yield duplicate(f"{port_at}.hostPort", host_port)
            seen.add(key)


def _validate_environment(container: dict[str, Any], field: str) -> Problems:
    for at, variable in numbered(container, "env", at=f"{field}.env"):
        yield from check_name(f"{at}.name", variable.get("name"), environment_name)
        source = variable.get("valueFrom")
        if not isinstance(source, dict):
            continue
        named = [name for name in _ENVIRONMENT_SOURCES if source.get(name)]
        if not named:
            kinds = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            yield invalid(f"{at}.valueFrom", "", f"must specify one of: {kinds}")
        elif variable.get("value"):
            yield invalid(f"{at}.valueFrom", "", "may not be specified when `value` is not empty")
        if len(named) > 1:
            yield invalid(f"{at}.valueFrom", "", "may not have more than one field specified at a time")
        for name in named:
            yield from _validate_environment_source(name, mapping(source, name), f"{at}.valueFrom.{name}")
    for at, source in numbered(container, "envFrom", at=f"{field}.envFrom"):
        named = [name for name in ("configMapRef", "secretRef") if source.get(name)]
        if not named:
            yield invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(named) > 1:
            yield invalid(at, "", "may not have more than one field specified at a time")
        for name in named:
            yield from check_name(f"{at}.{name}.name", source[name].get("name"), dns_subdomain)


def _validate_environment_source(kind: str, source: dict[str, Any], field: str) -> Problems:
    match kind:
        case "fieldRef":
            if not source.get("fieldPath"):
                yield required(f"{field}.fieldPath")
        case "resourceFieldRef":
            if not source.get("resource"):
                yield required(f"{field}.resource")
        case _:
            yield from check_name(f"{field}.key", source.get("key"), config_key)


def _validate_mounts(container: dict[str, Any], volumes: Collection[str], field: str) -> Problems:
    paths: set[str] = set()
    for at, mount in numbered(container, "volumeMounts", at=f"{field}.volumeMounts"):
        name, path = text(mount, "name"), text(mount, "mountPath")
        if not name:
            yield required(f"{at}.name")
        elif name not in volumes:
            yield not_found(f"{at}.name", name)
        if not path:
            yield required(f"{at}.mountPath")
        elif path in paths:
            yield invalid(f"{at}.mountPath", path, "must be unique")
        paths.add(path)
        yield from validate_local_path(f"{at}.subPath", mount.get("subPath"))
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield invalid(f"{at}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")


def validate_local_path(field: str, path: object) -> Problems:
    """A path inside a volume: relative, and never climbing out of it."""
    if not isinstance(path, str) or not path:
        return
    if path.startswith("/"):
        yield invalid(field, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid(field, path, "must not contain '..'")


def _validate_probes(container: dict[str, Any], field: str) -> Problems:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if not isinstance(probe, dict):
            continue
        at = f"{field}.{name}"
        yield from _validate_handler(probe, at)
        for count in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
            yield from not_negative(f"{at}.{count}", probe.get(count))
        if name != "readinessProbe" and probe.get("successThreshold") not in (None, 1):
            yield invalid(f"{at}.successThreshold", probe["successThreshold"], "must be 1")
        grace = integer(probe, "terminationGracePeriodSeconds")
        if grace is not None and name == "readinessProbe":
            yield invalid(f"{at}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
        elif grace is not None and grace <= 0:
            yield invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than 0")


def _validate_lifecycle(container: dict[str, Any], field: str) -> Problems:
    for name in ("postStart", "preStop"):
        handler = mapping(container, "lifecycle").get(name)
        if isinstance(handler, dict):
            yield from _validate_handler(handler, f"{field}.lifecycle.{name}")


def _validate_handler(handler: dict[str, Any], field: str) -> Problems:
    named = [name for name in _HANDLERS if handler.get(name) is not None]
    if not named:
        yield required(field, "must specify a handler type")
    for extra in named[1:]:
        yield forbidden(f"{field}.{extra}", "may not specify more than 1 handler type")
    yield from _validate_action(handler, named, field)


def _validate_action(handler: dict[str, Any], named: list[str], field: str) -> Problems:
    for name in named[:1]:
        action, at = mapping(handler, name), f"{field}.{name}"
        match name:
            case "exec" if not action.get("command"):
                yield required(f"{at}.command")
            case "httpGet":
                if not action.get("path"):
                    yield required(f"{at}.path")
                yield from validate_port_reference(f"{at}.port", action.get("port"))
                yield from one_of(f"{at}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
            case "tcpSocket" | "grpc":
                yield from validate_port_reference(f"{at}.port", action.get("port"))
            case _:
                pass


def validate_port_reference(field: str, port: object) -> Problems:
    """A port by number or by the name it has in the container."""
    if isinstance(port, int) and not isinstance(port, bool):
        if problem := port_number(port):
            yield invalid(field, port, problem)
    elif isinstance(port, str) and (problem := port_name(port)):
        yield invalid(field, port, problem)
    elif port is None:
        yield required(field)
