"""One cluster at one moment, as planners see it: nodes, pods and what else decides where a pod may run.

It holds the narrowed objects of the API as they were read. What follows from them (compiled requirements, counts by
domain) is for the planner that needs it; see `stratos.planning.scheduling.cluster`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stratos.apis.node import Node
from stratos.apis.persistentvolume import PersistentVolume, PersistentVolumeClaim
from stratos.apis.pod import Pod
from stratos.apis.storageclass import StorageClass


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """What we believed about one cluster at one moment. It may already be stale."""

    taken_at: datetime
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    volume_claims: Mapping[str, PersistentVolumeClaim] = field(default_factory=dict)  # by namespace/name
    volumes: Mapping[str, PersistentVolume] = field(default_factory=dict)
    storage_classes: Mapping[str, StorageClass] = field(default_factory=dict)
    attach_limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # node → driver → volumes
