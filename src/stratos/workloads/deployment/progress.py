"""What a Deployment says about itself: its counts, and the conditions ``kubectl rollout status`` waits for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stratos.apis.deployment import Deployment, DeploymentCondition, DeploymentStatus
from stratos.apis.meta import find_condition
from stratos.apis.replicaset import ReplicaSet

AVAILABLE = "Available"
PROGRESSING = "Progressing"
_DONE = "NewReplicaSetAvailable"
_TIMED_OUT = "ProgressDeadlineExceeded"


def plan_status(
    deployment: Deployment,
    new: ReplicaSet | None,
    replica_sets: Sequence[ReplicaSet],
    least_available: int,
    created: str | None,
    now: datetime,
) -> tuple[DeploymentStatus, float | None]:
    """The status, and in how many seconds the progress deadline should be looked at."""
    counts = _counts(deployment, new, replica_sets)
    served = counts.available_replicas >= least_available
    available = _set(
        deployment,
        AVAILABLE,
        str(served),
        "MinimumReplicasAvailable" if served else "MinimumReplicasUnavailable",
        "Deployment has minimum availability." if served else "Deployment does not have minimum availability.",
        now,
    )
    progressing = _progressing(deployment, new, counts, created, now)
    others = [each for each in deployment.status.conditions if each.type not in (AVAILABLE, PROGRESSING)]
    conditions = tuple(sorted((*others, available, *progressing), key=lambda each: each.type))
    return DeploymentStatus(
        observed_generation=counts.observed_generation,
        replicas=counts.replicas,
        updated_replicas=counts.updated_replicas,
        ready_replicas=counts.ready_replicas,
        available_replicas=counts.available_replicas,
        unavailable_replicas=counts.unavailable_replicas,
        collision_count=counts.collision_count,
        conditions=conditions,
    ), _seconds_to_deadline(deployment, progressing, now)


def _counts(deployment: Deployment, new: ReplicaSet | None, replica_sets: Sequence[ReplicaSet]) -> DeploymentStatus:
    available = sum(each.status.available_replicas for each in replica_sets)
    wanted = sum(each.spec.replicas for each in replica_sets)
    return DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=sum(each.status.replicas for each in replica_sets),
        updated_replicas=new.status.replicas if new else 0,
        ready_replicas=sum(each.status.ready_replicas for each in replica_sets),
        available_replicas=available,
        unavailable_replicas=max(0, wanted - available),
        collision_count=deployment.status.collision_count,
    )


def _progressing(
    deployment: Deployment, new: ReplicaSet | None, counts: DeploymentStatus, created: str | None, now: datetime
) -> tuple[DeploymentCondition, ...]:
    """The Progressing condition; a Deployment without a deadline has none."""
    if deployment.spec.progress_deadline_seconds is None:
        return ()
    before = _condition(deployment)
    name = created or (new.metadata.name if new else None)
    subject = f'ReplicaSet "{name}"' if name else f'Deployment "{deployment.metadata.name}"'
    if deployment.spec.paused:
        return _same_or(before, deployment, "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if before is not None and before.reason == "DeploymentPaused":
        return (_set(deployment, PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", now),)
    if created is not None:
        message = f'Created new replica set "{created}"'
        return (_set(deployment, PROGRESSING, "True", "NewReplicaSetCreated", message, now),)
    if before is not None and before.reason == _DONE and counts.replicas == counts.updated_replicas and new:
        return (before,)  # pods that come and go after a finished rollout are no rollout
    if _complete(deployment, counts):
        return (_set(deployment, PROGRESSING, "True", _DONE, f"{subject} has successfully progressed.", now),)
    if before is None or _advanced(deployment.status, counts) or before.reason == _DONE:
        return (_set(deployment, PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", now),)
    if before.reason != _TIMED_OUT and (_seconds_to_deadline(deployment, (before,), now) or 0) <= 0:
        return (_set(deployment, PROGRESSING, "False", _TIMED_OUT, f"{subject} has timed out progressing.", now),)
    return (before,)


def _complete(deployment: Deployment, counts: DeploymentStatus) -> bool:
    desired = deployment.spec.replicas
    return counts.updated_replicas == counts.replicas == counts.available_replicas == desired


def _advanced(before: DeploymentStatus, counts: DeploymentStatus) -> bool:
    return (
        counts.updated_replicas > before.updated_replicas
        or counts.replicas - counts.updated_replicas < before.replicas - before.updated_replicas
        or counts.ready_replicas > before.ready_replicas
        or counts.available_replicas > before.available_replicas
    )


def _seconds_to_deadline(
    deployment: Deployment, progressing: Sequence[DeploymentCondition], now: datetime
) -> float | None:
    """``None`` when nothing is under way that could time out."""
    deadline = deployment.spec.progress_deadline_seconds
    for condition in progressing:
        if deadline is None or condition.reason in (_DONE, _TIMED_OUT, "DeploymentPaused"):
            return None
        return ((condition.last_update_time or now) + timedelta(seconds=deadline) - now).total_seconds()
    return None


def _condition(deployment: Deployment, type_: str = PROGRESSING) -> DeploymentCondition | None:
    found = find_condition(deployment.status.conditions, type_)
    return found if isinstance(found, DeploymentCondition) else None


def _same_or(
    before: DeploymentCondition | None, deployment: Deployment, status: str, reason: str, message: str, now: datetime
) -> tuple[DeploymentCondition, ...]:
    if before is not None and before.reason == reason:
        return (before,)
    return (_set(deployment, PROGRESSING, status, reason, message, now),)


def _set(
    deployment: Deployment, type_: str, status: str, reason: str, message: str, now: datetime
) -> DeploymentCondition:
    """A condition confirmed now. One whose meaning did not change keeps all its times when it is not about progress."""
    before = _condition(deployment, type_)
    if before is not None and type_ == AVAILABLE and (before.status, before.reason) == (status, reason):
        return before
    same = before is not None and before.status == status
    return DeploymentCondition(
        type=type_,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=before.last_transition_time if before and same else now,
        last_update_time=now,
    )
