"""End a namespace: delete all it contains, of whatever kind, then let it go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stratos.apis.meta import Condition, Kind, KubeObject, with_condition
from stratos.apis.namespace import NAMESPACE, Namespace, NamespaceStatus
from stratos.apis.pod import POD
from stratos.base.errors import Conflict, NotFound, StratosError
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.discovery import served_kinds
from stratos.workloads.shared import Shared

_FINALIZER = "kubernetes"
_FIRST_LOOK_SECONDS = 0.5
_RAREST_LOOK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a round of deletion left behind, by kind, and what went wrong with it."""

    counts: dict[str, int]
    finalizers: dict[str, int]
    failures: tuple[str, ...]


def termination_conditions(namespace: Namespace, left: Leftovers, now: datetime) -> tuple[Condition, ...]:
    """What still stands in the way, in the words ``kubectl describe namespace`` shows."""
    failed, remaining, waiting = bool(left.failures), bool(left.counts), bool(left.finalizers)
    conditions = namespace.status.conditions
    for type_, status, reason, message in (
        (
            "NamespaceDeletionContentFailure",
            failed,
            "ContentDeletionFailed" if failed else "ContentDeleted",
            "; ".join(left.failures) or "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            remaining,
            "SomeResourcesRemain" if remaining else "ContentRemoved",
            _listing("Some resources are remaining", left.counts) or "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            waiting,
            "SomeFinalizersRemain" if waiting else "ContentHasNoFinalizers",
            _listing("Some content in the namespace has finalizers remaining", left.finalizers)
            or "All content-preserving finalizers finished",
        ),
    ):
        conditions = with_condition(conditions, type_, status, reason=reason, message=message, now=now)
    return conditions


def _listing(what: str, counts: dict[str, int]) -> str:
    if not counts:
        return ""
    return f"{what}: " + ", ".join(f"{name} has {count} resource instances" for name, count in sorted(counts.items()))


class NamespaceLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._namespaces = shared.cache(NAMESPACE)

    def controller(self) -> Controller:
        controller = self._shared.controller("namespace", self.reconcile)
        controller.watch(self._namespaces, _if_leaving)
        return controller

    async def reconcile(self, name: str) -> Requeue | None:
        namespace = self._namespaces.get(name)
        deleted_at = namespace.metadata.deletion_timestamp if namespace else None
        if namespace is None or deleted_at is None or _FINALIZER not in namespace.spec.finalizers:
            return None
        left = await self._empty(name)
        now = self._shared.clock.now()
        if not left.counts and not left.failures:
            await self._finalize(name)
            return None
        status = NamespaceStatus(phase="Terminating", conditions=termination_conditions(namespace, left, now))
        await self._shared.write_status(self._namespaces, namespace, namespace.status, status)
        # Look again soon at first, and ever more rarely when something holds on.
        waited = (now - deleted_at).total_seconds()
        return Requeue(min(_RAREST_LOOK_SECONDS, _FIRST_LOOK_SECONDS + waited / 2))

    async def _empty(self, name: str) -> Leftovers:
        counts, finalizers, failures = dict[str, int](), dict[str, int](), list[str]()
        for served in await served_kinds(self._shared.client):
            if not served.kind.namespaced or not {"list", "delete"} <= served.verbs:
                continue
            try:
                left = await self._empty_of(served.kind, name)
            except StratosError as error:
                failures.append(error.message)
                continue
            if left:
                resource = f"{served.kind.plural}.{served.kind.group}".rstrip(".")
                counts[resource] = len(left)
                for finalizer in sorted({finalizer for each in left for finalizer in each.metadata.finalizers}):
                    finalizers[finalizer] = sum(finalizer in each.metadata.finalizers for each in left)
        return Leftovers(counts, finalizers, tuple(failures))

    async def _empty_of(self, kind: Kind[KubeObject], namespace: str) -> tuple[KubeObject, ...]:
        present = (await self._shared.client.list(kind, namespace=namespace)).items
        if not any(each.metadata.deletion_timestamp is None for each in present):
            return present
        propagation = None if kind.plural == POD.plural else "Background"
        await self._shared.client.delete_collection(kind, namespace=namespace, propagation=propagation)
        return (await self._shared.client.list(kind, namespace=namespace)).items

    async def _finalize(self, name: str) -> None:
        try:
            body = await self._shared.client.get_raw(NAMESPACE, name)
            body["spec"] = {"finalizers": [each for each in body["spec"]["finalizers"] if each != _FINALIZER]}
            await self._shared.client.update(NAMESPACE, body, subresource="finalize")
        except (NotFound, Conflict):
            return  # gone, or changed: a change brings us here again


def _if_leaving(namespace: Namespace) -> tuple[str, ...]:
    return (namespace.metadata.name,) if namespace.metadata.deletion_timestamp is not None else ()
