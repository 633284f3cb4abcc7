"""Services. Admission gives them their address and node ports, for it knows those in use."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.builtin.columns import AGE, NAME, NONE, column, joined, map_text
from stratos.apiserver.registry.builtin.container_validation import PROTOCOLS, validate_port_reference
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    duplicate,
    forbidden,
    integer,
    invalid,
    items,
    mapping,
    mappings,
    numbered,
    one_of,
    repeated,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import (
    check_name,
    dns_1035_label,
    dns_label,
    dns_subdomain,
    port_number,
    validate_labels,
)
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.builtin.pod_validation import validate_ip
from stratos.apiserver.registry.resource import Obj

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_REACHABLE_FROM_OUTSIDE = ("NodePort", "LoadBalancer")
_PENDING = "<pending>"


def _default_service(service: Obj) -> None:
    fill(service, spec={})
    if not isinstance(spec := service["spec"], dict):
        return
    fill(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    for port in mappings(spec, "ports"):
        fill(port, protocol="TCP")
        if port.get("targetPort") in (None, "", 0) and "port" in port:
            port["targetPort"] = port["port"]
    if spec["type"] == "ExternalName":
        return
    fill(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    if spec["type"] in _REACHABLE_FROM_OUTSIDE:
        fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
    if (address := text(spec, "clusterIP")) and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [address]
    service.setdefault("status", {"loadBalancer": {}})


def _validate_service(service: Obj) -> Problems:
    spec = mapping(service, "spec")
    type_name = spec.get("type")
    yield from one_of("spec.type", type_name, _TYPES, needed=True)
    yield from one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"), needed=True)
    yield from validate_labels(spec.get("selector"), "spec.selector")
    if type_name == "ExternalName":
        yield from check_name("spec.externalName", text(spec, "externalName").rstrip("."), dns_subdomain)
        if spec.get("clusterIP") not in (None, ""):
            yield forbidden("spec.clusterIP", "may not be set for ExternalName services")
    elif not items(spec, "ports") and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    yield from _validate_cluster_ip(spec)
    yield from _validate_service_ports(spec)
    if (
        spec.get("externalTrafficPolicy")
        and type_name not in _REACHABLE_FROM_OUTSIDE
        and not items(spec, "externalIPs")
    ):
        yield invalid(
            "spec.externalTrafficPolicy",
            spec["externalTrafficPolicy"],
            "may only be set for externally-accessible services",
        )
    else:
        yield from one_of("spec.externalTrafficPolicy", spec.get("externalTrafficPolicy"), ("Cluster", "Local"))
    yield from one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), ("Cluster", "Local"))
    for index, address in enumerate(items(spec, "externalIPs")):
        yield from validate_ip(f"spec.externalIPs[{index}]", address)


def _validate_cluster_ip(spec: dict[str, Any]) -> Problems:
    address = text(spec, "clusterIP")
    if address == "None":
        if spec.get("type") in _REACHABLE_FROM_OUTSIDE:
            yield invalid("spec.clusterIPs[0]", address, f"may not be set to 'None' for {spec['type']} services")
    elif address:
        yield from validate_ip("spec.clusterIPs[0]", address)


def _validate_service_ports(spec: dict[str, Any]) -> Problems:
    ports = list(numbered(spec, "ports", at="spec.ports"))
    seen: set[tuple[object, object]] = set()
    for at, port in ports:
        name, number, node_port = text(port, "name"), integer(port, "port"), integer(port, "nodePort")
        if len(ports) > 1 or name:
            yield from check_name(f"{at}.name", name, dns_label)
        if number is None:
            yield required(f"{at}.port")
        elif problem := port_number(number):
            yield invalid(f"{at}.port", number, problem)
        yield from one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS, needed=True)
        yield from validate_port_reference(f"{at}.targetPort", port.get("targetPort"))
        if node_port and spec.get("type") not in _REACHABLE_FROM_OUTSIDE:
            yield forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
        elif node_port and (problem := port_number(node_port)):
            yield invalid(f"{at}.nodePort", node_port, problem)
        key = (port.get("protocol"), number)
        if number is not None and key in seen:
            yield duplicate(at, {"protocol": port.get("protocol"), "port": number})
        seen.add(key)
    yield from repeated((f"{at}.name", port.get("name")) for at, port in ports)


def _validate_service_change(new: Obj, old: Obj) -> Problems:
    spec, before = mapping(new, "spec"), mapping(old, "spec")
    if "ExternalName" in (spec.get("type"), before.get("type")) or not before.get("clusterIP"):
        return
    if spec.get("clusterIP") != before["clusterIP"]:
        yield invalid("spec.clusterIPs[0]", spec.get("clusterIP"), "may not change once set")


def _external_ip(service: Obj) -> str:
    spec = mapping(service, "spec")
    given = [str(address) for address in items(spec, "externalIPs")]
    match spec.get("type"):
        case "ExternalName":
            return text(spec, "externalName")
        case "LoadBalancer":
            ingresses = mappings(service, "status", "loadBalancer", "ingress")
            return joined([text(i, "ip") or text(i, "hostname") for i in ingresses] + given, empty=_PENDING)
        case _:
            return joined(given)


def _service_ports(service: Obj) -> str:
    def shown(port: dict[str, Any]) -> str:
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port.get('port')}{node_port}/{port.get('protocol')}"

    return joined(shown(port) for port in mappings(service, "spec", "ports"))


RESOURCES = (
    kind(
        "v1",
        "Service",
        short_names=("svc",),
        categories=("all",),
        subresources=("status",),
        columns=(
            NAME,
            column("Type", lambda service: text(service, "spec", "type")),
            column("Cluster-IP", lambda service: text(service, "spec", "clusterIP") or NONE),
            column("External-IP", _external_ip),
            column("Port(s)", _service_ports),
            AGE,
            column("Selector", lambda service: map_text(mapping(service, "spec").get("selector")), wide=True),
        ),
        selectable=("spec.clusterIP", "spec.type"),
        name_rule=dns_1035_label,
        default=_default_service,
        validate=_validate_service,
        validate_update=_validate_service_change,
    ),
)
