"""What the pods of a cluster ask for, as it was seen: volumes and all."""

from __future__ import annotations

from collections.abc import Callable

from stratos.apis.pod import Pod
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.planning.scheduling.volumes import VolumeNeeds, needs_of_pod
from stratos.snapshot.cluster import ClusterSnapshot

Compile = Callable[[Pod], PodRequirements]


def volume_needs_in(cluster: ClusterSnapshot, pod: Pod) -> VolumeNeeds:
    return needs_of_pod(
        pod,
        claim=cluster.volume_claims.get,
        volume=cluster.volumes.get,
        storage_class=cluster.storage_classes.get,
    )


def compiler(cluster: ClusterSnapshot) -> Compile:
    """Raises `Invalid`, when it is called, naming what has no meaning in the pod."""
    return lambda pod: requirements_of(pod, volumes=volume_needs_in(cluster, pod))
