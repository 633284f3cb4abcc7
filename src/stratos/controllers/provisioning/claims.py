"""Writes of claims: the machines that provisioning asks for, and those it lets go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from stratos.apis.nodeclaim import NODE_CLAIM, Decision, NodeClaim, Wanted
from stratos.apis.nodetemplate import NodeTemplate
from stratos.base.errors import NotFound
from stratos.base.ids import IdSource
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.new_objects import NewObjects
from stratos.planning.provisioning.claims import claim_manifest
from stratos.planning.provisioning.plan import NewMachine
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class ClaimWrites:
    """Every answer of the server goes into the cache, so that no plan is made without what the last one wrote."""

    def __init__(self, client: Client, claims: Cache[NodeClaim], ids: IdSource) -> None:
        self._client = client
        self._claims = claims
        self._new = NewObjects(client, NODE_CLAIM, claims, ids)

    async def ask_for(self, template: NodeTemplate, new: NewMachine) -> None:
        await self._new.create(new.template, lambda name: claim_manifest(name, template, new))

    async def answer(self, name: str, now: datetime) -> None:
        """Note in an interrupted claim that machines for its pods have been asked for."""
        claim = self._claims.get(name)
        notice = claim.spec.interruption if claim is not None else None
        if notice is not None and notice.answered_at is None:
            await self._patch(name, {"interruption": {"answeredAt": now.isoformat()}})

    async def let_go(self, claim: NodeClaim, reason: str, message: str, now: datetime) -> None:
        decision = Decision(reason=reason, message=message, at=now)
        await self._patch(claim.metadata.name, {"wanted": Wanted.GONE, "decision": msgspec.to_builtins(decision)})

    async def _patch(self, name: str, spec: dict[str, Any]) -> None:
        try:
            self._claims.observe(await self._client.patch(NODE_CLAIM, name, {"spec": spec}))
        except NotFound:
            log.debug("claim was gone already", claim=name)
