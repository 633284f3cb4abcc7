"""The few kinds the server itself looks at while it serves others, kept decoded in memory.

Roles and bindings, webhook configurations, priority classes, namespaces, service accounts, services and limit ranges
bear on other requests, so they are asked for all the time. Whoever owns the storage calls `put` and `remove` when a
change is published, before the writer gets its answer: then a write is effective when it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable

from stratos.apiserver.registry.resource import Obj

OBSERVED_RESOURCES = (
    "clusterrolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "limitranges",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "namespaces",
    "priorityclasses.scheduling.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "serviceaccounts",
    "services",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
)


class ObservedObjects:
    """The present objects of `OBSERVED_RESOURCES`, by the ``group_resource`` name of their kind. Read, never change."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Obj]] = {resource: {} for resource in OBSERVED_RESOURCES}
        self._changes: dict[str, int] = dict.fromkeys(OBSERVED_RESOURCES, 0)

    def put(self, group_resource: str, obj: Obj) -> None:
        metadata = obj["metadata"]
        self._objects[group_resource][metadata.get("namespace", ""), metadata["name"]] = obj
        self._changes[group_resource] += 1

    def remove(self, group_resource: str, namespace: str, name: str) -> None:
        if self._objects[group_resource].pop((namespace, name), None) is not None:
            self._changes[group_resource] += 1

    def get(self, group_resource: str, namespace: str, name: str) -> Obj | None:
        return self._objects[group_resource].get((namespace, name))

    def all(self, group_resource: str) -> list[Obj]:
        """Every object of the kind, sorted by namespace and name."""
        return [obj for _, obj in sorted(self._objects[group_resource].items(), key=lambda item: item[0])]

    def changes(self, group_resources: Iterable[str]) -> tuple[int, ...]:
        """Counts that differ once any object of these kinds has changed: what derived views are checked against."""
        return tuple(self._changes[resource] for resource in group_resources)
