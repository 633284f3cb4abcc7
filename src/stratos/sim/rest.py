"""How the world must be once trouble has ended and people change nothing any more.

Each rule is a sentence and what still speaks against it; the world has come to rest when nothing does. A run gives it a
generous while for that, and then watches that it stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from stratos.apis import labels
from stratos.apis.meta import is_condition_true
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeState, Wanted
from stratos.apis.nodepool import NodePool
from stratos.apis.nodetemplate import NodeTemplate
from stratos.planning.pools.drain import belongs_to_node, workload_pods
from stratos.providers.contract import MachineState
from stratos.sim.laws import alive_machines, covers, ownerless_machines
from stratos.sim.scenario import SERVED_BY
from stratos.sim.world import World

Rule = Callable[[World], Iterable[str]]

_SETTLED = {NodeState.STANDBY: Wanted.STANDBY, NodeState.RUNNING: Wanted.RUNNING}
_POWER = {NodeState.STANDBY: MachineState.STOPPED, NodeState.RUNNING: MachineState.RUNNING}


def machines_and_claims_match(world: World) -> Iterable[str]:
    """every machine has its claim, every claim its machine, every node of a pool both"""
    alive = {machine.id: machine for machine in alive_machines(world)}
    for machine in ownerless_machines(world):
        yield f"machine {machine} has no claim"
    for name, claim in world.claims.items():
        if claim.status.instance_id and claim.status.instance_id not in alive:
            yield f"the machine {claim.status.instance_id} of claim {name} is gone"
    provider_ids = {machine.provider_id for machine in alive.values()}
    for name, node in world.nodes.items():
        if node.spec.provider_id not in provider_ids:
            yield f"the machine of node {name} is gone"


def machines_are_where_they_should_be(world: World) -> Iterable[str]:
    """every machine stands by or serves, as its claim wants it, and the cloud agrees"""
    states = {machine.id: machine.state for machine in world.machines()}
    for name, claim in world.claims.items():
        if _is_held(world, claim):
            continue
        state = claim.status.state
        wanted = _SETTLED.get(state) if state is not None else None
        if wanted is not claim.spec.wanted or claim.metadata.deletion_timestamp is not None:
            yield f"claim {name} wants {claim.spec.wanted} and is {state or 'not launched'}"
        elif state is not None and states.get(claim.status.instance_id) is not _POWER[state]:
            yield f"claim {name} is {state}, its machine {states.get(claim.status.instance_id)}"
        elif state is NodeState.RUNNING and not is_condition_true(claim.status.conditions, ClaimCondition.READY):
            yield f"claim {name} is running, and its node does not take pods"


def pools_are_full(world: World) -> Iterable[str]:
    """as many machines stand by as minStandby wants, as far as poolSize allows"""
    for name, pool in world.pools.items():
        counts = Counter(claim.status.state for claim in _claims_of(world, pool))
        in_use = counts[NodeState.RUNNING] + counts[NodeState.TERMINATING]
        wanted = min(pool.spec.min_standby, pool.spec.pool_size - in_use)
        if pool.metadata.deletion_timestamp is None and counts[NodeState.STANDBY] < wanted:
            yield f"in pool {name} {counts[NodeState.STANDBY]} machines stand by, and {wanted} could"


def pods_are_served(world: World) -> Iterable[str]:
    """every pod runs that a pool with room for another machine could serve"""
    for key, pod in sorted(world.pods.items()):
        if belongs_to_node(pod) and not _serves(world, pod.spec.node_name):
            continue  # it waits until its node is woken
        name = pod.metadata.labels.get(SERVED_BY, "")
        pool, template = world.pools.get(name), world.templates.get(name)
        if pod.metadata.deletion_timestamp is not None:
            yield f"pod {key} is still being deleted"
        elif pod.status.phase == "Pending" and pool is not None and _can_serve_one_more(world, pool):
            yield f"pod {key} is pending ({pod.spec.node_name or 'unbound'}), and pool {pool.metadata.name} has room"
        elif pod.status.phase == "Pending" and template is not None and _can_make_one_more(world, template):
            yield f"pod {key} is pending ({pod.spec.node_name or 'unbound'}), and template {name} could make a node"
        elif pod.status.phase == "Pending" and pod.spec.node_name:
            yield f"pod {key} does not start on {pod.spec.node_name}"


def nothing_idles(world: World) -> Iterable[str]:
    """no machine serves nobody, unless its pool or template may not scale down"""
    for name, claim in world.claims.items():
        node = world.node_of(claim)
        if claim.status.state is not NodeState.RUNNING or node is None:
            continue
        if _scales_down(world, claim) and not workload_pods(tuple(world.pods_on(node.metadata.name))):
            yield f"claim {name} runs for nobody"


def standby_is_empty(world: World) -> Iterable[str]:
    """nobody's pods are left on machines that stand by"""
    for name, claim in world.claims.items():
        node = world.node_of(claim)
        if claim.status.state is NodeState.STANDBY and node is not None:
            left = workload_pods(tuple(world.pods_on(node.metadata.name)))
            if left:
                yield f"pod {left[0].metadata.key} is on {node.metadata.name}, and {name} stands by"


