"""One cluster at one moment, as planners see it: nodes, pods and what else decides where a pod may run.

It holds the narrowed objects of the API as they were read. What follows from them (compiled requirements, counts by
domain) is for the planner that needs it; see `stratos.planning.scheduling.cluster`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stratos.apis.node import Node
from stratos.apis.pod import Pod


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """What we believed about one cluster at one moment. It may already be stale."""

    taken_at: datetime
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
