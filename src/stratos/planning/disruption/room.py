"""Where the pods of a node that goes would find room: the cluster as it will be once everything decided so far is done.

A pod may move wherever the scheduler would let it run and its own annotations would have bought a machine for it. Every
supposed move stays, so that two nodes which go do not count on the same room.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property

from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.base.words import counted
from stratos.planning.packing.problem import ExistingNode
from stratos.planning.provisioning.annotations import Wishes, wishes_of
from stratos.planning.provisioning.asks import Grants, PodAsks, granting
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.compiling import Compile, compiler
from stratos.planning.scheduling.nodes import describe_node
from stratos.planning.scheduling.placement import NodeState, PlacedPod
from stratos.snapshot.provisioning import ProvisioningSnapshot


@dataclass(frozen=True, slots=True)
class NoRoom:
    pod: str
    message: str


class Room:
    """The nodes of a cluster and what runs there. It has one owner, who moves pods about in it."""

    def __init__(self, world: ProvisioningSnapshot, compile_pod: Compile | None = None) -> None:
        self._world = world
        self._compile = compile_pod or compiler(world.cluster)
        self._state = ClusterState(world.cluster.namespace_labels)
        for node in sorted(world.cluster.nodes, key=lambda node: node.metadata.name):
            with suppress(Invalid):  # a node of strange amounts: no scheduler uses it either
                self._state.set_node(describe_node(node, world.cluster.attach_limits.get(node.metadata.name)))
        self._granting: dict[Wishes, Grants] = {}
        self._unreadable: dict[str, str] = {}
        self._arrived: dict[str, dict[str, Pod]] = {}  # by node: the pods that were supposed to come
        for pod in sorted(world.cluster.pods, key=lambda pod: pod.metadata.key):
            if not pod.finished:
                self._enter(pod)

    def _enter(self, pod: Pod) -> None:
        try:
            wishes_of(pod)
            placed = self._placed(pod)
        except Invalid as error:
            self._unreadable[pod.metadata.key] = error.message
            return
        if pod.spec.node_name:
            self._state.add_pod(placed, pod.spec.node_name)
        elif pod.status.nominated_node_name:
            self._state.nominate(placed, pod.status.nominated_node_name)

    def close(self, node: str) -> None:
        """Nothing comes to this node any more; what runs there still counts."""
        state = self._state.nodes.get(node)
        if state is not None:
            self._state.set_node(replace(state.description, unschedulable=True))

    def move_off(self, node: str, pods: Iterable[Pod], *, overlapping: Collection[str] = ()) -> NoRoom | None:
        """Close ``node`` and suppose that its pods run elsewhere, and those that were supposed to come there.

        When one of them cannot, nothing is changed.
        Pods that are ``overlapping`` are still there when their replacement starts, and count against it.
        """
        state = self._state.nodes.get(node)
        if state is None:
            return None
        leaving = self._by_size((*pods, *self._arrived.get(node, {}).values()))
        for pod in leaving:
            if pod.metadata.key in self._unreadable:
                return NoRoom(pod.metadata.key, f"pod {pod.metadata.key}: {self._unreadable[pod.metadata.key]}")
        before = state.description
        self.close(node)
        targets: dict[str, str] = {}
        moved: list[PlacedPod] = []
        for pod in leaving:
            target = self._find(pod, overlaps=pod.metadata.key in overlapping)
            if target is None:
                refused = NoRoom(pod.metadata.key, self._no_room(pod))
                for placed in moved:
                    self._state.add_pod(placed, node)
                self._state.set_node(before)
                return refused
            placed_before = self._state.remove_pod(pod.metadata.key)
            self._state.add_pod(self._placed(pod), target.name)
            targets[pod.metadata.key] = target.name
            if placed_before is not None:
                moved.append(placed_before)
        self._arrived.pop(node, None)
        for pod in leaving:
            self._arrived.setdefault(targets[pod.metadata.key], {})[pod.metadata.key] = pod
        return None

    def expects(self, node: str) -> bool:
        """Whether pods were supposed to come there."""
        return bool(self._arrived.get(node))

    def existing_without(
        self, leaving: Collection[str], pods: Iterable[Pod], *, overlapping: Collection[str] = ()
    ) -> tuple[ExistingNode, ...]:
        """All nodes as a packing sees them when those in ``leaving`` are to go and ``pods`` are to be placed."""
        moving = {pod.metadata.key for pod in pods}
        found = []
        for name, node in sorted(self._state.nodes.items()):
            held = [
                replace(placed, key=f"{key} (until replaced)") if key in moving else placed
                for key, placed in sorted(node.pods.items())
                if key not in moving or key in overlapping
            ]
            held += [placed for _, placed in sorted(node.nominated.items())]
            closed = replace(node.description, unschedulable=True) if name in leaving else node.description
            found.append(ExistingNode(closed, tuple(held)))
        return tuple(found)

    def asks(self, pods: Iterable[Pod]) -> tuple[PodAsks, ...]:
        """What the pods ask of provisioning."""
        return tuple(PodAsks(pod.metadata.key, self._compile(pod), wishes_of(pod)) for pod in pods)

    # One pod

    def _find(self, pod: Pod, *, overlaps: bool) -> NodeState | None:
        """The first that takes it of the nodes that were fullest to begin with: what stays empty can go next."""
        grants = self._grants(wishes_of(pod))
        with nullcontext() if overlaps else self._in_the_air(pod):
            check = self._state.check(self._compile(pod))
            for name in self._fullest_first:
                node = self._state.nodes[name]
                if self._state.reject(check, node, pod.metadata.key) is None and grants(node.description):
                    return node
            return None

    def _grants(self, wishes: Wishes) -> Grants:
        if wishes not in self._granting:
            self._granting[wishes] = granting(wishes, self._world.catalog)
        return self._granting[wishes]

    @cached_property
    def _fullest_first(self) -> list[str]:
        return [node.name for node in sorted(self._state.nodes.values(), key=_emptiness)]

    @contextmanager
    def _in_the_air(self, pod: Pod) -> Iterator[None]:
        """A pod does not repel itself, nor spread from where it is."""
        placed = self._state.placed(pod.metadata.key)
        node = self._state.nodes.get(placed[1]) if placed is not None else None
        if placed is None or node is None:
            yield
            return
        with self._state.supposing(node, left=[placed[0]]):
            yield

    def _no_room(self, pod: Pod) -> str:
        others = [node for node in self._state.nodes.values() if not node.description.unschedulable]
        return f"pod {pod.metadata.key} cannot be scheduled on another of {counted(len(others), 'node choice')}"

    def _placed(self, pod: Pod) -> PlacedPod:
        return PlacedPod(
            key=pod.metadata.key,
            requirements=self._compile(pod),
            started_at=pod.status.start_time,
            terminating=pod.metadata.deletion_timestamp is not None,
        )

    def _by_size(self, pods: Iterable[Pod]) -> list[Pod]:
        def size(pod: Pod) -> tuple[int, int, str]:
            requests = {} if pod.metadata.key in self._unreadable else dict(self._compile(pod).requests)
            return -requests.get("cpu", 0), -requests.get("memory", 0), pod.metadata.key

        return sorted(pods, key=size)


def _emptiness(node: NodeState) -> tuple[float, str]:
    allocatable = node.description.allocatable.get("cpu", 0)
    return (node.free.get("cpu", 0) / allocatable if allocatable else 1.0), node.name