def pools_tell_the_truth(world: World) -> Iterable[str]:
    """the status of each pool says what is so"""
    for name, pool in world.pools.items():
        counts = Counter(claim.status.state for claim in _claims_of(world, pool))
        status = pool.status
        told = (status.warmup, status.standby, status.running)
        true = (counts[NodeState.WARMUP], counts[NodeState.STANDBY], counts[NodeState.RUNNING])
        if told != true:
            yield f"pool {name} tells of {told} machines in warm-up, standby and running; there are {true}"
        enough = counts[NodeState.STANDBY] >= pool.spec.min_standby
        if is_condition_true(status.conditions, "Ready") is not enough:
            yield f"pool {name} says Ready {not enough} with {counts[NodeState.STANDBY]} machines standing by"


def deleted_things_are_gone(world: World) -> Iterable[str]:
    """what was deleted is gone, and nothing of it is left"""
    for name, pool in world.pools.items():
        held = any(_is_held(world, claim) for claim in _claims_of(world, pool))
        if pool.metadata.deletion_timestamp is not None and not held:
            yield f"pool {name} is still being deleted"
    for name, claim in world.claims.items():
        if claim.spec.pool and claim.spec.pool not in world.pools:
            yield f"claim {name} is left of pool {claim.spec.pool}"
        if claim.spec.template and claim.spec.template not in world.templates:
            yield f"claim {name} is left of template {claim.spec.template}"
    for name, node in world.nodes.items():
        owner = node.metadata.labels.get(labels.POOL, "")
        if owner and owner not in world.pools:
            yield f"node {name} is left of pool {owner}"
        template = node.metadata.labels.get(labels.TEMPLATE, "")
        if template and template not in world.templates:
            yield f"node {name} is left of template {template}"


RULES: tuple[Rule, ...] = (
    machines_and_claims_match,
    machines_are_where_they_should_be,
    pools_are_full,
    pods_are_served,
    nothing_idles,
    standby_is_empty,
    pools_tell_the_truth,
    deleted_things_are_gone,
)


def unrest(world: World, rules: Sequence[Rule] = RULES) -> dict[Rule, list[str]]:
    """The rules that do not hold yet, and what was seen of each."""
    found = {rule: list(rule(world)) for rule in rules}
    return {rule: seen for rule, seen in found.items() if seen}


def restless_pools(world: World) -> frozenset[str]:
    """Pools and templates that will move machines whatever else happens: by the clock, or once a budget allows it."""
    by_the_clock = {
        name
        for name, pool in world.pools.items()
        if pool.spec.max_node_runtime_seconds or pool.spec.spot_replacement is not None
    }
    return frozenset(by_the_clock | {claim.spec.owner for claim in world.claims.values() if _is_held(world, claim)})


def _claims_of(world: World, pool: NodePool) -> list[NodeClaim]:
    return [claim for claim in world.claims.values() if claim.spec.pool == pool.metadata.name]


def _scales_down(world: World, claim: NodeClaim) -> bool:
    if claim.spec.template:
        template = world.templates.get(claim.spec.template)
        return template is not None and template.spec.disruption.policy != "Never"
    pool = world.pools.get(claim.spec.pool)
    return pool is not None and pool.spec.scale_down.enabled


def _serves(world: World, name: str) -> bool:
    node = world.nodes.get(name)
    claim = world.claim_of(node) if node is not None else None
    return claim is not None and claim.status.state is NodeState.RUNNING


def _is_held(world: World, claim: NodeClaim) -> bool:
    """Whether the machine may not leave service: a budget needs a pod on it, and however long that is, we wait."""
    node = world.node_of(claim)
    if node is None or claim.status.state is not NodeState.TERMINATING:
        return False
    return any(
        covers(budget, pod) and not budget.status.disruptions_allowed
        for pod in workload_pods(tuple(world.pods_on(node.metadata.name)))
        for budget in world.budgets.values()
    )


def _can_make_one_more(world: World, template: NodeTemplate) -> bool:
    if template.metadata.deletion_timestamp is not None:
        return False
    most = template.spec.limits.nodes
    return most is None or sum(claim.spec.template == template.metadata.name for claim in world.claims.values()) < most


def _can_serve_one_more(world: World, pool: NodePool) -> bool:
    if pool.metadata.deletion_timestamp is not None:
        return False
    claims = _claims_of(world, pool)
    stands_by = any(claim.status.state is NodeState.STANDBY for claim in claims)
    return stands_by or len(claims) < pool.spec.pool_size
