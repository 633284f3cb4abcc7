"""The workloads that are woken and put to sleep, and the marks that doormen leave on them.

Of Deployments and StatefulSets only what matters here is read, so that all of a large cluster's fit into the cache.
Every write demands that nothing has changed since the look it was decided on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.labels import DOORMAN_ACTIVE_AT, DOORMAN_CLOSING_AT, DOORMAN_WOKEN_AT
from stratos.apis.meta import Condition, Kind, KubeObject, Struct, micro_time
from stratos.apis.statefulset import STATEFUL_SET
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.planning.doorman.routes import Target
from stratos.planning.doorman.targets import ProposeSleep, Remember, Sleep, TargetSeen, Wake


class _Spec(Struct):
    replicas: int = 1


class _Status(Struct):
    conditions: tuple[Condition, ...] = ()


class Workload(KubeObject):
    """A Deployment or a StatefulSet, as far as it concerns the doorman."""

    spec: _Spec = _Spec()
    status: _Status = _Status()


WORKLOADS: Mapping[str, Kind[Workload]] = {
    kind.kind: Kind(kind.group, kind.version, kind.plural, kind.kind, namespaced=True, type=Workload)
    for kind in (DEPLOYMENT, STATEFUL_SET)
}


class Targets:
    """Reads workloads from the caches, and carries out steps on them."""

    def __init__(self, client: Client, caches: Mapping[str, Cache[Workload]]) -> None:
        self._client = client
        self._caches = caches
        self._proposals: dict[Target, tuple[str, datetime]] = {}  # to sleep: the mark, and when we first saw it

    def get(self, target: Target) -> Workload | None:
        found = self._caches[target.kind].get(target.key)
        return None if found is None or found.metadata.deletion_timestamp is not None else found

    def look(self, target: Target, workload: Workload, now: datetime) -> TargetSeen:
        """What doormen have written on it. Look whenever it changes, so that proposals are seen when they come."""
        marks = workload.metadata.annotations
        woken_at = _moment(marks.get(DOORMAN_WOKEN_AT))
        proposal = marks.get(DOORMAN_CLOSING_AT, "")
        if woken_at is None or not proposal:
            self._proposals.pop(target, None)
        elif target not in self._proposals or self._proposals[target][0] != proposal:
            self._proposals[target] = (proposal, now)
        return TargetSeen(
            replicas=workload.spec.replicas,
            woken_at=woken_at,
            active_at=_moment(marks.get(DOORMAN_ACTIVE_AT)),
            closing_since=self._proposals[target][1] if target in self._proposals else None,
        )

    async def carry_out(
        self, target: Target, workload: Workload, step: Wake | Remember | ProposeSleep | Sleep, now: datetime
    ) -> None:
        """Raises `Conflict` when the workload is no longer as it was seen."""
        marks: dict[str, str | None]
        replicas: int | None = None
        match step:
            case Wake():
                marks = {
                    DOORMAN_WOKEN_AT: micro_time(now),
                    DOORMAN_ACTIVE_AT: micro_time(now),
                    DOORMAN_CLOSING_AT: None,
                }
                replicas = 1
            case Remember():
                marks = {DOORMAN_ACTIVE_AT: micro_time(step.active_at), DOORMAN_CLOSING_AT: None}
            case ProposeSleep():
                marks = {DOORMAN_CLOSING_AT: micro_time(now)}
            case Sleep():
                marks = {DOORMAN_WOKEN_AT: None, DOORMAN_ACTIVE_AT: None, DOORMAN_CLOSING_AT: None}
                replicas = 0
        metadata = {"resourceVersion": workload.metadata.resource_version, "annotations": marks}
        change: dict[str, Any] = {"metadata": metadata}
        if replicas is not None:
            change["spec"] = {"replicas": replicas}
        kind = WORKLOADS[target.kind]
        self._caches[target.kind].observe(await self._client.patch(kind, target.key, change))


def _moment(text: str | None) -> datetime | None:
    """A mark that is not a time, or lacks its zone, was not written by a doorman."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
