"""What must never happen, whatever goes wrong: checked after every write to the store and every effect in the cloud.

Each law is a sentence and the few lines that hold the world against it. A law that is broken says what was seen. What
must be so only once the trouble has passed is for `stratos.sim.rest` to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim, NodeState, Wanted
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.base.errors import Invalid
from stratos.planning.interruptions.plan import INTERRUPTION
from stratos.planning.pools.drain import BUDGETS_GIVE_WAY, SPARE, belongs_to_node, grace_of
from stratos.planning.pools.nodes import STANDBY_TAINT, has_taint
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.providers.contract import Machine, MachineState
from stratos.sim.world import Change, World, is_closed

OWNERLESS_GRACE = timedelta(minutes=20)
"""How long a machine may be without a claim, or a claim without a machine: surveys take their time, restarts too."""

SCHEDULER_STALENESS = timedelta(seconds=30)
"""How late a scheduler may hear, on a bad day, that a node was closed."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something a call of ours changed in the cloud."""

    operation: str  # launch or start
    machine: Machine
    token: str = ""  # of a launch


class Law:
    """Overrides what it needs to look at, and answers with what it saw if it is broken."""

    sentence: str

    @property
    def name(self) -> str:
        return type(self).__name__

    def stored(self, world: World, change: Change) -> Iterable[str]:
        """After a write to the store."""
        return ()

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        """After a call changed something in the cloud."""
        return ()

    def passed(self, world: World) -> Iterable[str]:
        """Now and then, for what takes time to be wrong."""
        return ()


class PoolSizeIsKept(Law):
    sentence = "a pool never has more machines than its poolSize"

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        pool = effect.machine.tags.get(labels.TAG_POOL, "")
        spec = world.pools[pool].spec if pool in world.pools else None
        alive = [machine.id for machine in alive_machines(world) if machine.tags.get(labels.TAG_POOL) == pool]
        if spec is not None and len(alive) > spec.pool_size:
            yield f"pool {pool} of at most {spec.pool_size} machines has {len(alive)}: {', '.join(alive)}"


class TemplateLimitIsKept(Law):
    sentence = "a template never has more machines than its limits allow"

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        name = effect.machine.tags.get(labels.TAG_TEMPLATE, "")
        most = world.templates[name].spec.limits.nodes if name in world.templates else None
        # One that was given up no longer counts against the limit, though it takes a while to end.
        wanted = {claim.status.instance_id for claim in world.claims.values() if claim.wish is not Wanted.GONE}
        wanted.add(effect.machine.id)
        alive = [
            machine.id
            for machine in alive_machines(world)
            if machine.tags.get(labels.TAG_TEMPLATE) == name and machine.id in wanted
        ]
        if most is not None and len(alive) > most:
            yield f"template {name} of at most {most} machines has {len(alive)}: {', '.join(alive)}"


class LaunchedAsChosen(Law):
    sentence = "a template's machine is the offering that its claim names"

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        machine = effect.machine
        claim = world.claims.get(machine.tags.get(labels.TAG_CLAIM, ""))
        if effect.operation != "launch" or claim is None or not claim.spec.template:
            return
        asked = (claim.spec.instance_type, claim.spec.zone, claim.spec.capacity_type)
        got = (machine.instance_type, machine.zone, str(machine.capacity_type))
        if asked != got:
            yield f"claim {claim.metadata.name} stands for {asked}, and machine {machine.id} is {got}"


class ClaimsComeFirst(Law):
    sentence = "a machine is launched only for a claim that is written already"

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        if effect.operation == "launch" and effect.token not in {c.metadata.uid for c in world.claims.values()}:
            yield f"machine {effect.machine.id} was launched with token {effect.token}, which is no claim's uid"


class MachinesHaveClaims(Law):
    sentence = "no machine lives on without a claim"

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def passed(self, world: World) -> Iterable[str]:
        ownerless = ownerless_machines(world)
        self._since = {machine: self._since.get(machine, world.now) for machine in ownerless}
        for machine, since in self._since.items():
            if world.now > since + OWNERLESS_GRACE:
                yield f"machine {machine} has had no claim since {since:%H:%M:%S}"


class ClaimsHaveMachines(Law):
    sentence = "no claim outlives its machine"

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def passed(self, world: World) -> Iterable[str]:
        alive = {machine.id for machine in alive_machines(world)}
        bereft = sorted(
            name
            for name, claim in world.claims.items()
            if claim.status.instance_id and claim.status.instance_id not in alive
        )
        self._since = {claim: self._since.get(claim, world.now) for claim in bereft}
        for claim, since in self._since.items():
            if world.now > since + OWNERLESS_GRACE:
                yield f"claim {claim} has had no machine since {since:%H:%M:%S}"


