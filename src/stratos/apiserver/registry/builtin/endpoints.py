"""What stands behind a Service: Endpoints and EndpointSlices."""

from __future__ import annotations

from ipaddress import ip_address

from stratos.apiserver.registry.builtin.columns import AGE, NAME, column, joined
from stratos.apiserver.registry.builtin.container_validation import PROTOCOLS
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    immutable,
    integer,
    invalid,
    items,
    mappings,
    numbered,
    one_of,
    repeated,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import check_name, dns_subdomain, port_number
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.builtin.pod_validation import validate_ip
from stratos.apiserver.registry.resource import Obj

_SHOWN_MAX = 3  # addresses in a column
_ADDRESS_FAMILIES = {"IPv4": 4, "IPv6": 6}


def _first_few(addresses: list[str]) -> str:
    if len(addresses) <= _SHOWN_MAX:
        return joined(addresses)
    return f"{joined(addresses[:_SHOWN_MAX])} + {len(addresses) - _SHOWN_MAX} more..."


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


RESOURCES = (
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
)
