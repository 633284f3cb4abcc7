"""How things really are: the objects of the store and the machines of the cloud, without caches, lag or faults between.

The laws judge by this. It also writes down the changes that matter as actions, so that the story of a run can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stratos.apis.meta import Kind, KubeObject, is_condition_true
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET, PodDisruptionBudget
from stratos.apiserver.storage.contract import Event, Storage
from stratos.base.clock import Clock
from stratos.kube.codec import decode
from stratos.planning.pools.nodes import STANDBY_TAINT, has_taint
from stratos.providers.contract import Machine, MachineState
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.sim.actions import ActionLog

_KINDS: tuple[Kind[Any], ...] = (NODE_POOL, NODE_TEMPLATE, NODE_CLAIM, NODE, POD, POD_DISRUPTION_BUDGET)


@dataclass(frozen=True, slots=True)
class Change:
    """One write to the store; at least one side is there."""

    kind: Kind[Any]
    before: Any
    after: Any


class World:
    def __init__(self, storage: Storage, clock: Clock, log: ActionLog) -> None:
        self.pools: dict[str, NodePool] = {}
        self.templates: dict[str, NodeTemplate] = {}
        self.claims: dict[str, NodeClaim] = {}
        self.nodes: dict[str, Node] = {}
        self.pods: dict[str, Pod] = {}
        self.budgets: dict[str, PodDisruptionBudget] = {}
        self.closed_since: dict[str, datetime] = {}  # by node: since when it takes no pods
        self.ending: Counter[tuple[str, str]] = Counter()  # requests under way, by component and pod
        self.told: Callable[[Change], None] = lambda change: None
        self._clock = clock
        self._log = log
        self._cloud: SimulatedCloud | None = None
        self._node_by_provider_id: dict[str, str] = {}
        books: tuple[dict[str, Any], ...] = (
            self.pools,
            self.templates,
            self.claims,
            self.nodes,
            self.pods,
            self.budgets,
        )
        for kind, book in zip(_KINDS, books, strict=True):
            prefix = f"/registry/{kind.group or 'core'}/{kind.plural}/"
            storage.observe(prefix, self._observer(kind, prefix, book))

    def look_at(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    @property
    def now(self) -> datetime:
        return self._clock.now()

    @property
    def cloud(self) -> SimulatedCloud:
        assert self._cloud is not None, "the cluster hands over its cloud before anything runs"
        return self._cloud

    def machines(self) -> tuple[Machine, ...]:
        return self.cloud.machines()

    def is_gone(self, claim: NodeClaim) -> bool:
        """Whether its machine has ended."""
        return self.cloud.machine(claim.status.instance_id).state.gone

    def is_healthy(self, pod: Pod) -> bool:
        """Whether it is ready, and its machine is up: of pods whose machine went down, the API learns late."""
        node = self.nodes.get(pod.spec.node_name)
        if node is None or pod.metadata.deletion_timestamp is not None or pod.finished:
            return False
        ready = is_condition_true(pod.status.conditions, "Ready")
        return ready and self.cloud.machine(machine_id(node)).state is MachineState.RUNNING

    def node_of(self, claim: NodeClaim) -> Node | None:
        name = self._node_by_provider_id.get(claim.status.provider_id) if claim.status.provider_id else None
        return self.nodes.get(name) if name else None

    def claim_of(self, node: Node) -> NodeClaim | None:
        return next((c for c in self.claims.values() if c.status.provider_id == node.spec.provider_id), None)

    def pods_on(self, node: str) -> Iterator[Pod]:
        return (pod for pod in self.pods.values() if pod.spec.node_name == node)

    def is_asked_for(self, component: str, pod: str) -> bool:
        """Whether a request of the component to end the pod (namespace/name) is under way."""
        return self.ending[component, pod] > 0

    def _observer(self, kind: Kind[Any], prefix: str, book: dict[str, Any]) -> Callable[[Event], None]:
        def observe(event: Event) -> None:
            key = event.key.removeprefix(prefix)
            before: KubeObject | None = book.get(key)
            after: KubeObject | None = None if event.value is None else decode(kind.type, event.value)
            if after is None:
                book.pop(key, None)
            else:
                book[key] = after
            if kind is NODE:
                self._note_node(key, before, after)
            self._write_down(kind, key, before, after)
            self.told(Change(kind, before, after))

        return observe

    def _note_node(self, name: str, before: KubeObject | None, after: KubeObject | None) -> None:
        if isinstance(before, Node):
            self._node_by_provider_id.pop(before.spec.provider_id, None)
        if isinstance(after, Node) and after.spec.provider_id:
            self._node_by_provider_id[after.spec.provider_id] = name
        if isinstance(after, Node) and is_closed(after):
            self.closed_since.setdefault(name, self.now)
        else:
            self.closed_since.pop(name, None)

    def _write_down(self, kind: Kind[Any], key: str, before: KubeObject | None, after: KubeObject | None) -> None:
        old, new = _story(before), _story(after)
        if old != new:
            self._log.note(kind.kind, f"{key}: {new or 'gone'}")


def machine_id(node: Node) -> str:
    return node.spec.provider_id.rpartition("/")[2]


def is_closed(node: Node) -> bool:
    """Whether the scheduler would put no ordinary pod there."""
    return node.spec.unschedulable or has_taint(node, STANDBY_TAINT)


def _story(obj: KubeObject | None) -> str:
    """What of an object is worth an action when it changes."""
    match obj:
        case NodeClaim():
            wish = f"wants {obj.spec.wanted}, wake {obj.status.wakes_done} of {obj.spec.wakes}"
            return f"{obj.status.state or 'new'} {obj.status.instance_id}, {wish}{_ending(obj)}"
        case Node():
            return f"{'closed' if is_closed(obj) else 'open'} {_readiness(obj)}{_ending(obj)}"
        case Pod():
            return f"{obj.status.phase} {obj.status.reason} on {obj.spec.node_name or 'no node'}{_ending(obj)}"
        case NodePool():
            status = obj.status
            return f"{status.warmup} warmup, {status.standby} standby, {status.running} running{_ending(obj)}"
        case NodeTemplate():
            held = f", {len(obj.status.backed_off)} offerings backed off" if obj.status.backed_off else ""
            return f"{obj.status.nodes} nodes{held}{_ending(obj)}"
        case _:
            return ""


def _readiness(node: Node) -> str:
    ready = next((condition.status for condition in node.status.conditions if condition.type == "Ready"), "unknown")
    return {"True": "ready", "False": "not ready"}.get(ready, "silent")


def _ending(obj: KubeObject) -> str:
    return ", being deleted" if obj.metadata.deletion_timestamp is not None else ""
