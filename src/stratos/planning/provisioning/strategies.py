"""How the pods of one template are turned into machines. It needs no cluster: estimates ask here, too.

- ``optimal``: the whole mix of pods at least cost, over everything the template may buy.
- ``thresholds``: small pods share nodes of a minimum shape (bin-packing): the cheapest type that satisfies it. Pods at
  or above any threshold, and those that say something about their machine, get the cheapest type that holds one of
  them, by the price of the node, and their like share what was bought (bin-selection).

Where a kind of machine cannot be had in sufficient number, the next by price is tried. Under thresholds, the pods'
annotations decide about spot and on-demand; the template's terms are for pods that say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stratos.apis import labels
from stratos.apis.nodetemplate import BinPacking, BinSelection, NodeTemplate
from stratos.base.quantity import millis, units
from stratos.base.words import counted
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import InstanceType
from stratos.planning.packing.pack import Effort
from stratos.planning.packing.problem import Candidate, ExistingNode, Packing, PlannedMachine, Unplaced
from stratos.planning.provisioning.annotations import NO_WISHES, Wishes
from stratos.planning.provisioning.asks import Grants, PodAsks, fits, granting
from stratos.planning.provisioning.basket import Basket, Filled
from stratos.planning.provisioning.candidates import Candidates, by_price, candidates_of
from stratos.planning.provisioning.limits import Budget
from stratos.planning.provisioning.ways_out import with_ways_out
from stratos.planning.scheduling.daemons import Daemons
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.rejection import Rule
from stratos.planning.scheduling.requirements import NodeRules
from stratos.snapshot.provisioning import LaunchGround

OPTIMAL = "optimal"
BIN_PACKING = "bin-packing"
BIN_SELECTION = "bin-selection"


@dataclass(frozen=True, slots=True)
class Group:
    """Pods that were decided about together, and what was decided."""

    strategy: str  # OPTIMAL, BIN_PACKING or BIN_SELECTION
    pods: tuple[PodAsks, ...]
    candidates: Candidates  # what there was to choose from
    packing: Packing
    machines: tuple[str, ...] = ()  # what the basket calls each of `packing.machines`


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one template has to sell at the moment."""

    template: NodeTemplate
    catalog: Catalog
    ground: LaunchGround
    daemons: Daemons = ()
    held_back: Callable[[Candidates], Candidates] | None = None  # takes away what is backed off
    _known: dict[tuple[Wishes, bool], Candidates] = field(default_factory=dict, init=False, compare=False, repr=False)

    def candidates(self, wishes: Wishes = NO_WISHES, *, any_terms: bool = False) -> Candidates:
        known = self._known.get((wishes, any_terms))
        if known is None:
            known = self._known[wishes, any_terms] = self._find(wishes, any_terms=any_terms)
        return known

    def _find(self, wishes: Wishes, *, any_terms: bool) -> Candidates:
        if wishes != NO_WISHES:
            return self.candidates(any_terms=any_terms).narrowed(wishes)
        found = candidates_of(self.template, self.catalog, self.ground, self.daemons, any_terms=any_terms)
        return self.held_back(found) if self.held_back is not None else found


def choose_machines(
    pods: Sequence[PodAsks],
    template: NodeTemplate,
    catalog: Catalog,
    *,
    ground: LaunchGround | None = None,
    daemons: Daemons = (),
    existing: Sequence[ExistingNode] = (),
    namespace_labels: Mapping[str, Mapping[str, str]] | None = None,
    effort: Effort = Effort.BEST,
) -> tuple[Group, ...]:
    """The machines ``template`` would get for ``pods``, group by group. Without a ground: all zones of the region.

    A machine is told with the group that it was chosen for, and with all its pods: those of later groups may share it.
    Pods that get none are told what they would have to give up.
    """
    basket = Basket(existing, budget=Budget((template,), (), catalog), effort=effort, namespace_labels=namespace_labels)
    shelf = Shelf(template, catalog, ground or LaunchGround(zones=catalog.zones), daemons)
    groups = list(fill(basket, shelf, pods))
    return tuple(_with_all_pods(tell_ways_out(group, basket, shelf), basket) for group in groups)


