"""What a kubelet writes to the API server. It is patient: what the server cannot take now is sent again.

An object that is gone, or that has become another one of the same name, is nobody's loss: there is nothing left to
report on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from stratos.apis.meta import Kind
from stratos.apis.pod import POD, Pod
from stratos.base.errors import AlreadyExists, Conflict, NotFound, NotReady, Throttled, Unavailable
from stratos.kube.backoff import Backoff
from stratos.kube.client import Client, PatchType
from stratos.telemetry.logs import get_logger

_RETRIES = Backoff(first_seconds=0.5, max_seconds=10)

log = get_logger(__name__)


class Writes:
    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client = client
        self._rng = rng

    async def patch_pod_status(self, pod: Pod, status: dict[str, Any]) -> None:
        # The uid makes the server refuse when a new pod has taken the name.
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": status}
        await self._until_taken(
            lambda: self._client.patch(
                POD, pod.metadata.key, patch, type=PatchType.STRATEGIC, subresource="status", field_manager="kubelet"
            )
        )

    async def delete_pod(self, pod: Pod) -> None:
        """The last word about a pod: its containers are gone, and so may the object be."""
        await self._until_taken(
            lambda: self._client.delete(POD, pod.metadata.key, grace_seconds=0, uid=pod.metadata.uid)
        )

    async def append_log(self, key: str, container: str, text: str, *, restarted: bool) -> None:
        """Hand over what a container printed. A server that keeps no logs for its nodes says no, and may."""
        query = {"container": container, "restarted": str(restarted).lower()}
        namespace, _, name = key.partition("/")
        path = POD.path(namespace, name, "log")

        async def send() -> None:
            headers = {"content-type": "text/plain"}
            await self._client.transport.request("POST", path, query=query, headers=headers, body=text.encode())

        await self._until_taken(send)

    async def create_or_patch(
        self, kind: Kind[Any], key: str, new: dict[str, Any], patch: dict[str, Any], *, namespace: str | None = None
    ) -> None:
        """Change the object, or make it if there is none."""

        async def write() -> None:
            try:
                await self._client.patch(kind, key, patch, field_manager="kubelet")
            except NotFound:
                await self._client.create(kind, new, namespace=namespace, field_manager="kubelet")

        await self._until_taken(write)

    async def patch(
        self,
        kind: Kind[Any],
        key: str,
        patch: dict[str, Any],
        *,
        subresource: str | None = None,
        strategic: bool = False,
    ) -> bool:
        """Whether the object was there to be changed."""
        type_ = PatchType.STRATEGIC if strategic else PatchType.MERGE
        return await self._until_taken(
            lambda: self._client.patch(kind, key, patch, type=type_, subresource=subresource, field_manager="kubelet")
        )

    async def _until_taken(self, write: Callable[[], Awaitable[object]]) -> bool:
        failures = 0
        while True:
            try:
                await write()
            except (Unavailable, Throttled, NotReady, AlreadyExists) as error:
                failures += 1
                log.debug("the API server took no report", error=error.message, failures=failures)
                await asyncio.sleep(_RETRIES.seconds(failures, self._rng))
            except (NotFound, Conflict):
                return False
            else:
                return True
