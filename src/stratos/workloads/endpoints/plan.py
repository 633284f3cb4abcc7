"""Work out the EndpointSlices and the Endpoints object that a Service should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stratos.apis.event import ObjectReference
from stratos.apis.labels import ZONE
from stratos.apis.node import Node
from stratos.apis.pod import Pod
from stratos.apis.service import (
    ENDPOINT_SLICE,
    MANAGED_BY_LABEL,
    SERVICE,
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    EndpointSubset,
    Service,
)
from stratos.workloads.pods import controller_reference, is_ready

MANAGER = "endpointslice-controller.k8s.io"
_SLICE_SIZE = 100


def plan_slices(service: Service, pods: Sequence[Pod], nodes: Mapping[str, Node]) -> tuple[dict[str, Any], ...]:
    """The slices a Service should have, whole, under names that stay the same. ``pods`` are those it selects."""
    if not service.spec.selector:
        return ()
    groups: dict[tuple[EndpointPort, ...], list[Pod]] = {}
    for pod in _addressed(pods):
        groups.setdefault(_ports(service, pod), []).append(pod)
    chunks = [
        (ports, members[start : start + _SLICE_SIZE])
        for ports, members in groups.items()
        for start in range(0, len(members), _SLICE_SIZE)
    ]
    return tuple(
        _slice(service, number, ports, [_endpoint(service, pod, nodes) for pod in members])
        for number, (ports, members) in enumerate(chunks or [((), [])])
    )


def plan_endpoints(service: Service, pods: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    """The older form of the same, which has no word for pods on their way out: they are left out."""
    groups: dict[tuple[EndpointPort, ...], tuple[list[EndpointAddress], list[EndpointAddress]]] = {}
    for pod in _addressed(pods):
        if pod.metadata.deletion_timestamp is not None:
            continue
        ready, unready = groups.setdefault(_ports(service, pod), ([], []))
        serves = is_ready(pod) or service.spec.publish_not_ready_addresses
        (ready if serves else unready).append(
            EndpointAddress(
                ip=pod.status.pod_ip,
                hostname=_hostname(service, pod),
                node_name=pod.spec.node_name or None,
                target_ref=_reference(pod),
            )
        )
    return tuple(
        EndpointSubset(
            addresses=tuple(ready) or None,
            not_ready_addresses=tuple(unready) or None,
            ports=ports or None,
        )
        for ports, (ready, unready) in groups.items()
    )


def _addressed(pods: Sequence[Pod]) -> list[Pod]:
    addressed = [pod for pod in pods if pod.status.pod_ip and not pod.finished]
    return sorted(addressed, key=lambda pod: pod.metadata.name)


def _ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    """The Service's ports as numbers on this pod; a named port that the pod does not have is left out."""
    ports = []
    for port in service.spec.ports:
        number: int | None
        if isinstance(port.target_port, str):
            number = next(
                (
                    each.container_port
                    for container in pod.spec.containers
                    for each in container.ports or ()
                    if each.name == port.target_port and each.protocol == port.protocol
                ),
                None,
            )
        else:
            number = port.target_port or port.port
        if number is not None:
            ports.append(
                EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)
            )
    return tuple(ports)


def _endpoint(service: Service, pod: Pod, nodes: Mapping[str, Node]) -> Endpoint:
    terminating = pod.metadata.deletion_timestamp is not None
    serving = is_ready(pod)
    node = nodes.get(pod.spec.node_name)
    return Endpoint(
        addresses=(pod.status.pod_ip,),
        conditions=EndpointConditions(
            ready=service.spec.publish_not_ready_addresses or (serving and not terminating),
            serving=serving,
            terminating=terminating,
        ),
        hostname=_hostname(service, pod),
        node_name=pod.spec.node_name or None,
        zone=node.metadata.labels.get(ZONE) if node else None,
        target_ref=_reference(pod),
    )


def _hostname(service: Service, pod: Pod) -> str | None:
    return pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.metadata.name else None


def _reference(pod: Pod) -> ObjectReference:
    return ObjectReference(kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid)


def _slice(
    service: Service, number: int, ports: tuple[EndpointPort, ...], endpoints: Sequence[Endpoint]
) -> dict[str, Any]:
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "name": f"{service.metadata.name}-{number}",
            "namespace": service.metadata.namespace,
            "labels": {
                **service.metadata.labels,
                SERVICE_NAME_LABEL: service.metadata.name,
                MANAGED_BY_LABEL: MANAGER,
            },
            "ownerReferences": [controller_reference(SERVICE, service)],
        },
        "addressType": "IPv4",
        "endpoints": msgspec.to_builtins(endpoints),
        # The defaults are written out: in a slice, a port without a protocol is not TCP but any.
        "ports": [{**msgspec.to_builtins(port), "name": port.name, "protocol": port.protocol} for port in ports],
    }
