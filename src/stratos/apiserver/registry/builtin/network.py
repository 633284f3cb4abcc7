"""Services and what stands behind them; Ingresses and NetworkPolicies are kept for whoever implements them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from stratos.apiserver.registry.builtin.columns import AGE, NAME, NONE, column, joined, map_text, selector_text
from stratos.apiserver.registry.builtin.container_validation import PROTOCOLS, validate_port_reference
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    duplicate,
    forbidden,
    immutable,
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
    validate_label_selector,
    validate_labels,
)
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.builtin.pod_validation import validate_ip
from stratos.apiserver.registry.resource import Obj

_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_REACHABLE_FROM_OUTSIDE = ("NodePort", "LoadBalancer")
_SHOWN_ENDPOINTS_MAX = 3
_PENDING = "<pending>"

# Service; its address and node ports are given out by admission, which knows those in use


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
    yield from one_of("spec.type", type_name, _SERVICE_TYPES, needed=True)
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


# Endpoints and EndpointSlices


def _first_few(addresses: list[str]) -> str:
    if len(addresses) <= _SHOWN_ENDPOINTS_MAX:
        return joined(addresses)
    return f"{joined(addresses[:_SHOWN_ENDPOINTS_MAX])} + {len(addresses) - _SHOWN_ENDPOINTS_MAX} more..."


def _endpoints_text(endpoints: Obj) -> str:
    found = []
    for subset in mappings(endpoints, "subsets"):
        hosts = [text(address, "ip") for address in mappings(subset, "addresses")]
        ports = mappings(subset, "ports")
        found += [f"{_bracketed(host)}:{port.get('port')}" for port in ports for host in hosts] if ports else hosts
    return _first_few(found)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _default_endpoints(endpoints: Obj) -> None:
    for subset in mappings(endpoints, "subsets"):
        for port in mappings(subset, "ports"):
            fill(port, protocol="TCP")


def _validate_endpoints(endpoints: Obj) -> Problems:
    for at, subset in numbered(endpoints, "subsets", at="subsets"):
        if not items(subset, "addresses") and not items(subset, "notReadyAddresses"):
            yield required(at, "must specify `addresses` or `notReadyAddresses`")
        for part in ("addresses", "notReadyAddresses"):
            for address_at, address in numbered(subset, part, at=f"{at}.{part}"):
                yield from validate_ip(f"{address_at}.ip", address.get("ip"))
        for port_at, port in numbered(subset, "ports", at=f"{at}.ports"):
            number = integer(port, "port")
            if problem := port_number(number or 0):
                yield invalid(f"{port_at}.port", number, problem)
            yield from one_of(f"{port_at}.protocol", port.get("protocol"), PROTOCOLS, needed=True)


def _default_slice(endpoint_slice: Obj) -> None:
    for port in mappings(endpoint_slice, "ports"):
        fill(port, name="", protocol="TCP")


_ADDRESS_FAMILIES = {"IPv4": 4, "IPv6": 6}


def _validate_slice(endpoint_slice: Obj) -> Problems:
    family = text(endpoint_slice, "addressType")
    yield from one_of("addressType", family, (*_ADDRESS_FAMILIES, "FQDN"), needed=True)
    for at, endpoint in numbered(endpoint_slice, "endpoints", at="endpoints"):
        addresses = items(endpoint, "addresses")
        if not addresses:
            yield required(f"{at}.addresses", "must contain at least 1 addresses")
        for index, address in enumerate(addresses):
            yield from _validate_endpoint_address(f"{at}.addresses[{index}]", address, family)
    ports = list(numbered(endpoint_slice, "ports", at="ports"))
    for at, port in ports:
        yield from one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS, needed=True)
        if (number := integer(port, "port")) is not None and (problem := port_number(number)):
            yield invalid(f"{at}.port", number, problem)
    yield from repeated((f"{at}.name", port.get("name")) for at, port in ports)


def _validate_endpoint_address(field: str, address: object, family: str) -> Problems:
    if family == "FQDN":
        yield from check_name(field, address, dns_subdomain)
        return
    found = list(validate_ip(field, address))
    yield from found
    if not found and ip_address(str(address)).version != _ADDRESS_FAMILIES.get(family):
        yield invalid(field, address, f"must be an {family} address")


def _validate_slice_change(new: Obj, old: Obj) -> Problems:
    yield from immutable("addressType", new.get("addressType"), old.get("addressType"))


def _slice_addresses(endpoint_slice: Obj) -> str:
    found = [str(a) for endpoint in mappings(endpoint_slice, "endpoints") for a in items(endpoint, "addresses")]
    return _first_few(found) if found else "<unset>"


# Ingress and NetworkPolicy


def _hosts(ingress: Obj) -> str:
    return joined((text(rule, "host") for rule in mappings(ingress, "spec", "rules") if rule.get("host")), empty="*")


def _validate_ingress(ingress: Obj) -> Problems:
    spec = mapping(ingress, "spec")
    if not items(spec, "rules") and not spec.get("defaultBackend"):
        yield invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    for at, rule in numbered(spec, "rules", at="spec.rules"):
        host = text(rule, "host").removeprefix("*.")
        yield from check_name(f"{at}.host", host, dns_subdomain, needed=False)
        if rule.get("http") is not None and not items(rule, "http", "paths"):
            yield required(f"{at}.http.paths")
        for path_at, path in numbered(rule, "http", "paths", at=f"{at}.http.paths"):
            kinds = ("Exact", "ImplementationSpecific", "Prefix")
            yield from one_of(f"{path_at}.pathType", path.get("pathType"), kinds, needed=True)
            if path.get("pathType") in ("Exact", "Prefix") and not text(path, "path").startswith("/"):
                yield invalid(f"{path_at}.path", path.get("path"), "must be an absolute path")


def _default_policy(policy: Obj) -> None:
    spec = mapping(policy, "spec")
    if spec.get("policyTypes") is None and isinstance(policy.get("spec"), dict):
        spec["policyTypes"] = ["Ingress", "Egress"] if items(spec, "egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        for rule in mappings(spec, direction):
            for port in mappings(rule, "ports"):
                fill(port, protocol="TCP")


def _validate_policy(policy: Obj) -> Problems:
    yield from validate_label_selector(mapping(policy, "spec").get("podSelector"), "spec.podSelector")


def _ingress_address(ingress: Obj) -> str:
    found = mappings(ingress, "status", "loadBalancer", "ingress")
    return ",".join(text(item, "ip") or text(item, "hostname") for item in found)


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
    kind(
        "v1",
        "Endpoints",
        short_names=("ep",),
        columns=(NAME, column("Endpoints", _endpoints_text), AGE),
        default=_default_endpoints,
        validate=_validate_endpoints,
    ),
    kind(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        columns=(
            NAME,
            column("AddressType", lambda s: text(s, "addressType")),
            column("Ports", lambda s: joined((p.get("port", "*") for p in mappings(s, "ports")), empty="<unset>")),
            column("Endpoints", _slice_addresses),
            AGE,
        ),
        default=_default_slice,
        validate=_validate_slice,
        validate_update=_validate_slice_change,
    ),
    kind(
        "networking.k8s.io/v1",
        "Ingress",
        short_names=("ing",),
        subresources=("status",),
        columns=(
            NAME,
            column("Class", lambda ingress: text(ingress, "spec", "ingressClassName") or NONE),
            column("Hosts", _hosts),
            column("Address", _ingress_address),
            column("Ports", lambda ingress: "80, 443" if mapping(ingress, "spec").get("tls") else "80"),
            AGE,
        ),
        validate=_validate_ingress,
    ),
    kind(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        short_names=("netpol",),
        columns=(NAME, column("Pod-Selector", lambda p: selector_text(mapping(p, "spec").get("podSelector"))), AGE),
        default=_default_policy,
        validate=_validate_policy,
    ),
)
