"""The sets of pods and machines that packing is measured with. The same seed makes the same set, on any machine."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from typing import NamedTuple

from msgspec.structs import replace

from stratos.apis import labels
from stratos.apis.meta import ObjectMeta
from stratos.apis.pod import (
    Affinity,
    Container,
    LabelSelectorSpec,
    NodeAffinity,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    PreferredNode,
    ResourceRequirements,
    SelectorRequirement,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from stratos.base.quantity import GIBIBYTE
from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import load_catalog
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.problem import Candidate, ExistingNode, OfferingName
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import requirements_of

CPU_MILLIS = (100, 250, 500, 1000, 1500)
MEMORY_MIB = (100, 256, 512, 1024, 2048, 4096)
LABEL_VALUES = ("a", "b", "c", "d", "e", "f", "g")
ZONES = ("zone-1", "zone-2", "zone-3")


class BenchSet(NamedTuple):
    pods: list[Pod]
    candidates: list[Candidate]
    existing: list[ExistingNode]


def field_set(pods: int, rng: random.Random) -> BenchSet:
    """What the field measures its planners with: five kinds of pods, a fifth each, of thirty shapes.

    Pods alike in shape and labels are told apart by name alone. The pods that keep off each other's hosts all keep off
    all others of their kind, so that a fifth of the pods needs a machine each.
    """
    return BenchSet(_mixed(pods, rng, _one_of_thirty), field_candidates(), [])


def distinct_set(pods: int, rng: random.Random) -> BenchSet:
    """The same kinds of pods, of which no two ask for the same: nothing can be shared between them."""
    shapes = _distinct(rng)
    return BenchSet(_mixed(pods, rng, lambda _: next(shapes)), field_candidates(), [])


def preferences_set(pods: int, rng: random.Random) -> BenchSet:
    """The same pods, and each prefers a zone, company, or being spread."""
    mixed = _mixed(pods, rng, _one_of_thirty)
    preferring = [replace(pod, spec=_prefer(pod.spec, index % 3, rng)) for index, pod in enumerate(mixed)]
    return BenchSet(preferring, field_candidates(), [])


def existing_set(pods: int, rng: random.Random) -> BenchSet:
    """The field's pods against a cluster that is there: a node for every twenty pods, half full."""
    nodes = [_used_node(index, rng) for index in range(max(1, pods // 20))]
    return BenchSet(_mixed(pods, rng, _one_of_thirty), field_candidates(), nodes)


def smooth_set(pods: int, rng: random.Random) -> BenchSet:
    """Plain pods of a shape for every four of them, from 0.1 to 4 cores with 1 to 8 GiB a core; types of EC2."""
    shapes = [_smooth_shape(rng) for _ in range(max(1, pods // 4))]
    return BenchSet(_plain(pods, rng, shapes), ec2_candidates(), [])


def heavy_set(pods: int, rng: random.Random) -> BenchSet:
    """As `smooth_set`, and every tenth shape asks for 20 to 60 GiB with half a core to two."""
    shapes = [
        (rng.randrange(500, 2001, 50), rng.randrange(20 * 1024, 60 * 1024, 256)) if index % 10 == 0 else shape
        for index, shape in enumerate(_smooth_shape(rng) for _ in range(max(1, pods // 4)))
    ]
    return BenchSet(_plain(pods, rng, shapes), ec2_candidates(), [])


SETS: dict[str, Callable[[int, random.Random], BenchSet]] = {
    "field": field_set,
    "distinct": distinct_set,
    "preferences": preferences_set,
    "existing": existing_set,
    "smooth": smooth_set,
    "memory-heavy": heavy_set,
}


def field_candidates() -> list[Candidate]:
    """400 types: i+1 cores, 2 GiB a core, ten pods a core; 0.1 $/h for each core and each 10⁹ bytes; spot at 70 %."""
    return [
        candidate(
            f"type-{index + 1}",
            {"cpu": (index + 1) * 1000, "memory": (index + 1) * 2 * GIBIBYTE, "pods": (index + 1) * 10},
            zone,
            terms,
            (0.1 * (index + 1) + 0.1 * (index + 1) * 2 * GIBIBYTE / 1e9) * share,
        )
        for index in range(400)
        for zone in ZONES
        for terms, share in ((CapacityType.ON_DEMAND, 1.0), (CapacityType.SPOT, 0.7))
    ]


def ec2_candidates() -> list[Candidate]:
    """140 types of EC2's general, compute and memory families, on demand in us-east-1, after what EKS keeps."""
    catalog = load_catalog("aws", "us-east-1")
    families = {line + made for line in "mcr" for made in ("5", "6i", "6a", "7i", "7a")}
    types = [type_ for type_ in catalog.instance_types.values() if type_.family in families and not type_.bare_metal]
    types.sort(key=lambda type_: (type_.vcpu, type_.family, type_.name))
    offers = [
        next(each for each in catalog.offerings(type_.name) if each.capacity_type is CapacityType.ON_DEMAND)
        for type_ in types[:140]
    ]
    return [
        candidate(type_.name, node_allocatable("aws", type_), offer.zone, offer.capacity_type, offer.price_usd_per_hour)
        for type_, offer in zip(types, offers, strict=False)
    ]


def candidate(
    instance_type: str, allocatable: Mapping[str, int], zone: str, terms: CapacityType, price: float, **more: str
) -> Candidate:
    node_labels = {
        labels.INSTANCE_TYPE: instance_type,
        labels.ZONE: zone,
        labels.CAPACITY_TYPE: terms.value,
        labels.ARCH: "amd64",
        labels.OS: "linux",
        **more,
    }
    node = NodeDescription(name="", labels=node_labels, allocatable=allocatable)
    return Candidate(OfferingName(instance_type, zone, terms), node, price)


_Shape = tuple[int, int]  # millicores, MiB


def _one_of_thirty(rng: random.Random) -> _Shape:
    return rng.choice(CPU_MILLIS), rng.choice(MEMORY_MIB)


def _distinct(rng: random.Random) -> Iterator[_Shape]:
    seen = set()
    while True:
        shape = rng.randrange(100, 1501), rng.randrange(100, 4097)
        if shape not in seen:
            seen.add(shape)
            yield shape


def _smooth_shape(rng: random.Random) -> _Shape:
    millis = rng.randrange(100, 4001, 50)
    return millis, max(64, round(millis / 1000 * rng.uniform(1, 8) * 1024 / 64) * 64)


def _mixed(pods: int, rng: random.Random, shape: Callable[[random.Random], _Shape]) -> list[Pod]:
    kinds = cycle((_plain_rules, _zone_spread, _host_spread, _zone_company, _host_solitude))
    return [_pod(index, shape(rng), *kind(rng)) for index, kind in zip(range(pods), kinds, strict=False)]


def _plain(pods: int, rng: random.Random, shapes: list[_Shape]) -> list[Pod]:
    return [_pod(index, shapes[index % len(shapes)], {}, PodSpec()) for index in range(pods)]


def _pod(index: int, shape: _Shape, pod_labels: dict[str, str], spec: PodSpec) -> Pod:
    requests: dict[str, str | int | float] = {"cpu": f"{shape[0]}m", "memory": f"{shape[1]}Mi"}
    containers = (Container(name="main", resources=ResourceRequirements(requests=requests)),)
    metadata = ObjectMeta(name=f"pod-{index}", namespace="default", labels=pod_labels)
    return Pod(metadata=metadata, spec=replace(spec, containers=containers))


_Kind = tuple[dict[str, str], PodSpec]


def _plain_rules(rng: random.Random) -> _Kind:
    return {"my-label": rng.choice(LABEL_VALUES)}, PodSpec()


def _spread(rng: random.Random, key: str, when_unsatisfiable: str = "DoNotSchedule") -> TopologySpreadConstraint:
    selector = LabelSelectorSpec(match_labels={"my-label": rng.choice(LABEL_VALUES)})
    return TopologySpreadConstraint(1, key, when_unsatisfiable, label_selector=selector)


def _zone_spread(rng: random.Random) -> _Kind:
    return {"my-label": rng.choice(LABEL_VALUES)}, PodSpec(topology_spread_constraints=(_spread(rng, labels.ZONE),))


def _host_spread(rng: random.Random) -> _Kind:
    return {"my-label": rng.choice(LABEL_VALUES)}, PodSpec(topology_spread_constraints=(_spread(rng, labels.HOSTNAME),))


def _zone_company(rng: random.Random) -> _Kind:
    own = {"my-affinity": rng.choice(LABEL_VALUES)}
    term = PodAffinityTerm(labels.ZONE, label_selector=LabelSelectorSpec(match_labels=own))
    return own, PodSpec(affinity=Affinity(pod_affinity=PodAffinity(required=(term,))))


def _host_solitude(_: random.Random) -> _Kind:
    own = {"app": "alone"}
    term = PodAffinityTerm(labels.HOSTNAME, label_selector=LabelSelectorSpec(match_labels=own))
    return own, PodSpec(affinity=Affinity(pod_anti_affinity=PodAffinity(required=(term,))))


def _prefer(spec: PodSpec, what: int, rng: random.Random) -> PodSpec:
    affinity = spec.affinity or Affinity()
    if what == 0:
        zone = SelectorRequirement(labels.ZONE, "In", (rng.choice(ZONES),))
        preferred = PreferredNode(10, NodeSelectorTerm(match_expressions=(zone,)))
        return replace(spec, affinity=replace(affinity, node_affinity=NodeAffinity(preferred=(preferred,))))
    if what == 1:
        others = LabelSelectorSpec(match_labels={"my-label": rng.choice(LABEL_VALUES)})
        company = WeightedPodAffinityTerm(10, PodAffinityTerm(labels.ZONE, label_selector=others))
        together = replace(affinity.pod_affinity or PodAffinity(), preferred=(company,))
        return replace(spec, affinity=replace(affinity, pod_affinity=together))
    spread = (*(spec.topology_spread_constraints or ()), _spread(rng, labels.ZONE, "ScheduleAnyway"))
    return replace(spec, topology_spread_constraints=spread)


def _used_node(index: int, rng: random.Random) -> ExistingNode:
    cores = rng.choice((4, 8, 16))
    name = f"node-{index}"
    node_labels = {
        labels.HOSTNAME: name,
        labels.ZONE: ZONES[index % len(ZONES)],
        labels.CAPACITY_TYPE: CapacityType.ON_DEMAND.value,
        labels.ARCH: "amd64",
        labels.OS: "linux",
    }
    allocatable = {"cpu": cores * 1000, "memory": cores * 4 * GIBIBYTE, "pods": cores * 10}
    pods: list[PlacedPod] = []
    used = 0
    while used < cores * 500:
        millis, mib = _one_of_thirty(rng)
        pod = _pod(len(pods), (millis, mib), *_plain_rules(rng))
        pods.append(PlacedPod(f"default/{name}-{len(pods)}", requirements_of(pod)))
        used += millis
    return ExistingNode(NodeDescription(name=name, labels=node_labels, allocatable=allocatable), tuple(pods))