def tell_ways_out(group: Group, basket: Basket, shelf: Shelf) -> Group:
    """What pods that got no machine would have to give up to get one on top of everything in the basket."""
    if not group.packing.unplaced:
        return group

    def offer(wishes: Wishes) -> Sequence[Candidate]:
        if group.strategy == BIN_PACKING:
            return basket.may_buy(group.candidates.all)
        any_terms = group.strategy == BIN_SELECTION and wishes.terms is not None
        return basket.may_buy(shelf.candidates(wishes, any_terms=any_terms).all)

    unplaced = with_ways_out(group.packing.unplaced, group.pods, basket.state(), offer, shelf.catalog)
    return replace(group, packing=replace(group.packing, unplaced=unplaced))


def _with_all_pods(group: Group, basket: Basket) -> Group:
    machines = tuple(
        replace(machine, pods=tuple(sorted(pod.key for pod in basket.machines[name].pods)))
        for name, machine in zip(group.machines, group.packing.machines, strict=True)
    )
    onto_nodes = {pod: node for pod, node in group.packing.assignments.items() if node not in basket.machines}
    return replace(group, packing=replace(group.packing, machines=machines, assignments=onto_nodes))


def fill(basket: Basket, shelf: Shelf, pods: Sequence[PodAsks]) -> Iterator[Group]:
    """Find places for ``pods`` in the basket, and put new machines in. Their order makes no difference."""
    pods = sorted(pods, key=lambda pod: pod.key)
    if shelf.template.spec.strategy == "optimal":
        yield from _fill_optimally(basket, shelf, pods)
        return
    spec = shelf.template.spec
    selected = [pod for pod in pods if is_selected(pod, spec.bin_packing, spec.bin_selection)]
    taken = {pod.key for pod in selected}
    yield from _fill_selected(basket, shelf, selected)
    shared = [pod for pod in pods if pod.key not in taken]
    if shared:
        yield _fill_shared(basket, shelf, shared)


def is_selected(pod: PodAsks, packing: BinPacking, selection: BinSelection) -> bool:
    """Whether the pod gets machines by bin-selection. Each threshold alone is enough, and is met by its own value."""
    return (
        not packing.enabled
        or pod.wishes != NO_WISHES
        or pod.amount("cpu") >= millis(selection.pod_cpu_threshold)
        or pod.amount("memory") >= units(selection.pod_memory_threshold)
        or pod.gpus >= selection.pod_gpu_threshold
    )


def _fill_optimally(basket: Basket, shelf: Shelf, pods: Sequence[PodAsks]) -> Iterator[Group]:
    # Pods that have wishes go first: what they leave free is good for those that have none.
    by_wishes: dict[Wishes, list[PodAsks]] = {}
    for pod in pods:
        by_wishes.setdefault(pod.wishes, []).append(pod)
    for wishes, group in sorted(by_wishes.items(), key=lambda pair: (pair[0] == NO_WISHES, pair[1][0].key)):
        candidates, filled, left = shelf.candidates(wishes), Filled(), group
        grants = granting(wishes, shelf.catalog)
        for stage in candidates.stages or ((),):
            if left:
                left = basket.place(left, stage, filled, packing=OPTIMAL, sees=grants)
        yield _group(OPTIMAL, basket, group, candidates, filled)


def _fill_selected(basket: Basket, shelf: Shelf, pods: Sequence[PodAsks]) -> Iterator[Group]:
    alike: dict[_Alike, list[PodAsks]] = {}
    for pod in pods:
        alike.setdefault((pod.requirements.requests, pod.requirements.node_rules, pod.wishes), []).append(pod)
    for (_, _, wishes), group in sorted(alike.items(), key=lambda pair: pair[1][0].key):
        grants = granting(wishes, shelf.catalog)

        def sees(node: NodeDescription, grants: Grants = grants) -> bool:
            return node.labels.get(labels.PACKING) != BIN_PACKING and grants(node)

        candidates = shelf.candidates(wishes, any_terms=wishes.terms is not None)
        share = f"{BIN_SELECTION} {shelf.template.metadata.name} {group[0].key}"
        filled = _fill_kind_by_kind(basket, group, candidates, BIN_SELECTION, share, sees)
        yield _group(BIN_SELECTION, basket, group, candidates, filled)


_Alike = tuple[tuple[tuple[str, int], ...], NodeRules, Wishes]


def _fill_shared(basket: Basket, shelf: Shelf, pods: Sequence[PodAsks]) -> Group:
    def sees(node: NodeDescription) -> bool:
        return node.labels.get(labels.PACKING) != BIN_SELECTION

    packing = shelf.template.spec.bin_packing
    candidates = _of_shape(shelf.candidates(any_terms=True), packing, shelf.template.spec.nvidia_gpu_time_slices)
    share = f"{BIN_PACKING} {shelf.template.metadata.name}"
    filled = _fill_kind_by_kind(basket, pods, candidates, BIN_PACKING, share, sees)
    return _group(BIN_PACKING, basket, pods, candidates, filled)


