"""Every kind the server serves, custom ones too: for those who must reach all objects, whatever they are."""

from __future__ import annotations

from dataclasses import dataclass

from stratos.apis.meta import Kind, KubeObject, Struct
from stratos.base.errors import NotFound
from stratos.kube.client import Client
from stratos.kube.codec import decode, encode


class _Resource(Struct):
    name: str
    kind: str = ""
    namespaced: bool = False
    verbs: tuple[str, ...] = ()


class _Resources(Struct):
    resources: tuple[_Resource, ...] = ()


class _GroupVersion(Struct):
    group_version: str
    version: str


class _Group(Struct):
    name: str
    preferred_version: _GroupVersion


class _Groups(Struct):
    groups: tuple[_Group, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedKind:
    """A kind, read no further than its metadata, and what may be done with it."""

    kind: Kind[KubeObject]
    verbs: frozenset[str]


async def served_kinds(client: Client) -> tuple[ServedKind, ...]:
    """Each kind once, in its group's preferred version, in a stable order; subresources are no kinds.

    It is all or an error: whoever empties a namespace must not overlook what could not be listed just then.
    """
    groups = decode(_Groups, encode(await client.request_json("GET", "/apis"))).groups
    places = [("", "v1", "/api/v1")]
    places += [
        (group.name, group.preferred_version.version, f"/apis/{group.preferred_version.group_version}")
        for group in groups
    ]
    found: list[ServedKind] = []
    for group_name, version, path in sorted(places):
        try:
            resources = decode(_Resources, encode(await client.request_json("GET", path))).resources
        except NotFound:
            continue  # the group went away while we looked
        found += [
            ServedKind(
                Kind(group_name, version, resource.name, resource.kind, resource.namespaced, KubeObject),
                frozenset(resource.verbs),
            )
            for resource in sorted(resources, key=lambda each: each.name)
            if "/" not in resource.name
        ]
    return tuple(found)
