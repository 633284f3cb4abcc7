"""The constraints of a template, one by one: which types satisfy them, and which offerings of those.

Each check answers with the name of the first constraint that is broken, as the manifest spells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stratos.apis.nodetemplate import Constraints, DedicatedAffinity, NodeTemplateSpec, PriorityTier
from stratos.base.quantity import MEBIBYTE
from stratos.base.selectors import LabelSelector, Operator, Requirement
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.planning.packing.problem import Candidate
from stratos.planning.provisioning.annotations import compile_regexp
from stratos.planning.provisioning.draft import NodeDraft, Offer
from stratos.planning.provisioning.traits import (
    cpu_manufacturer,
    has_extended_memory,
    is_compute_optimized,
    is_gpu_named,
    is_storage_optimized,
)


class TypeSieve:
    """The constraints that look at the type alone, in the order of the manifest's sections."""

    def __init__(self, constraints: Constraints, catalog: Catalog) -> None:
        self._constraints = constraints
        self._catalog = catalog
        self._families_in = frozenset(constraints.instance_families.include)
        self._families_out = frozenset(constraints.instance_families.exclude)
        self._makers = frozenset(maker.casefold() for maker in constraints.gpu.manufacturers)
        pattern = constraints.instance_type_regexp
        self._regexp = compile_regexp(pattern) if pattern else None
        self._dedicated = frozenset(
            name for group in constraints.dedicated_node_affinity for name in group.instance_types
        )

    def refuses(self, type_: InstanceType) -> str:
        """The first constraint that the type breaks. Empty when it breaks none."""
        return self._by_name(type_) or self._by_size(type_) or self._by_gpu(type_) or self._by_character(type_)

    def notes(self) -> tuple[str, ...]:
        """Names in the constraints that nothing here bears."""
        constraints = self._constraints
        families = {type_.family for type_ in self._catalog.instance_types.values()}
        strange = sorted((self._families_in | self._families_out) - families)
        named = (constraints.gpu.include_names, constraints.gpu.exclude_names)
        return (
            *(f"{self._catalog.cloud} sells no instance family {name!r} in {self._catalog.region}" for name in strange),
            *unknown_gpus(self._catalog.instance_types, tuple(names for names in named if names)),
        )

    def _by_name(self, type_: InstanceType) -> str:
        constraints = self._constraints
        if self._families_in and type_.family not in self._families_in:
            return "constraints.instanceFamilies.include"
        if type_.family in self._families_out:
            return "constraints.instanceFamilies.exclude"
        if self._regexp is not None and not self._regexp.search(type_.name):
            return "constraints.instanceTypeRegexp"
        if self._dedicated and type_.name not in self._dedicated:
            return "constraints.dedicatedNodeAffinity"
        if type_.custom and not constraints.custom_instances_enabled:
            return "constraints.customInstancesEnabled"
        if has_extended_memory(type_) and not constraints.custom_instances_with_extended_memory_enabled:
            return "constraints.customInstancesWithExtendedMemoryEnabled"
        return ""

    def _by_size(self, type_: InstanceType) -> str:
        constraints = self._constraints
        if type_.arch not in constraints.architectures:
            return "constraints.architectures"
        if "linux" not in constraints.os:
            return "constraints.os"  # prices, and reservations, are those of Linux
        if constraints.min_cpu is not None and type_.vcpu < constraints.min_cpu:
            return "constraints.minCpu"
        if constraints.max_cpu is not None and type_.vcpu > constraints.max_cpu:
            return "constraints.maxCpu"
        if constraints.min_memory is not None and type_.memory_bytes < constraints.min_memory * MEBIBYTE:
            return "constraints.minMemory"
        if constraints.max_memory is not None and type_.memory_bytes > constraints.max_memory * MEBIBYTE:
            return "constraints.maxMemory"
        return ""

    def _by_gpu(self, type_: InstanceType) -> str:
        wanted, gpu = self._constraints.gpu, type_.gpu
        if self._constraints.is_gpu_only and (gpu is None or gpu.is_fractional):
            return "constraints.isGpuOnly"  # a share of a GPU serves no pod that asks for one
        if gpu is None:
            return "constraints.gpu" if wanted.manufacturers or wanted.include_names or wanted.min_count else ""
        if self._makers and gpu.manufacturer.casefold() not in self._makers:
            return "constraints.gpu.manufacturers"
        if wanted.include_names and not any(is_gpu_named(gpu, name) for name in wanted.include_names):
            return "constraints.gpu.includeNames"
        if any(is_gpu_named(gpu, name) for name in wanted.exclude_names):
            return "constraints.gpu.excludeNames"
        if wanted.min_count is not None and gpu.count < wanted.min_count:
            return "constraints.gpu.minCount"
        if wanted.max_count is not None and gpu.count > wanted.max_count:
            return "constraints.gpu.maxCount"
        return ""

    def _by_character(self, type_: InstanceType) -> str:
        constraints, cloud = self._constraints, self._catalog.cloud
        if type_.bare_metal is not (constraints.bare_metal == "enabled"):
            return "constraints.bareMetal"
        if not _agrees(constraints.burstable_instances, type_.burstable):
            return "constraints.burstableInstances"
        if not _agrees(constraints.compute_optimized_state, is_compute_optimized(cloud, type_)):
            return "constraints.computeOptimizedState"
        if not _agrees(constraints.storage_optimized_state, is_storage_optimized(type_)):
            return "constraints.storageOptimizedState"
        if constraints.customer_specific == "enabled":
            return "constraints.customerSpecific"  # what a cloud sells to one customer is in no public catalog
        makers = constraints.cpu_manufacturers
        if makers and cpu_manufacturer(cloud, type_.name, type_.arch) not in makers:
            return "constraints.cpuManufacturers"
        return ""


