"""Budgets: what a template's machines, and the cluster's, may come to together.

Counted is all that runs or is under way, as the ledger tells; a machine that is chosen counts at once. Plans that do
not see each other's claims may together ask for too much: that is found before the launch, see `admission`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.apis.nodetemplate import Limits, NodeTemplate
from stratos.base.quantity import format_amount, resource_amount
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import InstanceType
from stratos.planning.packing.problem import Candidate


@dataclass(frozen=True, slots=True)
class ClusterLimits:
    """What all templates together may come to. None: as much as they like."""

    cost_usd_per_hour: float | None = None
    gpus: int | None = None


CLUSTER = ""  # the bucket that every template's machines count towards
_TINY_USD = 1e-9  # prices are sums of binary fractions: a budget of exactly two machines is enough for two


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str  # as the user wrote it
    most: float
    unit: str

    def words(self, amount: float) -> str:
        match self.unit:
            case "cpu" | "memory":
                return format_amount(self.unit, int(amount))
            case "usd":
                return f"${amount:.4f}/h"
            case _:
                return f"{amount:g}"


class Budget:
    """What is left of every limit."""

    def __init__(
        self,
        templates: Iterable[NodeTemplate],
        claims: Iterable[NodeClaim],
        catalog: Catalog,
        *,
        cluster_cost_limit_usd_per_hour: float | None = None,
        cluster_gpu_limit: int | None = None,
    ) -> None:
        self._types = catalog.instance_types
        self._limits = {each.metadata.name: _limits_of(each.metadata.name, each.spec.limits) for each in templates}
        self._limits[CLUSTER] = _cluster_limits(cluster_cost_limit_usd_per_hour, cluster_gpu_limit)
        self._used: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for claim in claims:
            if claim.wish is not Wanted.GONE:
                self.take_claim(claim)

    def refuses(self, candidate: Candidate) -> str:
        """Which limit one more such machine would exceed, in a sentence. Empty when it would exceed none."""
        return self._refuses(candidate.template, candidate.offering.instance_type, candidate.price_usd_per_hour)

    def refuses_claim(self, claim: NodeClaim) -> str:
        """As `refuses`, for a machine that was asked for."""
        return self._refuses(claim.spec.template, _type_of(claim), claim.price_usd_per_hour)

    def _refuses(self, template: str, instance_type: str, price_usd_per_hour: float) -> str:
        bounded = [bucket for bucket in (template, CLUSTER) if self._limits.get(bucket)]
        if not bounded:
            return ""  # asked thousands of times, and mostly there are no limits
        more = self._amounts(instance_type, price_usd_per_hour)
        for bucket in bounded:
            used = self._used[bucket]
            for unit, limit in self._limits[bucket].items():
                if more[unit] and used[unit] + more[unit] > limit.most + _TINY_USD:
                    return (
                        f"{limit.name} is {limit.words(limit.most)}, {limit.words(used[unit])} of it used,"
                        f" and a {instance_type} takes {limit.words(more[unit])}"
                    )
        return ""

    def take(self, candidate: Candidate) -> None:
        self._add(candidate.template, candidate.offering.instance_type, candidate.price_usd_per_hour)

    def take_claim(self, claim: NodeClaim) -> None:
        self._add(claim.spec.template, _type_of(claim), claim.price_usd_per_hour)

    def give_back(self, candidate: Candidate) -> None:
        self._add(candidate.template, candidate.offering.instance_type, candidate.price_usd_per_hour, sign=-1)

    def swaps(self, bought: Candidate, other: Candidate) -> bool:
        """Take ``other`` in place of ``bought`` if the limits allow; say whether they do."""
        self.give_back(bought)
        allowed = not self.refuses(other)
        self.take(other if allowed else bought)
        return allowed

    def _add(self, template: str, instance_type: str, price_usd_per_hour: float, *, sign: int = 1) -> None:
        for unit, amount in self._amounts(instance_type, price_usd_per_hour).items():
            self._used[template][unit] += sign * amount
            if template != CLUSTER:
                self._used[CLUSTER][unit] += sign * amount

    def _amounts(self, instance_type: str, price_usd_per_hour: float) -> Mapping[str, float]:
        type_ = self._types.get(instance_type)
        return {
            "cpu": type_.vcpu * 1000 if type_ else 0,
            "memory": type_.memory_bytes if type_ else 0,
            "gpus": _gpus(type_),
            "nodes": 1,
            "usd": price_usd_per_hour,
        }


def _type_of(claim: NodeClaim) -> str:
    """Of the machine, or until it is there the type that was asked for."""
    return claim.status.instance_type or claim.spec.instance_type


def _gpus(type_: InstanceType | None) -> float:
    return type_.gpu.count if type_ is not None and type_.gpu is not None else 0


def _limits_of(template: str, limits: Limits) -> dict[str, _Limit]:
    stated: dict[str, float | None] = {
        "cpu": None if limits.cpu is None else resource_amount("cpu", limits.cpu),
        "memory": None if limits.memory is None else resource_amount("memory", limits.memory),
        "gpus": limits.gpus,
        "nodes": limits.nodes,
        "usd": limits.cost_usd_per_hour,
    }
    fields = {"usd": "costUSDPerHour"}
    return {
        unit: _Limit(f"limits.{fields.get(unit, unit)} of template {template}", most, unit)
        for unit, most in stated.items()
        if most is not None
    }


def _cluster_limits(cost_usd_per_hour: float | None, gpus: int | None) -> dict[str, _Limit]:
    limits = {}
    if cost_usd_per_hour is not None:
        limits["usd"] = _Limit("the cluster's cost limit", cost_usd_per_hour, "usd")
    if gpus is not None:
        limits["gpus"] = _Limit("the cluster's GPU limit", gpus, "gpus")
    return limits
