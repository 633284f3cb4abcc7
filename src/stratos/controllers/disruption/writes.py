"""The writes of disruption: departures into claims, taints onto nodes, surges into workloads, and all of them back.

Each can be repeated. What is read before it is written carries its resourceVersion, so that nobody's change in between
is lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.deployment import DEPLOYMENT, Deployment
from stratos.apis.node import NODE, Node, Taint
from stratos.apis.nodeclaim import NODE_CLAIM, Decision, Departure, NodeClaim, Wanted
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import POD
from stratos.apis.replicaset import REPLICA_SET, ReplicaSet
from stratos.base.errors import AlreadyExists, NotFound, Throttled
from stratos.base.ids import IdSource
from stratos.controllers.disruption.look import Lookout, surge_of
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.planning.disruption.plan import Disruption, Mark
from stratos.planning.pools.nodes import DISRUPTED_TAINT
from stratos.planning.provisioning.claims import claim_manifest
from stratos.telemetry.logs import get_logger

LOWEST_COST = "-2147483647"
log = get_logger(__name__)


class DisruptionWrites:
    """Every answer of the server goes into the cache, so that no plan is made without what the last one wrote."""

    def __init__(
        self, client: Client, seen: Lookout, claims: Cache[NodeClaim], nodes: Cache[Node], ids: IdSource
    ) -> None:
        self._client = client
        self._seen = seen
        self._claims = claims
        self._nodes = nodes
        self._ids = ids

    # Claims

    async def begin(self, disruption: Disruption, template: NodeTemplate, now: datetime) -> None:
        """Note the departure with the names of its replacements, then ask for these.

        A crash in between leaves names of which nothing comes, and the departure is taken back: none is bought twice.
        """
        names = tuple(f"{template.metadata.name}-{self._ids.suffix()}" for _ in disruption.machines)
        departure = Departure(
            reason=disruption.reason,
            message=disruption.message,
            at=now,
            replacements=tuple(sorted(names)),
            pods=len(disruption.pods),
        )
        for claim in disruption.claims:
            await self._patch_claim(claim, {"spec": {"departure": msgspec.to_builtins(departure)}})
        for name, machine in zip(names, disruption.machines, strict=True):
            try:
                self._claims.observe(await self._client.create(NODE_CLAIM, claim_manifest(name, template, machine)))
            except AlreadyExists:
                self._claims.observe(await self._client.get(NODE_CLAIM, name))

    async def mark(self, mark: Mark) -> None:
        since = mark.unneeded_since.isoformat() if mark.unneeded_since else None
        await self._patch_claim(mark.claim, {"metadata": {"annotations": {labels.UNNEEDED_SINCE: since}}})

    async def finish(self, name: str, now: datetime) -> None:
        claim = self._claims.get(name)
        departure = claim.spec.departure if claim is not None else None
        if departure is not None:
            decision = Decision(reason=departure.reason, message=departure.message, at=now)
            spec: dict[str, Any] = {"wanted": departure.then, "decision": msgspec.to_builtins(decision)}
            if departure.then is not Wanted.GONE:
                spec |= {"departure": None, "interruption": None}  # it is to serve again
            await self._patch_claim(name, {"spec": spec})

    async def give_up(self, name: str, pods: tuple[str, ...], not_before: datetime) -> None:
        """Open the node again first: a crash in between repeats this, and no closed node is forgotten."""
        claim = self._claims.get(name)
        if claim is None:
            return
        for pod in pods:
            await self._patch_pod(pod, None)
        node = self._nodes.get(claim.status.node_name)
        if node is not None:
            others = [taint for taint in node.spec.taints or () if taint.key != DISRUPTED_TAINT.key]
            await self._set_taints(node, others)
        annotations = {labels.NOT_DISRUPTED_BEFORE: not_before.isoformat(), labels.UNNEEDED_SINCE: None}
        await self._patch_claim(name, {"metadata": {"annotations": annotations}, "spec": {"departure": None}})

    async def _patch_claim(self, name: str, patch: dict[str, Any]) -> None:
        try:
            self._claims.observe(await self._client.patch(NODE_CLAIM, name, patch))
        except NotFound:
            log.debug("claim was gone already", claim=name)

    # Nodes

    async def close(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is not None and DISRUPTED_TAINT not in (node.spec.taints or ()):
            await self._set_taints(node, [*(node.spec.taints or ()), DISRUPTED_TAINT])

    async def _set_taints(self, node: Node, taints: list[Taint]) -> None:
        # The list is written whole: nobody else's taint may get lost in between.
        patch = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": msgspec.to_builtins(taints)},
        }
        try:
            self._nodes.observe(await self._client.patch(NODE, node.metadata.name, patch))
        except NotFound:
            log.debug("node was gone already", node=node.metadata.name)

    # Workloads and their pods

    async def start_surge(self, controller_uid: str, pods: tuple[str, ...]) -> None:
        """The pods first: whatever ends the surge, it is they that are given up."""
        for pod in pods:
            await self._patch_pod(pod, LOWEST_COST)
        owner = self._seen.owner(controller_uid)
        if owner is not None:
            asked = owner.spec.replicas
            await self._ask_for(owner, asked + len(pods), f"{asked}+{len(pods)}")

    async def end_surge(self, controller_uid: str) -> None:
        owner = self._seen.owner(controller_uid)
        if owner is not None and labels.SURGE in owner.metadata.annotations:
            asked, _ = surge_of(owner)
            await self._ask_for(owner, asked, None)

    async def forget_overtaken_surges(self) -> None:
        """Where somebody else changed the number meanwhile, the note is taken off: it is not to be heeded later."""
        for owner in (*self._seen.deployments, *self._seen.replica_sets):
            if labels.SURGE in owner.metadata.annotations and not surge_of(owner)[1] and not _is_copy(owner):
                await self._ask_for(owner, owner.spec.replicas, None)

    async def _ask_for(self, owner: Deployment | ReplicaSet, replicas: int, surge: str | None) -> None:
        metadata = {"resourceVersion": owner.metadata.resource_version, "annotations": {labels.SURGE: surge}}
        patch = {"metadata": metadata, "spec": {"replicas": replicas}}
        try:
            if isinstance(owner, Deployment):
                self._seen.deployments.observe(await self._client.patch(DEPLOYMENT, owner.metadata.key, patch))
            else:
                self._seen.replica_sets.observe(await self._client.patch(REPLICA_SET, owner.metadata.key, patch))
        except NotFound:
            log.debug("workload was gone already", workload=owner.metadata.key)

    async def evict(self, pod: str) -> None:
        try:
            await self._client.evict(pod)
            self._seen.pods.observe(await self._client.get(POD, pod))
        except NotFound:
            log.debug("pod was gone already", pod=pod)
        except Throttled as error:
            log.debug("eviction must wait", pod=pod, reason=error.message)

    async def _patch_pod(self, pod: str, cost: str | None) -> None:
        try:
            patch = {"metadata": {"annotations": {labels.DELETION_COST: cost}}}
            self._seen.pods.observe(await self._client.patch(POD, pod, patch))
        except NotFound:
            log.debug("pod was gone already", pod=pod)


def _is_copy(owner: Deployment | ReplicaSet) -> bool:
    """A Deployment's annotations appear on its ReplicaSets, where they mean nothing."""
    return isinstance(owner, ReplicaSet) and owner.metadata.controller is not None
