"""On how many machines do these pods fit? Counted as the scheduler will count, node by node.

Rooms that are on their way already are filled first, for nothing; then further rooms are opened, in the order given,
each as full as it gets. Pods are dealt largest first, by several notions of large, and the best outcome wins. First-fit
in decreasing order opens at most a fraction more than the optimum; in practice it is within one of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stratos.apis.pod import ResourceRequirements
from stratos.base.quantity import resource_amount
from stratos.planning.pools.rooms import Room
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import describe_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.planning.scheduling.rules import reject_by_rules
from stratos.snapshot.cluster import ClusterSnapshot

_COUNTED = ("cpu", "memory")
_MANY = 300


@dataclass(frozen=True, slots=True)
class Demand:
    """A pod that waits. One that asks for nothing gets a node of its own: nobody can say how much it needs."""

    key: str
    requirements: PodRequirements
    alone: bool = False
    promised: str = ""  # the room that was meant for it before
    moves: bool = False  # it has a node, and leaves it: no scheduler has been asked about it

    @property
    def kind(self) -> tuple[PodRequirements, bool, bool]:
        """Demands of one kind can stand for each other."""
        return self.requirements, self.alone, self.moves


@dataclass(frozen=True, slots=True)
class Fit:
    """Which pods go where."""

    placed: Mapping[str, tuple[str, ...]]  # room → pods, rooms under way included
    opened: tuple[str, ...]  # further rooms, in the order given
    left_over: tuple[str, ...]  # pods for which there is no room


def demand_of(
    key: str,
    requirements: PodRequirements,
    defaults: ResourceRequirements | None,
    promised: str = "",
    *,
    moves: bool = False,
) -> Demand:
    """Assume ``defaults`` for CPU and memory that a pod does not state."""
    stated = dict(requirements.requests)
    assumed = (defaults.requests or defaults.limits or {}) if defaults else {}
    missing = {
        name: resource_amount(name, assumed[name]) for name in _COUNTED if name not in stated and name in assumed
    }
    asks_nothing = not any(name != "pods" for name in stated)
    if missing:
        requests = tuple(sorted((stated | missing).items()))
        return Demand(key, replace(requirements, requests=requests), promised=promised, moves=moves)
    return Demand(key, requirements, alone=asks_nothing, promised=promised, moves=moves)


def fit(
    demands: Sequence[Demand],
    under_way: Sequence[Room],
    further: Callable[[], Iterator[Room]],
    cluster: ClusterSnapshot | None = None,
) -> Fit:
    """Place ``demands``. ``further`` gives the rooms that may be opened, each time from the first.

    ``cluster`` is needed when pods look at other pods; without it only these rooms exist.
    """
    best: Fit | None = None
    present = _present(cluster)
    for order in _ORDERS:
        packing = _Packing(under_way, further(), _state_of(cluster, present))
        for demand in sorted(demands, key=order):
            packing.place(demand)
        found = packing.result()
        if best is None or (len(found.left_over), len(found.opened)) < (len(best.left_over), len(best.opened)):
            best = found
        if len(found.opened) <= 1 and not found.left_over:
            break
        if len(demands) > _MANY or len({demand.kind for demand in demands}) == 1:
            break  # so many fill the gaps in any order, and for pods that are all alike no order is better
    assert best is not None  # there is at least one order
    return best


def _by(size: Callable[[Mapping[str, int]], float]) -> Callable[[Demand], tuple[bool, int, float, str]]:
    """Promised rooms first, then the important, then the large."""

    def order(demand: Demand) -> tuple[bool, int, float, str]:
        amounts = dict(demand.requirements.requests)
        return not demand.promised, -demand.requirements.priority, -size(amounts), demand.key

    return order


_GIB = float(2**30)
_ORDERS = (
    _by(lambda asks: max(asks.get("cpu", 0) / 1000, asks.get("memory", 0) / _GIB / 4)),
    _by(lambda asks: asks.get("cpu", 0) / 1000 + asks.get("memory", 0) / _GIB / 4),
    _by(lambda asks: asks.get("cpu", 0)),
    _by(lambda asks: asks.get("memory", 0)),
)


class _Packing:
    """One attempt: rooms fill up, pod by pod."""

    def __init__(self, under_way: Sequence[Room], further: Iterator[Room], state: ClusterState) -> None:
        self._state = state
        self._further = further
        self._seen: list[Room] = []  # further rooms looked at so far, in order
        self._open: list[str] = []  # rooms that take pods, in order
        self._nodes: dict[str, str] = {}  # room → node
        self._opened: set[str] = set()
        self._slots_taken: set[str] = set()
        self._taken_alone: set[str] = set()
        self._placed: dict[str, list[str]] = defaultdict(list)
        self._in_use = {room.name for room in under_way if room.in_use}
        self._left_over: list[str] = []
        self._hopeless: set[tuple[PodRequirements, bool, bool]] = set()  # kinds that no room takes any more
        self._from: dict[
            tuple[PodRequirements, bool, bool], int
        ] = {}  # where a kind's search goes on: before is no room
        for room in under_way:
            self._settle(room)

    def place(self, demand: Demand) -> None:
        room = self._find_open(demand) or self._open_another(demand)
        if room is None:
            self._left_over.append(demand.key)
            return
        self._placed[room].append(demand.key)
        if demand.alone:
            self._taken_alone.add(room)
        self._state.add_pod(PlacedPod(demand.key, demand.requirements), self._nodes[room])

    def result(self) -> Fit:
        opened = tuple(room.name for room in self._seen if room.name in self._opened)
        return Fit({room: tuple(pods) for room, pods in self._placed.items()}, opened, tuple(self._left_over))

    def _find_open(self, demand: Demand) -> str | None:
        if demand.promised in self._nodes and self._accepts(demand.promised, demand):
            return demand.promised
        # Rooms only fill up, so where such a pod found no room before it finds none now; unless others decide, too.
        start = 0 if demand.requirements.looks_at_other_pods else self._from.get(demand.kind, 0)
        for index in range(start, len(self._open)):
            if self._accepts(self._open[index], demand):
                self._from[demand.kind] = index
                return self._open[index]
        self._from[demand.kind] = len(self._open)
        return None

    def _open_another(self, demand: Demand) -> str | None:
        if demand.kind in self._hopeless:
            return None
        for room in self._unopened():
            if reject_by_rules(demand.requirements.node_rules, room.node) is not None:
                continue
            before = self._state.nodes.get(room.node.name)
            self._settle(room)
            if self._accepts(room.name, demand):
                self._opened.add(room.name)
                if room.slot:
                    self._slots_taken.add(room.slot)
                return room.name
            self._close(room, known=before is not None)
        if not demand.requirements.looks_at_other_pods:
            self._hopeless.add(demand.kind)
        return None

    def _unopened(self) -> Iterator[Room]:
        yield from [room for room in self._seen if room.name not in self._opened and room.slot not in self._slots_taken]
        for room in self._further:
            if room.slot not in self._slots_taken:
                self._seen.append(room)
                yield room

    def _accepts(self, room: str, demand: Demand) -> bool:
        if demand.alone and self._placed.get(room):
            return False
        if room in self._in_use and not demand.moves:
            return False
        if room in self._taken_alone:
            return False
        node = self._state.nodes[self._nodes[room]]
        return self._state.check(demand.requirements).reject(node) is None

    def _settle(self, room: Room) -> None:
        self._state.set_node(room.node)
        for pod in room.held:
            self._state.add_pod(pod, room.node.name)
        self._open.append(room.name)
        self._nodes[room.name] = room.node.name

    def _close(self, room: Room, *, known: bool) -> None:
        for pod in room.held:
            self._state.remove_pod(pod.key)
        if not known:
            self._state.remove_node(room.node.name)
        self._open.remove(room.name)
        del self._nodes[room.name]


def _present(cluster: ClusterSnapshot | None) -> tuple[tuple[PlacedPod, str], ...]:
    """The pods that are placed already, and their nodes: read once, for all attempts."""
    return tuple(
        (
            PlacedPod(pod.metadata.key, requirements_of(pod), terminating=pod.metadata.deletion_timestamp is not None),
            pod.spec.node_name,
        )
        for pod in (cluster.pods if cluster is not None else ())
        if pod.spec.node_name and not pod.finished
    )


def _state_of(cluster: ClusterSnapshot | None, present: Sequence[tuple[PlacedPod, str]]) -> ClusterState:
    if cluster is None:
        return ClusterState()
    state = ClusterState(cluster.namespace_labels)
    for node in cluster.nodes:
        state.set_node(describe_node(node))
    for pod, node_name in present:
        state.add_pod(pod, node_name)
    return state
