"""What a pool has to offer to pods that wait, as far as all pools need to know it to agree who serves them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from stratos.apis import labels
from stratos.apis.nodeclaim import NodeState, Wanted
from stratos.apis.pod import Pod
from stratos.planning.pools import members
from stratos.planning.pools.matching import PoolOffer
from stratos.planning.pools.rooms import free_amounts, furnish, future_node, node_labels, serving_node
from stratos.planning.pools.scale_up import launches_allowed, promises, room_of, waking_order
from stratos.planning.scheduling.daemons import Daemons, compile_daemons
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import PodRequirements
from stratos.snapshot.pool import PoolSnapshot

_OF_ONE_NODE = (labels.HOSTNAME, labels.ZONE)


def pool_named_by(pod: Pod) -> str:
    """The pool that the pod selects by name: no other can serve it. Empty when it names none."""
    return (pod.spec.node_selector or {}).get(labels.POOL, "")


def bare_offer_of(look: PoolSnapshot) -> PoolOffer:
    """What the pool's nodes look like, without what is at hand: enough to say why it cannot serve a pod."""
    return PoolOffer(
        pool=look.pool.metadata.name,
        nodes=tuple(_nodes(look, compile_daemons(look.daemon_sets))),
        own_labels=frozenset((*look.pool.spec.template.labels, labels.POOL)),
        price_usd_per_hour=look.shape.price_usd_per_hour if look.shape else 0.0,
        certain=any(machine.node is not None for machine in look.machines),
    )


def offer_of(look: PoolSnapshot, asks: Mapping[str, PodRequirements]) -> PoolOffer:
    """``asks`` says of the waiting pods, by namespace/name, what they ask for."""
    daemons = compile_daemons(look.daemon_sets)
    promised = promises(look)
    coming: dict[str, list[PodRequirements]] = defaultdict(list)
    for pod, name in promised.items():
        if pod in asks:
            coming[name].append(asks[pod])
    under_way = []
    for machine in look.machines:
        if members.is_under_way(machine, look.taken_at):
            room = room_of(look, machine, daemons)
            if room is not None:
                under_way.append(free_amounts(room, *coming[room.name]))
    spare = any(
        members.wanted(machine) is Wanted.STANDBY and members.state(machine) is not NodeState.STANDBY
        for machine in look.machines
    )
    return replace(
        bare_offer_of(look),
        standing_by=bool(waking_order(look)),
        launchable=spare or launches_allowed(look) > 0,
        under_way=tuple(under_way),
        promised=frozenset(promised),
    )


def _nodes(look: PoolSnapshot, daemons: Daemons) -> Iterable[NodeDescription]:
    """One node for each zone in which there is one, or could be."""
    known: dict[str, NodeDescription] = {}
    ours = node_labels(look.pool)
    for machine in look.machines:
        if machine.node is not None:
            zone = ours.get(labels.ZONE) or machine.node.metadata.labels.get(labels.ZONE, "")
            if zone not in known:  # of hundreds of nodes only these few are looked at closely
                known[zone] = serving_node(look.pool, machine.node, look.shape)
    like = next(iter(known.values()), None)
    for zone in look.shape.zones if look.shape else ():
        if zone not in known and look.shape is not None:
            node = future_node(look.pool, look.shape, "", zone)
            if like is not None:  # its nodes are alike, but for where they are
                shared = {key: value for key, value in like.labels.items() if key not in _OF_ONE_NODE}
                node = NodeDescription("", {**shared, **node.labels}, like.taints, allocatable=like.allocatable)
            known[zone] = node
    for _, node in sorted(known.items()):
        free = free_amounts(furnish("", node, daemons))
        yield NodeDescription(node.name, node.labels, node.taints, allocatable=free)
