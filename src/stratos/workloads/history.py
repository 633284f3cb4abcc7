"""Keep the ControllerRevisions of one owner as planned."""

from __future__ import annotations

from typing import Any

from stratos.apis.meta import Kind, KubeObject
from stratos.apis.workload import CONTROLLER_REVISION, PodTemplate
from stratos.base.errors import AlreadyExists, Conflict
from stratos.base.selectors import LabelSelector
from stratos.workloads.revisions import Revisions, plan_revisions
from stratos.workloads.shared import Shared


class History:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._revisions = shared.cache(CONTROLLER_REVISION)

    async def keep(
        self,
        kind: Kind[Any],
        owner: KubeObject,
        selector: LabelSelector | None,
        template: PodTemplate,
        *,
        current_name: str = "",
        in_use: frozenset[str],
        limit: int,
        collision_count: int | None,
    ) -> Revisions:
        """Remember ``template`` as the newest revision, and forget what is beyond the limit."""
        known = await self._shared.claim(kind, owner, selector, self._revisions)
        revisions = plan_revisions(
            kind,
            owner,
            template,
            known,
            current_name=current_name,
            in_use=in_use,
            limit=limit,
            collision_count=collision_count,
        )
        if owner.metadata.deletion_timestamp is not None:
            return revisions
        if revisions.create is not None:
            await self._create(owner, revisions.create)
        if revisions.renumber is not None:
            await self._shared.patch(self._revisions, revisions.update, {"revision": revisions.renumber})
        for old in revisions.delete:
            await self._shared.delete(CONTROLLER_REVISION, old)
        return revisions

    async def _create(self, owner: KubeObject, body: dict[str, Any]) -> None:
        try:
            await self._shared.create(self._revisions, body)
        except AlreadyExists as error:
            # Made by an earlier attempt whose answer was lost: look at it, then plan again with it.
            key = f"{owner.metadata.namespace}/{body['metadata']['name']}"
            self._revisions.observe(await self._shared.client.get(CONTROLLER_REVISION, key))
            raise Conflict(f"controllerrevision {key} exists already") from error
