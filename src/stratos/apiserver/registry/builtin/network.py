"""Ingresses and NetworkPolicies, which are kept for whoever implements them."""

from __future__ import annotations

from stratos.apiserver.registry.builtin.columns import AGE, NAME, NONE, column, joined, selector_text
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    invalid,
    items,
    mapping,
    mappings,
    numbered,
    one_of,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import check_name, dns_subdomain, validate_label_selector
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.resource import Obj


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
