"""Resize a Deployment between rollouts or in the middle of one: every ReplicaSet gets its share of the change."""

from __future__ import annotations

from collections.abc import Sequence

from stratos.apis.deployment import MAX_REPLICAS_ANNOTATION
from stratos.apis.replicaset import ReplicaSet


def resize(desired: int, most: int, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> dict[str, int]:
    """Replicas by the uid of each ReplicaSet. ``old`` is sorted by age; ``most`` is ``desired`` with its surge."""
    everyone = [*old, *([new] if new else [])]
    active = [each for each in everyone if each.spec.replicas > 0]
    if len(active) <= 1:
        only = active[0] if active else (everyone[-1] if everyone else None)
        return {only.metadata.uid: desired} if only else {}
    if new is not None and new.spec.replicas == new.status.available_replicas == desired:
        return {each.metadata.uid: 0 for each in old}
    return _shares(active, most if desired else 0)


def _shares(active: Sequence[ReplicaSet], allowed: int) -> dict[str, int]:
    """Spread the difference in proportion to size; what rounding leaves over goes to the largest.

    Of equal sizes the newest grows first, and the oldest shrinks first.
    """
    left = allowed - sum(each.spec.replicas for each in active)
    by_age = list(reversed(active)) if left > 0 else list(active)
    by_size = sorted(by_age, key=lambda each: -each.spec.replicas)
    shares = {each.metadata.uid: each.spec.replicas for each in by_size}
    for each in by_size:
        share = round(each.spec.replicas * allowed / _most_before(each, allowed)) - each.spec.replicas
        share = max(0, min(share, left)) if left > 0 else min(0, max(share, left))
        shares[each.metadata.uid] += share
        left -= share
    for each in by_size:
        taken = max(-shares[each.metadata.uid], left)
        shares[each.metadata.uid] += taken
        left -= taken
    return shares


def _most_before(replica_set: ReplicaSet, allowed: int) -> int:
    text = replica_set.metadata.annotations.get(MAX_REPLICAS_ANNOTATION, "")
    return int(text) if text.isdigit() and int(text) else max(1, allowed)