def _of_shape(candidates: Candidates, packing: BinPacking, time_slices: int) -> Candidates:
    """Those that satisfy the minimum shape of shared nodes, by what the machine has in all."""
    wishes = Wishes(
        type_regexps=(packing.node_type_regexp,) if packing.node_type_regexp else (),
        terms=frozenset(packing.node_pricing),
    )
    narrowed = candidates.narrowed(wishes)
    cpu, memory = millis(packing.node_cpu), units(packing.node_memory)

    def too_small(type_: InstanceType) -> str:
        if type_.vcpu * 1000 < cpu:
            return "binPacking.nodeCpu"
        if type_.memory_bytes < memory:
            return "binPacking.nodeMemory"
        if type_.max_pods < packing.node_min_pod_count:
            return "binPacking.nodeMinPodCount"
        gpus = type_.gpu.devices * time_slices if type_.gpu is not None else 0
        return "binPacking.nodeGPU" if gpus < packing.node_gpu else ""

    return narrowed.without({name: rule for name, type_ in narrowed.types.items() if (rule := too_small(type_))})


def _fill_kind_by_kind(
    basket: Basket,
    pods: Sequence[PodAsks],
    candidates: Candidates,
    strategy: str,
    share: str,
    sees: Callable[[NodeDescription], bool],
) -> Filled:
    """The cheapest kind that holds one of the pods, then the next for what is left over."""
    filled, left = Filled(), list(pods)

    def place(some: list[PodAsks], stage: Sequence[Candidate]) -> list[PodAsks]:
        return basket.place(some, stage, filled, packing=strategy, share=share, sees=sees)

    for stage in candidates.kinds:
        futile = 0
        for kind in stage:
            fitting = [pod for pod in left if any(fits(pod, candidate) for candidate in kind)]
            if not fitting:
                continue
            rest = place(fitting, kind)
            futile = futile + 1 if len(rest) == len(fitting) else 0
            kept = {pod.key for pod in fitting} - {pod.key for pod in rest}
            left = [pod for pod in left if pod.key not in kept]
            if not left or futile == _FUTILE:
                break
    if left:
        place(left, candidates.all)  # all at once: what is left now is left for a reason, which this tells
    return filled


_FUTILE = 3  # kinds that held no pod although each of them would fit: it is not the kind that keeps them off


def _group(strategy: str, basket: Basket, pods: Sequence[PodAsks], candidates: Candidates, filled: Filled) -> Group:
    bought = sorted(filled.machines.items(), key=lambda pair: (by_price(basket.machines[pair[0]].candidate), pair[1]))
    unplaced = tuple(each if each.pod in filled.limited else _in_full(each, candidates) for each in filled.unplaced)
    return Group(
        strategy=strategy,
        pods=tuple(pods),
        candidates=candidates,
        packing=Packing(
            assignments=dict(sorted(filled.assignments.items())),
            machines=tuple(
                PlannedMachine(basket.machines[name].candidate, tuple(sorted(keys))) for name, keys in bought
            ),
            unplaced=unplaced,
            # Each stage was bounded beside what the others left free, so their sum would claim too much. And what was
            # proved over one kind of machine at a time says nothing of the others.
            lower_bound_usd_per_hour=max(filled.bounds, default=0.0) if strategy == OPTIMAL else 0.0,
            bound=filled.bound if strategy == OPTIMAL else "",
            report=tuple(dict.fromkeys(filled.report)),
            order=tuple(filled.order),
        ),
        machines=tuple(name for name, _ in bought),
    )


def _in_full(left: Unplaced, candidates: Candidates) -> Unplaced:
    """The reason, and what had been left out before anybody held the pod against the rest."""
    rejected = candidates.rejections()
    if candidates.types:
        rules = [f"{counted(number, 'type')} by {rule}" for rule, number in rejected.items()]
        return replace(left, message="; left out before: ".join((left.message, *([", ".join(rules)] if rules else ()))))
    rules = [f"{number} by {rule}" for rule, number in rejected.items()]
    sentence = f"no instance type is left: of {sum(rejected.values())}, {', '.join(rules) or 'none is sold here'}"
    return replace(left, rule=Rule.NODE_AFFINITY, message="; ".join((sentence, *candidates.notes)))
