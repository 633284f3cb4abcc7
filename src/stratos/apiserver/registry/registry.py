"""The kinds that are served at the moment: built-in ones, and custom ones that come and go."""

from __future__ import annotations

from collections.abc import Iterable

from stratos.apiserver.registry.resource import Resource


class Registry:
    """Finds a `Resource` by where it is served. ``generation`` changes whenever the set does."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self.generation = 0
        self.add(*resources)

    def add(self, *resources: Resource) -> None:
        """Serve these, in place of what was served under the same names."""
        for resource in resources:
            self._by_path[resource.group, resource.version, resource.plural] = resource
        self.generation += 1

    def replace(self, group: str, plural: str, resources: Iterable[Resource]) -> None:
        """Serve these versions of a kind, and no others."""
        self.remove(group, plural)
        self.add(*resources)

    def remove(self, group: str, plural: str) -> None:
        """Serve no version of this kind any longer."""
        for path in [path for path in self._by_path if (path[0], path[2]) == (group, plural)]:
            del self._by_path[path]
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def find_any_version(self, group: str, plural: str) -> Resource | None:
        matches = (r for r in self._by_path.values() if r.group == group and r.plural == plural)
        return next(matches, None)

    def all(self) -> tuple[Resource, ...]:
        """Core kinds first, then by group, version and plural."""
        return tuple(self._by_path[path] for path in sorted(self._by_path))


def key_prefix(resource: Resource, namespace: str = "") -> str:
    """Where a kind's objects are stored; all versions of a kind share them."""
    prefix = f"/registry/{resource.group or 'core'}/{resource.plural}/"
    return f"{prefix}{namespace}/" if namespace and resource.namespaced else prefix


def key_of(resource: Resource, namespace: str, name: str) -> str:
    return key_prefix(resource, namespace) + name
