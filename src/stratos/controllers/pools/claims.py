"""Writes of claims: what a pool's plan wishes of those that are there, and the new ones it asks for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodeclasses import class_of_pool
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.base.errors import NotFound
from stratos.base.ids import IdSource
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.new_objects import NewObjects
from stratos.planning.pools.members import Departing, Mark, NewClaim, Note, Wish
from stratos.providers.contract import CapacityType
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class ClaimWrites:
    """Every answer of the server goes into the cache, so that no plan is made without what the last one wrote."""

    def __init__(self, client: Client, claims: Cache[NodeClaim], ids: IdSource) -> None:
        self._client = client
        self._claims = claims
        self._new = NewObjects(client, NODE_CLAIM, claims, ids)

    async def wish(self, wish: Wish) -> None:
        claim = self._claims.get(wish.claim)
        if claim is None:
            return
        # The number is absolute: writing it twice, or from two processes, still means one wake.
        wakes = claim.spec.wakes + 1 if wish.wake else claim.spec.wakes
        spec = {"wanted": wish.wanted, "wakes": wakes, "decision": msgspec.to_builtins(wish.decision)}
        await self._patch(wish.claim, {"spec": spec})

    async def mark(self, mark: Mark) -> None:
        since = mark.empty_since.isoformat() if mark.empty_since else None
        await self._patch(mark.claim, {"metadata": {"annotations": {labels.SCALE_DOWN_CANDIDATE_SINCE: since}}})

    async def answer(self, name: str, now: datetime) -> None:
        """Note in an interrupted claim that machines for its pods have been asked for."""
        claim = self._claims.get(name)
        if claim is not None and claim.spec.interruption is not None:
            await self._patch(name, {"spec": {"interruption": {"answeredAt": now.isoformat()}}})

    async def depart(self, departing: Departing) -> None:
        metadata = {"annotations": dict(departing.annotations)}
        departure = msgspec.to_builtins(departing.departure)
        await self._patch(departing.claim, {"metadata": metadata, "spec": {"departure": departure}})

    async def note(self, note: Note) -> None:
        await self._patch(note.claim, {"metadata": {"annotations": dict(note.annotations)}})

    async def ask_for(self, pool: NodePool, new: NewClaim) -> None:
        await self._new.create(pool.metadata.name, lambda name: _manifest(name, pool, new))

    def forget(self, pool: str) -> None:
        self._new.forget(pool)

    async def _patch(self, name: str, patch: dict[str, Any]) -> None:
        try:
            self._claims.observe(await self._client.patch(NODE_CLAIM, name, patch))
        except NotFound:
            log.debug("claim was gone already", claim=name)


def owned_by(pool: NodePool) -> dict[str, Any]:
    return {
        "apiVersion": NODE_POOL.api_version,
        "kind": NODE_POOL.kind,
        "name": pool.metadata.name,
        "uid": pool.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _manifest(name: str, pool: NodePool, new: NewClaim) -> dict[str, Any]:
    ref = class_of_pool(pool)
    spec: dict[str, Any] = {
        "pool": pool.metadata.name,
        "nodeClassRef": {"kind": ref.kind, "name": ref.name},
        "wanted": new.wanted,
        "zone": new.zone,
        "decision": msgspec.to_builtins(new.decision),
    }
    if new.replacing:
        spec["capacityType"] = CapacityType.SPOT
    metadata = {
        "name": name,
        "labels": {labels.POOL: pool.metadata.name},
        "annotations": {labels.SPOT_REPLACING_NODE: new.replacing} if new.replacing else {},
        "finalizers": [labels.CLAIM_FINALIZER],
        "ownerReferences": [owned_by(pool)],
    }
    return {"metadata": metadata, "spec": spec}