def _agrees(state: str, is_so: bool) -> bool:
    return not state or is_so is (state == "enabled")


class OfferSieve:
    """The constraints that look at where, under which terms and at what price a type is sold."""

    def __init__(
        self, spec: NodeTemplateSpec, catalog: Catalog, zones: Iterable[str], draft: NodeDraft, *, any_terms: bool
    ) -> None:
        """``zones`` are those that the node class reaches; without any, all that the catalog knows."""
        self._draft = draft
        self._constraints = spec.constraints
        self._ratio = spec.spot_price_ratio_estimate
        self._catalog = catalog
        azs = self._constraints.azs
        self._zones = tuple(zone for zone in (tuple(zones) or catalog.zones) if not azs or zone in azs)
        self._spot = any_terms or self._constraints.spot
        self._on_demand = any_terms or self._constraints.allows_on_demand
        self._stands_in = self._spot and not self._on_demand and self._constraints.use_spot_fallbacks
        self._tiers = self._constraints.custom_priority
        self._dedicated = tuple((group, _expressions(group)) for group in self._constraints.dedicated_node_affinity)
        self.last_rule = ""  # why the last type asked about had no offer

    def of(self, type_: InstanceType) -> Iterator[tuple[int, Candidate]]:
        """The type's candidates, each with the stage it belongs to."""
        self.last_rule = "constraints.azs" if self._constraints.azs else "zones of the node class"
        sold = {
            (offering.zone, offering.capacity_type): offering
            for offering in self._catalog.offerings_by_type.get(type_.name, ())
        }
        for zone in self._zones:
            on_demand, spot = sold.get((zone, CapacityType.ON_DEMAND)), sold.get((zone, CapacityType.SPOT))
            full = on_demand.price_usd_per_hour if on_demand is not None else None
            if full is not None:
                yield from self._consider(type_, Offer(zone, CapacityType.ON_DEMAND, full, self._stands_in), full)
            if spot is not None:
                offer = Offer(zone, CapacityType.SPOT, spot.price_usd_per_hour)
                yield from self._consider(type_, offer, full, spot.interruption_bucket)
            elif full is not None:
                yield from self._consider(type_, Offer(zone, CapacityType.SPOT, full * self._ratio), full)

    def _consider(
        self, type_: InstanceType, offer: Offer, full_price: float | None, bucket: int | None = None
    ) -> Iterator[tuple[int, Candidate]]:
        rule = self._refuses(offer, full_price, bucket)
        if rule:
            self.last_rule = rule
            return
        group = ""
        if self._dedicated:
            found = self._dedicated_group(type_, offer)
            if found is None:
                self.last_rule = "constraints.dedicatedNodeAffinity"
                return
            group = found
        yield self._stage(type_.family, offer), self._draft.candidate(type_, offer, group)

    def _refuses(self, offer: Offer, full_price: float | None, bucket: int | None) -> str:
        constraints, price = self._constraints, offer.price_usd_per_hour
        if constraints.max_price is not None and price > constraints.max_price:
            return "constraints.maxPrice"
        if offer.capacity_type is CapacityType.ON_DEMAND:
            return "" if self._on_demand or self._stands_in else "constraints.onDemand"
        if not self._spot:
            return "constraints.spot"
        if bucket is not None and bucket > constraints.max_spot_interrupt_bucket:
            return "constraints.maxSpotInterruptBucket"
        if full_price is not None and price > full_price * constraints.max_spot_price_ratio:
            return "constraints.maxSpotPriceRatio"
        return ""

    def _stage(self, family: str, offer: Offer) -> int:
        """Its tier; those that are in none come after all, and machines that stand in for spot after everything."""
        spot = offer.capacity_type is CapacityType.SPOT or offer.stands_in
        last = len(self._tiers)
        fitting = (number for number, tier in enumerate(self._tiers) if _covers(tier, family, spot=spot))
        return next(fitting, last) + (last + 1 if offer.stands_in else 0)

    def _dedicated_group(self, type_: InstanceType, offer: Offer) -> str | None:
        """The group of hosts that takes the node. None when there is none, as for spot: nobody else's hosts will do."""
        if offer.capacity_type is CapacityType.SPOT:
            return None
        node_labels = self._draft.labels(type_, offer)
        for group, selector in self._dedicated:
            if type_.name in group.instance_types and offer.zone == group.az_name and selector.matches(node_labels):
                return group.name
        return None


def _covers(tier: PriorityTier, family: str, *, spot: bool) -> bool:
    if family not in tier.instance_families:
        return False
    names_terms = tier.spot or tier.on_demand  # a tier that names none means all
    return not names_terms or (tier.spot if spot else tier.on_demand)


def _expressions(group: DedicatedAffinity) -> LabelSelector:
    return LabelSelector(
        tuple(Requirement(each.key, Operator(each.operator), frozenset(each.values)) for each in group.affinity)
    )


def unknown_gpus(types: Mapping[str, InstanceType], wanted: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Names of GPUs that nothing here has, with those there are."""
    names = sorted({name for names in wanted for name in names})
    if not names:
        return ()
    gpus = {type_.gpu for type_ in types.values() if type_.gpu is not None}
    strange = [name for name in names if not any(is_gpu_named(gpu, name) for gpu in gpus)]
    if not strange:
        return ()
    known = ", ".join(sorted({gpu.sku for gpu in gpus})) or "none"
    return (f"no machine here has a GPU called {' or '.join(map(repr, strange))}; known are {known}",)