class OneLaunchForAClaim(Law):
    sentence = "no claim ever gets two machines"

    def __init__(self) -> None:
        self._launched: dict[str, str] = {}

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        claim = effect.machine.tags.get(labels.TAG_CLAIM, "")
        if effect.operation == "launch":
            before = self._launched.setdefault(claim, effect.machine.id)
            if before != effect.machine.id:
                yield f"claim {claim} has got machine {before}, and now {effect.machine.id} too"


class OneStartForAWake(Law):
    sentence = "no wake of a claim starts its machine twice"

    def __init__(self) -> None:
        self._starts: Counter[str] = Counter()

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        claim = world.claims.get(effect.machine.tags.get(labels.TAG_CLAIM, ""))
        if effect.operation != "start" or claim is None:
            return
        self._starts[claim.metadata.uid] += 1
        if self._starts[claim.metadata.uid] > claim.spec.wakes:
            starts = self._starts[claim.metadata.uid]
            yield f"{effect.machine.id} was started {starts} times; its claim asks for {claim.spec.wakes} wakes"


class StandbyIsClosed(Law):
    sentence = "the node of a machine that is not in service takes no pods"

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if change.after is None:
            return
        if change.kind is NODE:
            claim = world.claim_of(change.after)
        elif change.kind is NODE_CLAIM:
            claim = change.after
        else:
            return
        node = world.node_of(claim) if claim is not None else None
        if claim is None or node is None or is_closed(node) or claim.status.state is NodeState.RUNNING:
            return
        if claim.status.state is NodeState.TERMINATING and world.is_gone(claim):
            return  # nobody could run there any more
        yield f"node {node.metadata.name} is open while its claim is {claim.status.state or 'being launched'}"


class NobodyEntersStandby(Law):
    sentence = "no pod but those of DaemonSets is put on a node that was closed long ago"

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if change.kind is not POD or change.after is None:
            return
        pod: Pod = change.after
        bound_now = pod.spec.node_name and (change.before is None or not change.before.spec.node_name)
        since = world.closed_since.get(pod.spec.node_name)
        if bound_now and since and world.now > since + SCHEDULER_STALENESS and not belongs_to_node(pod):
            yield f"pod {pod.metadata.key} was bound to {pod.spec.node_name}, which is closed since {since:%H:%M:%S}"


class BudgetsAreKept(Law):
    sentence = "Stratos takes no pod that a PodDisruptionBudget needs, neither itself nor by its taints"

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if change.kind is not POD or change.before is None:
            return
        before, after = change.before, change.after
        ends_now = before.metadata.deletion_timestamp is None and (
            after is None or after.metadata.deletion_timestamp is not None
        )
        if not ends_now or not world.is_healthy(before) or not _is_our_doing(world, before):
            return
        claim = _claim_under(world, before)
        if claim is not None and _ends_within(world, claim, BUDGETS_GIVE_WAY):
            return  # it ends with its machine in any case
        for budget in world.budgets.values():
            if not covers(budget, before) or before.metadata.name in budget.status.disrupted_pods:
                continue  # an eviction that was counted
            healthy = sum(world.is_healthy(pod) for pod in world.pods.values() if covers(budget, pod))
            if healthy < budget.status.desired_healthy:
                yield (
                    f"pod {before.metadata.key} was ended; budget {budget.metadata.name} "
                    f"needs {budget.status.desired_healthy} healthy pods and has {healthy}"
                )


def _is_our_doing(world: World, pod: Pod) -> bool:
    """Whether Stratos is asking for the pod's end, or whoever carries out what a standby taint says."""
    key = pod.metadata.key
    node = world.nodes.get(pod.spec.node_name)
    tainted = node is not None and has_taint(node, STANDBY_TAINT)
    return world.is_asked_for("stratos", key) or (tainted and world.is_asked_for("controller manager", key))


class RoomIsAskedForFirst(Law):
    sentence = "no pod leaves a machine that is taken back before a machine for it was asked for, unless time is up"

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if (
            change.kind is not POD
            or change.before is None
            or not world.is_asked_for("stratos", change.before.metadata.key)
        ):
            return
        before, after = change.before, change.after
        told = after is None or after.metadata.deletion_timestamp is not None
        claim = _claim_under(world, before)
        if before.metadata.deletion_timestamp is not None or not told or claim is None or belongs_to_node(before):
            return
        notice = claim.spec.interruption
        taken_back = (
            notice is not None and claim.spec.decision is not None and claim.spec.decision.reason == INTERRUPTION
        )
        if taken_back and notice is not None and notice.answered_at is None:
            graces = [grace_of(pod) for pod in world.pods_on(before.spec.node_name)]
            if not _ends_within(world, claim, SPARE + max(graces, default=timedelta())):
                yield f"pod {before.metadata.key} must leave {before.spec.node_name}, and no machine was asked for"


