"""For how long a pod may stay on a node in spite of its taints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stratos.apis.node import Taint
from stratos.apis.pod import Toleration
from stratos.planning.scheduling.selection import tolerates


def eviction_due(taints: Sequence[Taint], tolerations: Sequence[Toleration], now: datetime) -> datetime | None:
    """When the ``NoExecute`` taints of its node end a pod: now if one is not tolerated, ``None`` for never.

    A toleration with seconds counts from when the taint was added. Of several tolerations of one taint the shortest
    counts, as in Kubernetes.
    """
    due: list[datetime] = []
    for taint in taints:
        if taint.effect != "NoExecute":
            continue
        matching = [toleration for toleration in tolerations if tolerates((toleration,), taint)]
        if not matching:
            return now
        limits = [each.toleration_seconds for each in matching if each.toleration_seconds is not None]
        if limits:
            due.append((taint.time_added or now) + timedelta(seconds=max(0, min(limits))))
    return min(due, default=None)
