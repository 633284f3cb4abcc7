"""URL paths of the resource API, taken apart: ``/apis/apps/v1/namespaces/shop/deployments/web/scale``."""

from __future__ import annotations

from dataclasses import dataclass

_CLIMBING = frozenset({".", ".."})
_OF_A_NAMESPACE = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class ResourcePath:
    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_resource_path(path: str) -> ResourcePath | None:
    """What a path names, or `None` when it lies outside the resource API."""
    parts = path.strip("/").split("/")
    if not _CLIMBING.isdisjoint(parts):
        return None
    match parts:
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", named, version, *rest] if rest:
            group = named
        case _:
            return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2] in _OF_A_NAMESPACE):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3 or not all(rest):
        return None
    plural, name, subresource = (*rest, "", "")[:3]
    if (group, plural) == ("", "namespaces"):
        namespace = ""
    return ResourcePath(group, version, plural, namespace, name, subresource)
