"""Writes of claims: what has become of each machine, and the end of its entry."""

from __future__ import annotations

import msgspec

from stratos.apis import labels
from stratos.apis.meta import with_condition
from stratos.apis.nodeclaim import NODE_CLAIM, ClaimCondition, NodeClaim, NodeClaimStatus
from stratos.base.clock import Clock
from stratos.base.errors import NotFound
from stratos.controllers.machines.metrics import LedgerMetrics
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.codec import merge_patch
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class Ledger:
    def __init__(self, client: Client, claims: Cache[NodeClaim], *, clock: Clock, metrics: LedgerMetrics) -> None:
        self._client = client
        self._claims = claims
        self._clock = clock
        self._metrics = metrics

    def status(self, claim: NodeClaim) -> NodeClaimStatus:
        """The latest we know, our own writes included."""
        return (self._claims.get(claim.metadata.name) or claim).status

    async def record(self, claim: NodeClaim, status: NodeClaimStatus) -> None:
        before = self.status(claim)
        change = merge_patch(before, status)
        if not change:
            return
        patch = {"status": change}
        self._claims.observe(await self._client.patch(NODE_CLAIM, claim.metadata.name, patch, subresource="status"))
        self._metrics.observe(claim, before, status, self._clock.now())

    async def note(self, claim: NodeClaim, type_: ClaimCondition, status: bool | None, reason: str, text: str) -> None:
        """Set one condition afresh: its time is that of this attempt."""
        current = self.status(claim)
        others = tuple(held for held in current.conditions if held.type != type_)
        conditions = with_condition(others, type_, status, reason=reason, message=text, now=self._clock.now())
        await self.record(claim, msgspec.structs.replace(current, conditions=conditions))

    async def release(self, claim: NodeClaim) -> None:
        """Let the claim go: delete it if nobody has, then take our finalizer off."""
        name = claim.metadata.name
        try:
            if claim.metadata.deletion_timestamp is None:
                await self._client.delete(NODE_CLAIM, name, uid=claim.metadata.uid)
            left = [finalizer for finalizer in claim.metadata.finalizers if finalizer != labels.CLAIM_FINALIZER]
            await self._client.patch(NODE_CLAIM, name, {"metadata": {"finalizers": left, "uid": claim.metadata.uid}})
        except NotFound:
            log.debug("claim was gone already", claim=name)
