"""What disruption sees: machines of templates, the pods on them, and what keeps those pods in number.

All that a provisioning planner sees is here too: whoever takes a machine away must know where its pods would go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.snapshot.provisioning import ProvisioningSnapshot


@dataclass(frozen=True, slots=True)
class Workload:
    """What keeps a number of pods running, as the controller of these pods stands for it.

    ``replicas`` is the number its owner asked for; ``surge`` more are there for a while because of us. A Deployment is
    seen through its one ReplicaSet that has pods; while it has several, it is ``changing``.
    """

    kind: str
    key: str  # namespace/name
    replicas: int
    ready: int  # available pods, those of the surge among them
    surge: int = 0
    can_surge: bool = False  # it would start another pod beside the ones it has, and give up the one we name
    changing: bool = False  # a rollout, or a change of its number of pods, is under way

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class DisruptionSnapshot:
    """What we believed at one moment. It may already be stale."""

    world: ProvisioningSnapshot
    pool_claims: tuple[NodeClaim, ...] = ()  # of pools; their machines leave service only with a departure
    workloads: Mapping[str, Workload] = field(default_factory=dict)  # by the uid of the controller of its pods
    budgets: tuple[PodDisruptionBudget, ...] = ()