class OneReplacementAtATime(Law):
    sentence = "no machine of a pool is ever being replaced by two spot machines"

    def effected(self, world: World, effect: Effect) -> Iterable[str]:
        node = effect.machine.tags.get(labels.TAG_REPLACING_NODE, "")
        rivals = [
            name
            for name, claim in world.claims.items()
            if claim.metadata.annotations.get(labels.SPOT_REPLACING_NODE) == node and claim.wish is not Wanted.GONE
        ]
        if effect.operation == "launch" and node and len(rivals) > 1:
            yield f"{node} is being replaced by {', '.join(sorted(rivals))}"


def _claim_under(world: World, pod: Pod) -> NodeClaim | None:
    node = world.nodes.get(pod.spec.node_name)
    return world.claim_of(node) if node is not None else None


def _ends_within(world: World, claim: NodeClaim, span: timedelta) -> bool:
    notice = claim.spec.interruption
    return notice is not None and notice.deadline is not None and world.now >= notice.deadline - span


class StatesFollowTheLife(Law):
    sentence = "no illegal step in a machine's life is ever stored"

    # Several legal steps may be stored as one: a machine that is needed while it is prepared never shows as standby.
    ALLOWED = frozenset(
        {
            (None, NodeState.WARMUP),
            (NodeState.WARMUP, NodeState.STANDBY),
            (NodeState.WARMUP, NodeState.RUNNING),
            (NodeState.WARMUP, NodeState.TERMINATING),
            (NodeState.STANDBY, NodeState.RUNNING),
            (NodeState.STANDBY, NodeState.TERMINATING),
            (NodeState.RUNNING, NodeState.STANDBY),
            (NodeState.RUNNING, NodeState.TERMINATING),
            (NodeState.TERMINATING, NodeState.STANDBY),
            (NodeState.TERMINATING, NodeState.RUNNING),
        }
    )

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if change.kind is not NODE_CLAIM or change.after is None:
            return
        before = change.before.status.state if change.before is not None else None
        after = change.after.status.state
        if before is not after and (before, after) not in self.ALLOWED:
            yield f"claim {change.after.metadata.name} went from {before} to {after}"


class KubeletsAgree(Law):
    sentence = "no kubelet refuses a pod that the scheduler put there"

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if change.kind is not POD or change.after is None:
            return
        pod: Pod = change.after
        refused = pod.status.phase == "Failed" and pod.status.reason.startswith("OutOf")
        if refused and (change.before is None or change.before.status.phase != "Failed"):
            yield f"pod {pod.metadata.key} was refused by {pod.spec.node_name}: {pod.status.reason}"


class DeletedPoolsAreEmpty(Law):
    sentence = "a pool that is gone leaves no claims and no machines behind"

    def stored(self, world: World, change: Change) -> Iterable[str]:
        if change.kind is not NODE_POOL or change.after is not None:
            return
        pool = change.before.metadata.name
        claims = sorted(name for name, claim in world.claims.items() if claim.spec.pool == pool)
        machines = [machine.id for machine in alive_machines(world) if machine.tags.get(labels.TAG_POOL) == pool]
        if claims or machines:
            yield f"pool {pool} is gone, and there are claims {claims} and machines {machines}"


def every_law() -> tuple[Law, ...]:
    """New ones: some remember what they have seen."""
    return (
        PoolSizeIsKept(),
        TemplateLimitIsKept(),
        LaunchedAsChosen(),
        ClaimsComeFirst(),
        MachinesHaveClaims(),
        ClaimsHaveMachines(),
        OneLaunchForAClaim(),
        OneStartForAWake(),
        StandbyIsClosed(),
        NobodyEntersStandby(),
        BudgetsAreKept(),
        RoomIsAskedForFirst(),
        OneReplacementAtATime(),
        StatesFollowTheLife(),
        KubeletsAgree(),
        DeletedPoolsAreEmpty(),
    )


def alive_machines(world: World) -> list[Machine]:
    """Those that are not terminated: they count and they cost."""
    return [machine for machine in world.machines() if machine.state is not MachineState.TERMINATED]


def ownerless_machines(world: World) -> list[str]:
    owned = {claim.status.instance_id for claim in world.claims.values()}
    named = set(world.claims)
    return [
        machine.id
        for machine in alive_machines(world)
        if machine.id not in owned and not _is_unread(world, machine, named)
    ]


def _is_unread(world: World, machine: Machine, named: set[str]) -> bool:
    """Its claim is there and does not know of it yet: the answer of the launch is still under way, or was lost."""
    claim = machine.tags.get(labels.TAG_CLAIM, "")
    return claim in named and not world.claims[claim].status.instance_id


def covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    if budget.metadata.namespace != pod.metadata.namespace:
        return False
    try:
        selector = compile_label_selector(budget.spec.selector, "spec.selector")
    except Invalid:
        return False
    return selector is not None and selector.matches(pod.metadata.labels)
