"""The survey: what carries our tags in the cloud, held against the ledger.

A claim exists before its machine does, so a machine whose claim the API does not know has lost it for good: the claim
was removed by force, or the data of the cluster is not what it was. It is ended after a grace in which even an old
launch under way would have been seen. A machine whose claim has another one (or none yet, within the grace) is judged
the same way; its claim looks after itself.

A machine that another cluster of the same name launched is not ours to judge: people give names, and give them twice.

Nodes are held against it, too: one that joined when its claim had already given it up belongs to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from stratos.apis import labels
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.base.clock import Clock
from stratos.base.errors import NotFound, StratosError
from stratos.kube.controller import Manager
from stratos.kube.identity import ClusterIdentity
from stratos.providers.contract import Machine, Provider
from stratos.telemetry.logs import get_logger

_GRACE = timedelta(minutes=2)

log = get_logger(__name__)


class Inventory:
    """Add it to a manager; it surveys at once and then in its interval."""

    name = "inventory"

    def __init__(
        self,
        manager: Manager,
        provider: Provider,
        *,
        clock: Clock,
        cluster_name: str,
        interval_seconds: float = 60.0,
    ) -> None:
        self._client = manager.client
        self._claims = manager.cache(NODE_CLAIM)
        self._nodes = manager.cache(NODE)
        self._identity = ClusterIdentity(manager)
        self._strangers: frozenset[str] = frozenset()  # machines of others, as of the last survey
        self._provider = provider
        self._clock = clock
        self._cluster_name = cluster_name
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        while True:
            try:
                await self.survey()
            except StratosError as error:
                log.warning("survey failed", provider=self._provider.name, reason=error.message)
            await asyncio.sleep(self._interval_seconds)

    async def survey(self) -> tuple[str, ...]:
        """End what has no claim; the ids of the machines ended."""
        tags = {labels.TAG_MANAGED_BY: labels.MANAGED_BY, labels.TAG_CLUSTER: self._cluster_name}
        ended = []
        machines = await self._provider.list_by_tags(tags)
        await self._delete_forsaken_nodes(machines)
        for machine in self._ours(machines):
            old_enough = self._clock.now() >= machine.launched_at + _GRACE
            if not machine.state.gone and old_enough and not await self._is_claimed(machine):
                log.warning(
                    "machine without a claim is terminated", machine=machine.id, pool=machine.tags.get(labels.TAG_POOL)
                )
                if await self._end(machine):
                    ended.append(machine.id)
        return tuple(ended)

    def _ours(self, machines: Sequence[Machine]) -> list[Machine]:
        uid = self._identity.uid
        ours = [machine for machine in machines if machine.tags.get(labels.TAG_CLUSTER_UID, uid) == uid]
        strangers = frozenset(machine.id for machine in machines) - {machine.id for machine in ours}
        if new := strangers - self._strangers:
            log.warning(
                "another cluster bears our name, its machines are left alone: give each a --cluster-name of its own",
                cluster=self._cluster_name,
                machines=", ".join(sorted(new)),
            )
        self._strangers = strangers
        return ours

    async def _end(self, machine: Machine) -> bool:
        try:
            await self._provider.terminate(machine.id)
        except NotFound:
            log.debug("machine was gone already", machine=machine.id)
        except StratosError as error:  # one that somebody protected, say: the others are ended all the same
            log.warning("machine without a claim could not be terminated", machine=machine.id, reason=error.message)
            return False
        await self._delete_node_of(machine)
        return True

    async def _is_claimed(self, machine: Machine) -> bool:
        """A cache may not have heard of the claim yet: before it is denied, the server itself is asked."""
        name = machine.tags.get(labels.TAG_CLAIM, "")
        known = self._claims.get(name)
        if known is not None and known.status.instance_id == machine.id:
            return True
        try:
            claim = await self._client.get(NODE_CLAIM, name) if name else None
        except NotFound:
            claim = None
        return claim is not None and claim.status.instance_id in ("", machine.id)

    async def _delete_node_of(self, machine: Machine) -> None:
        for node in self._nodes.list():
            if node.spec.provider_id == machine.provider_id:
                await self._delete_node(node)

    async def _delete_forsaken_nodes(self, machines: Sequence[Machine]) -> None:
        """Those of our pools that have neither a machine nor a claim."""
        kept = {machine.provider_id for machine in machines if not machine.state.gone}
        kept |= {claim.status.provider_id for claim in self._claims}
        for node in self._nodes.list():
            created_at = node.metadata.creation_timestamp
            old_enough = created_at is not None and self._clock.now() >= created_at + _GRACE
            if labels.POOL in node.metadata.labels and old_enough and node.spec.provider_id not in kept:
                log.warning("node without a machine is deleted", node=node.metadata.name)
                await self._delete_node(node)

    async def _delete_node(self, node: Node) -> None:
        try:
            await self._client.delete(NODE, node.metadata.name, uid=node.metadata.uid)
        except NotFound:
            log.debug("node was gone already", node=node.metadata.name)
