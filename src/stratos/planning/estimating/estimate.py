"""Price workloads in one place: the same decisions that provisioning would make in an empty cluster there.

Pods of all workloads are decided about together, as they would be, so workloads may share machines; each then bears its
share of the price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from stratos.apis.labels import ZONE
from stratos.apis.meta import ObjectMeta
from stratos.apis.nodetemplate import NodeTemplate, NodeTemplateSpec
from stratos.catalog.catalog import Catalog
from stratos.catalog.daemons import default_daemon_sets
from stratos.catalog.instance_type import CapacityType
from stratos.planning.estimating.answer import CloudEstimate, GroupEstimate, WorkloadEstimate
from stratos.planning.estimating.choice import alternatives
from stratos.planning.estimating.workloads import PodGroup, Workload
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import (
    Candidate,
    OfferingName,
    PackingProblem,
    PlannedMachine,
    PodToPlace,
    Unplaced,
)
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.provisioning.strategies import BIN_SELECTION, OPTIMAL, Group, choose_machines, is_selected
from stratos.planning.scheduling.daemons import compile_daemons
from stratos.snapshot.provisioning import LaunchGround


@dataclass(frozen=True, slots=True)
class Place:
    """Where to estimate: all zones of the catalog's region, or one."""

    catalog: Catalog
    zone: str = ""

    @property
    def ground(self) -> LaunchGround:
        return LaunchGround(zones=(self.zone,) if self.zone else self.catalog.zones)


def estimate(
    workloads: Sequence[Workload], spec: NodeTemplateSpec, place: Place, *, mixes_small_pods: bool = False
) -> CloudEstimate:
    """What ``workloads`` cost on machines of a template with this ``spec``.

    ``mixes_small_pods``: pods below the thresholds get the cheapest mix of machines in place of shared nodes of the
    template's shape. Raises `Invalid` when the spec has no meaning.
    """
    pods: dict[str, PodGroup] = {}
    asked: list[PodAsks] = []
    for group in (group for workload in workloads for group in workload.groups):
        for number in range(group.pods):
            key = f"{group.asks.key}/{number}"
            while key in pods:  # two manifests of one name
                key += "'"
            pods[key] = group
            asked.append(replace(group.asks, key=key))
    ledger = _Ledger(pods)
    template = NodeTemplate(metadata=ObjectMeta(name="estimate"), spec=spec)
    daemons = compile_daemons(
        (*default_daemon_sets(place.catalog.cloud), *(each.daemon_set for each in workloads if each.daemon_set))
    )
    catalog = place.catalog
    if not place.zone and not any(_cares_for_zones(pod) for pod in asked):
        catalog = _in_cheapest_zones(catalog)
    decisions = [
        decided
        for some, chosen_by in _by_strategy(asked, template, mixes_small_pods=mixes_small_pods)
        for decided in choose_machines(some, chosen_by, catalog, ground=place.ground, daemons=daemons)
    ]
    for decided in decisions:
        ledger.enter(decided)
    return CloudEstimate(
        cloud=place.catalog.cloud,
        region=place.catalog.region,
        zone=place.zone,
        workloads=tuple(
            WorkloadEstimate(each.kind, each.namespace, each.name, tuple(ledger.groups_of(each)), each.notes)
            for each in workloads
        ),
        machines=ledger.machines,
        total_usd_per_hour=ledger.cost_usd_per_hour,
        lower_bound_usd_per_hour=_lower_bound(decisions),
    )


def _lower_bound(decisions: Sequence[Group]) -> float:
    """The largest that can be proved: of all pods over everything that any of them may use, or of a part of them.

    Parts cannot be added up, for another choice might let them share machines.
    """
    parts = [0.0]
    pods: list[PodToPlace] = []
    candidates: dict[OfferingName, Candidate] = {}
    for decided in decisions:
        placed = {key for machine in decided.packing.machines for key in machine.pods}
        some = tuple(pod.to_place for pod in decided.pods if pod.key in placed)
        choice = decided.candidates.all
        proved = decided.packing.lower_bound_usd_per_hour
        if some and decided.strategy != OPTIMAL:  # else it was proved over all these candidates already
            proved = pack(PackingProblem(pods=some, candidates=choice)).lower_bound_usd_per_hour
        parts.append(proved)
        pods += some
        candidates |= {each.offering: each for each in choice}
    if len(decisions) > 1:
        whole = PackingProblem(pods=tuple(pods), candidates=tuple(candidates.values()))
        parts.append(pack(whole, effort=Effort.FAST).lower_bound_usd_per_hour)
    return max(parts)


def _in_cheapest_zones(catalog: Catalog) -> Catalog:
    """Each type where it is cheapest: three zones of the same prices are three times the work for the same answer."""
    offerings = {}
    for name, sold in catalog.offerings_by_type.items():
        zones: dict[CapacityType, str] = {}
        for each in sorted(sold, key=lambda each: (each.price_usd_per_hour, each.zone)):
            zones.setdefault(each.capacity_type, each.zone)
        # All terms of these zones: where spot is missing beside on-demand, its price is guessed.
        offerings[name] = tuple(each for each in sold if each.zone in zones.values())
    return replace(catalog, offerings_by_type=offerings)


def _cares_for_zones(asks: PodAsks) -> bool:
    """Whether it makes a difference to the pod, or to its like, where its machine is."""
    requirements = asks.requirements
    rules = requirements.node_rules
    keys = {each.key for each in rules.selector.requirements}
    keys |= {each.key for term in rules.required or () for each in term.labels.requirements}
    keys |= {each.topology_key for each in (*requirements.affinity, *requirements.anti_affinity)}
    keys |= {each.term.topology_key for each in requirements.preferred_pods}
    keys |= {each.topology_key for each in (*requirements.spread, *requirements.preferred_spread)}
    return ZONE in keys


