"""What the server serves, told in the two ways clients ask: a document per group and version, or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.resource import Obj, Resource

# Subresources with a kind of their own: group, version, kind and verbs. The others speak the kind of their resource.
_SUBRESOURCES: dict[str, tuple[str, str, str, list[str]]] = {
    "binding": ("", "v1", "Binding", ["create"]),
    "eviction": ("policy", "v1", "Eviction", ["create"]),
    "scale": ("autoscaling", "v1", "Scale", ["get", "patch", "update"]),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ["create"]),
}
_OWN_KIND_VERBS: dict[str, list[str]] = {"log": ["get"], "finalize": ["update"]}
_STATUS_VERBS = ["get", "patch", "update"]


def core_versions() -> Obj:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list(registry: Registry) -> Obj:
    groups = [_group(name, versions) for name, versions in _by_group(registry) if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Obj | None:
    for found, versions in _by_group(registry):
        if found == name and name:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}
    return None


def resource_list(registry: Registry, group: str, version: str) -> Obj | None:
    resources = [entry for resource in _of(registry, group, version) for entry in _legacy_entries(resource)]
    if not resources:
        return None
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def aggregated(registry: Registry, *, core: bool) -> Obj:
    """All groups with all their resources: the core group under ``/api``, the others under ``/apis``."""
    items = []
    for name, versions in _by_group(registry):
        if (name == "") is not core:
            continue
        items.append(
            {
                "metadata": {"name": name, "creationTimestamp": None},
                "versions": [
                    {
                        "version": version,
                        "resources": [_aggregated_entry(resource) for resource in _of(registry, name, version)],
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            }
        )
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _by_group(registry: Registry) -> list[tuple[str, list[str]]]:
    """Groups with their versions, the preferred one first."""
    pairs = sorted({(resource.group, resource.version) for resource in registry.all()})
    return [
        (name, sorted((version for _, version in versions), key=_version_priority))
        for name, versions in groupby(pairs, key=lambda pair: pair[0])
    ]


def _version_priority(version: str) -> tuple[int, int, int, str]:
    """GA before beta before alpha, newer before older; what is no Kubernetes version comes last, by name."""
    for rank, word in enumerate(("", "beta", "alpha")):
        head, found, tail = version.removeprefix("v").partition(word) if word else (version[1:], "", "")
        if version.startswith("v") and head.isdigit() and (not word or (found and tail.isdigit())):
            return rank, -int(head), -int(tail or 0), version
    return 3, 0, 0, version


def _of(registry: Registry, group: str, version: str) -> Sequence[Resource]:
    return [resource for resource in registry.all() if (resource.group, resource.version) == (group, version)]


def _group(name: str, versions: Sequence[str]) -> Obj:
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def _legacy_entries(resource: Resource) -> list[Obj]:
    entry: Obj = {
        "name": resource.plural,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entries = [entry]
    for name in sorted(resource.subresources):
        group, version, kind, verbs = _subresource(resource, name)
        sub: Obj = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind,
            "verbs": verbs,
        }
        if name in _SUBRESOURCES:
            sub = {**sub, "group": group, "version": version}
        entries.append(sub)
    return entries


def _aggregated_entry(resource: Resource) -> Obj:
    entry: Obj = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subresources = []
    for name in sorted(resource.subresources):
        group, version, kind, verbs = _subresource(resource, name)
        subresources.append(
            {
                "subresource": name,
                "responseKind": {"group": group, "version": version, "kind": kind},
                "verbs": verbs,
            }
        )
    if subresources:
        entry["subresources"] = subresources
    return entry


def _subresource(resource: Resource, name: str) -> tuple[str, str, str, list[str]]:
    if name in _SUBRESOURCES:
        return _SUBRESOURCES[name]
    return resource.group, resource.version, resource.kind, _OWN_KIND_VERBS.get(name, _STATUS_VERBS)
