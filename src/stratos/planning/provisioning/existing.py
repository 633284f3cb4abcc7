"""The nodes there are, and those under way, as a packing sees them: each with the pods it has, or was made for.

A machine that was asked for is a node before it has one: what its claim says is what it will be. The pods in its
decision keep their places there until it is in service, so that nobody buys another for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from stratos.apis import labels
from stratos.apis.node import Node
from stratos.apis.nodeclaim import NodeClaim, NodeSettings, Wanted
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid
from stratos.planning.packing.problem import ExistingNode
from stratos.planning.pools.members import SETTLING
from stratos.planning.pools.nodes import has_taint
from stratos.planning.pools.rooms import furnish, settled_node
from stratos.planning.pools.settings import settings_of_template_claim
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.provisioning.draft import known_labels, room_on
from stratos.planning.scheduling.compiling import Compile, compiler
from stratos.planning.scheduling.daemons import Daemons
from stratos.planning.scheduling.nodes import NodeDescription, describe_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot


@dataclass(frozen=True, slots=True)
class Existing:
    nodes: tuple[ExistingNode, ...]
    promised: Mapping[str, str]  # waiting pod → the node, or the claim, that was made for it


def existing_nodes(
    look: ProvisioningSnapshot, waiting: Mapping[str, PodAsks], daemons: Daemons, failed: frozenset[str]
) -> Existing:
    """``failed`` claims are none that one could count on."""
    claims = {claim.status.node_name: claim for claim in look.claims if claim.status.node_name}
    pods: dict[str, list[Pod]] = {}
    for pod in look.cluster.pods:
        if pod.spec.node_name and not pod.finished:
            pods.setdefault(pod.spec.node_name, []).append(pod)
    compile_pod = compiler(look.cluster)
    promised: dict[str, str] = {}
    found: list[ExistingNode] = []
    for node in sorted(look.cluster.nodes, key=lambda node: node.metadata.name):
        name = node.metadata.name
        claim = claims.get(name)
        there = sorted(pods.get(name, ()), key=lambda pod: pod.metadata.key)
        if claim is not None and _is_coming(look, claim, failed, node):
            room = furnish(name, _coming_node(node, claim), daemons, there)
            found.append(_keep(claim, ExistingNode(room.node, room.held), waiting, promised))
        else:
            leaving = claim is not None and (claim.wish is Wanted.GONE or claim.metadata.name in look.interrupted)
            described = _describe(node, look.cluster.attach_limits.get(name), leaving=leaving)
            placed = (_placed(pod, compile_pod) for pod in there)
            found.append(ExistingNode(described, tuple(each for each in placed if each)))
    joined = {node.metadata.name for node in look.cluster.nodes}
    for claim in sorted(look.claims, key=lambda claim: claim.metadata.name):
        if claim.status.node_name not in joined and _is_coming(look, claim, failed):
            expected = _expected_node(look, claim)
            if expected is not None:
                room = furnish(claim.metadata.name, expected, daemons)
                found.append(_keep(claim, ExistingNode(room.node, room.held), waiting, promised))
    return Existing(tuple(found), promised)


def _is_coming(look: ProvisioningSnapshot, claim: NodeClaim, failed: frozenset[str], node: Node | None = None) -> bool:
    """Whether its node is still to take the pods it was made for."""
    if claim.wish is not Wanted.RUNNING or claim.metadata.name in failed or claim.metadata.name in look.interrupted:
        return False
    ready_at, settings = claim.status.ready_at, claim.spec.node or NodeSettings()
    if ready_at is None or look.taken_at < ready_at + SETTLING:
        return True
    if node is None or not has_taint(node, *settings.startup_taints):
        return False
    # Whoever removes its start-up taints has as long as a machine has to join; then its pods look elsewhere.
    return look.taken_at < ready_at + timedelta(seconds=parse_duration_seconds(settings.join_timeout))


def _coming_node(node: Node, claim: NodeClaim) -> NodeDescription:
    """A node that has joined, as it will be in service."""
    settings = claim.spec.node or NodeSettings()
    settled = settled_node(node, settings_of_template_claim(claim).template)
    return replace(
        settled,
        labels={**settled.labels, **settings.labels},
        taints=tuple(dict.fromkeys((*settled.taints, *settings.taints))),
    )


def _expected_node(look: ProvisioningSnapshot, claim: NodeClaim) -> NodeDescription | None:
    """The node of a machine that has yet to join. None when nobody knows its type any more."""
    spec, settings = claim.spec, claim.spec.node or NodeSettings()
    type_ = look.catalog.instance_types.get(spec.instance_type)
    if type_ is None:
        return None
    ground = look.grounds.get(spec.template, LaunchGround(zones=()))
    slices = _time_slices(look.templates, spec.template)
    name, zone = claim.metadata.name, claim.status.zone or spec.zone
    return NodeDescription(
        name=name,
        labels={
            **known_labels(type_, look.catalog, ground, slices),
            labels.HOSTNAME: name,
            labels.ZONE: zone,
            **settings.labels,
        },
        taints=(*ground.taints, *settings.taints),
        allocatable=room_on(type_, look.catalog, ground, settings.max_pods, slices),
    )


def _time_slices(templates: Iterable[NodeTemplate], name: str) -> int:
    return next((each.spec.nvidia_gpu_time_slices for each in templates if each.metadata.name == name), 1)


def _keep(
    claim: NodeClaim, node: ExistingNode, waiting: Mapping[str, PodAsks], promised: dict[str, str]
) -> ExistingNode:
    """Keep the places of the pods it was made for, as far as they still wait and there is still room."""
    free = dict(node.description.allocatable)
    for pod in node.pods:
        for resource, amount in pod.requirements.requests:
            free[resource] = free.get(resource, 0) - amount
    kept = []
    for named in sorted(claim.spec.decision.pods if claim.spec.decision else ()):
        for asks in _meant(named, waiting):
            requests = asks.requirements.requests
            if asks.key not in promised and all(amount <= free.get(resource, 0) for resource, amount in requests):
                for resource, amount in requests:
                    free[resource] -= amount
                kept.append(PlacedPod(asks.key, asks.requirements))
                promised[asks.key] = node.description.name
                break
    return replace(node, pods=(*node.pods, *kept))


def _meant(named: str, waiting: Mapping[str, PodAsks]) -> list[PodAsks]:
    """The pod of that name. ``default/web-*`` is one pod of workload web that had no name yet, whichever it is."""
    if named.endswith("*"):
        return [waiting[key] for key in sorted(waiting) if key.startswith(named.removesuffix("*"))]
    return [waiting[named]] if named in waiting else []


def _describe(node: Node, attach_limits: Mapping[str, int] | None, *, leaving: bool) -> NodeDescription:
    try:
        described = describe_node(node, attach_limits)
    except Invalid:
        return NodeDescription(node.metadata.name, unschedulable=True)  # of strange amounts: nobody can use it
    return replace(described, unschedulable=described.unschedulable or leaving)


def _placed(pod: Pod, compile_pod: Compile) -> PlacedPod | None:
    try:
        requirements = compile_pod(pod)
    except Invalid:
        return None
    return PlacedPod(
        pod.metadata.key,
        requirements,
        started_at=pod.status.start_time,
        terminating=pod.metadata.deletion_timestamp is not None,
    )