def _by_strategy(
    pods: Sequence[PodAsks], template: NodeTemplate, *, mixes_small_pods: bool
) -> Iterator[tuple[list[PodAsks], NodeTemplate]]:
    spec = template.spec
    mixed = [
        pod
        for pod in pods
        if spec.strategy == "optimal"
        or (mixes_small_pods and not is_selected(pod, spec.bin_packing, spec.bin_selection))
    ]
    taken = {pod.key for pod in mixed}
    yield [pod for pod in pods if pod.key not in taken], template
    by_terms: dict[frozenset[str] | None, list[PodAsks]] = {}
    for pod in mixed:
        by_terms.setdefault(pod.wishes.terms, []).append(pod)
    for terms, some in by_terms.items():
        yield some, _mixing(template, terms)


def _mixing(template: NodeTemplate, terms: frozenset[str] | None) -> NodeTemplate:
    """The template for the cheapest mix, under the ``terms`` that pods state themselves, if they do.

    On a cluster, a template's terms bind its pods; here nobody has made one yet.
    """
    spec = msgspec.structs.replace(template.spec, strategy="optimal")
    if terms is not None:
        allowed = {"spot": CapacityType.SPOT in terms, "on_demand": CapacityType.ON_DEMAND in terms}
        spec = msgspec.structs.replace(spec, constraints=msgspec.structs.replace(spec.constraints, **allowed))
    return msgspec.structs.replace(template, spec=spec)


class _Ledger:
    """Who bears what of the machines that were chosen. Groups are told apart by identity: two may ask for the same."""

    def __init__(self, pods: Mapping[str, PodGroup]) -> None:
        self._pods = pods
        self._entries: dict[int, list[GroupEstimate]] = {}
        self.machines = 0
        self.cost_usd_per_hour = 0.0

    def groups_of(self, workload: Workload) -> Iterator[GroupEstimate]:
        for group in workload.groups:
            yield from self._entries.get(id(group), ())

    def enter(self, decided: Group) -> None:
        machines = decided.packing.machines
        self.machines += len(machines)
        self.cost_usd_per_hour += decided.packing.cost_usd_per_hour
        parts = [_share_out(machine, self._pods) for machine in machines]
        for group in _in_order(decided, self._pods):
            kinds_of: dict[tuple[str, str, float], list[tuple[PlannedMachine, _Part]]] = {}
            for machine, shares in zip(machines, parts, strict=True):
                part = shares.get(id(group))
                if part is not None:
                    offering = machine.candidate.offering
                    kind = (offering.instance_type, offering.capacity_type, machine.candidate.price_usd_per_hour)
                    kinds_of.setdefault(kind, []).append((machine, part))
            entries = self._entries.setdefault(id(group), [])
            entries += [_placed(group, decided, found, self._pods) for found in kinds_of.values()]
            left = [each for each in decided.packing.unplaced if self._pods[each.pod] is group]
            if left:
                entries.append(_left_over(group, decided, left))


@dataclass(slots=True)
class _Part:
    """What one group has of one machine."""

    pods: int = 0
    share: float = 0.0


def _share_out(machine: PlannedMachine, groups: Mapping[str, PodGroup]) -> dict[int, _Part]:
    parts: dict[int, _Part] = {}
    free = machine.candidate.node.allocatable
    for key in machine.pods:
        group = groups[key]
        part = parts.setdefault(id(group), _Part())
        part.pods += 1
        part.share += max(
            amount / free[resource] if free.get(resource) else 0.0
            for resource, amount in group.asks.requirements.requests
        )
    whole = sum(part.share for part in parts.values())
    for part in parts.values():
        part.share = part.share / whole if whole else 1 / len(parts)
    return parts


def _in_order(decided: Group, groups: Mapping[str, PodGroup]) -> list[PodGroup]:
    # Pods of groups decided about later may share the machines of this one.
    keys = (*(pod.key for pod in decided.pods), *(key for machine in decided.packing.machines for key in machine.pods))
    return list({id(groups[key]): groups[key] for key in keys}.values())


def _placed(
    group: PodGroup, decided: Group, found: Sequence[tuple[PlannedMachine, _Part]], groups: Mapping[str, PodGroup]
) -> GroupEstimate:
    chosen = found[0][0].candidate
    fullest = max((machine for machine, _ in found), key=lambda machine: len(machine.pods))
    # A type was selected for one pod; a shared machine has to hold all that is on it.
    held = [group.asks] if decided.strategy == BIN_SELECTION else [groups[key].asks for key in fullest.pods]
    runners_up, too_small = alternatives(held, chosen, decided.candidates)
    return GroupEstimate(
        part=group.part,
        pods=sum(part.pods for _, part in found),
        strategy=decided.strategy,
        instance_type=chosen.offering.instance_type,
        capacity_type=chosen.offering.capacity_type,
        price_usd_per_hour=chosen.price_usd_per_hour,
        machines=len(found),
        share=sum(part.share for _, part in found),
        runners_up=runners_up,
        too_small=too_small,
    )


def _left_over(group: PodGroup, decided: Group, left: Sequence[Unplaced]) -> GroupEstimate:
    first = left[0]
    reason = "; ".join((first.message, *(note for note in decided.candidates.notes if note not in first.message)))
    return GroupEstimate(
        part=group.part,
        pods=len(left),
        strategy=decided.strategy,
        reason=reason,
        ways_out=tuple(map(str, first.relaxations)),
    )
