"""Tells Kubernetes Events about objects, behind the caller's back: recording never waits and never fails.

What happens again before it was posted is counted, what cannot be posted is dropped with a log line, and when too much
piles up the oldest goes first. What is told for the first time is logged as well: clusters forget Events after an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stratos.apis.event import EVENT
from stratos.apis.meta import Kind, KubeObject
from stratos.base.clock import Clock
from stratos.base.errors import NotFound, StratosError
from stratos.base.ids import IdSource
from stratos.kube.client import Client
from stratos.telemetry.events import NORMAL, WARNING, CreateEvent, EventLedger, Occurrence, RepeatEvent
from stratos.telemetry.logs import EVENTS, get_logger

_PENDING_MAX = 5000
_FAREWELL_SECONDS = 5.0
_FIELDS = {"NodePool": "pool", "NodeTemplate": "template", "NodeClaim": "claim"}  # the others by their kind

log = get_logger(__name__)
event_log = get_logger(EVENTS)


class EventRecorder:
    """Record from anywhere; Events leave while `run` is running."""

    def __init__(
        self,
        client: Client,
        component: str,
        *,
        clock: Clock,
        ids: IdSource,
        speakers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._component = component
        self._clock = clock
        self._ids = ids
        self._ledger = EventLedger(component, speakers)
        self._pending: dict[Occurrence, tuple[int, datetime]] = {}  # how often, and when last
        self._numbered = 0
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        return f"events of {self._component}"

    def normal(self, kind: Kind[Any], obj: KubeObject, reason: str, message: str) -> None:
        self.record(kind, obj, NORMAL, reason, message)

    def warning(self, kind: Kind[Any], obj: KubeObject, reason: str, message: str) -> None:
        self.record(kind, obj, WARNING, reason, message)

    def record(self, kind: Kind[Any], obj: KubeObject, type_: str, reason: str, message: str) -> None:
        metadata = obj.metadata
        occurrence = Occurrence(
            api_version=kind.api_version,
            kind=kind.kind,
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            type=type_,
            reason=reason,
            message=message,
        )
        earlier, _ = self._pending.get(occurrence, (0, None))
        self._pending[occurrence] = (earlier + 1, self._clock.now())
        if len(self._pending) > _PENDING_MAX:
            lost = next(iter(self._pending))
            del self._pending[lost]
            log.warning("event dropped: too many wait", reason=lost.reason, object=f"{lost.kind}/{lost.name}")
        self._idle.clear()
        self._work.set()

    async def wait_posted(self) -> None:
        """Return once everything recorded so far has been posted or given up."""
        await self._idle.wait()

    async def run(self) -> None:
        """Post until cancelled; then post what is left, if that is quick."""
        try:
            while True:
                await self._work.wait()
                await self._post_pending()
        finally:
            try:
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._post_pending()
            except TimeoutError:
                log.warning("events left unsaid", component=self._component, count=len(self._pending))

    async def _post_pending(self) -> None:
        while self._pending:
            occurrence = next(iter(self._pending))
            times, happened_at = self._pending.pop(occurrence)
            suffix = self._suffix(self._clock.now())
            decision = self._ledger.record(occurrence, now=happened_at, suffix=suffix, times=times)
            if isinstance(decision, CreateEvent):
                event_log.info("event", **_fields(occurrence))
            try:
                await self._post(decision)
            except StratosError as error:
                log.debug("event not accepted", reason=occurrence.reason, error=error.message)
        self._work.clear()
        self._idle.set()

    def _suffix(self, now: datetime) -> str:
        """Begins with the time: Events are listed by name, and read from top to bottom."""
        self._numbered += 1
        moment = round(now.timestamp() * 1_000_000) * 1000 + self._numbered % 1000
        return f"{moment:x}{self._ids.suffix(4)}"

    async def _post(self, decision: CreateEvent | RepeatEvent) -> None:
        if isinstance(decision, RepeatEvent):
            try:
                await self._client.patch(EVENT, decision.key, decision.patch)
            except NotFound:
                decision = decision.otherwise
            else:
                return
        await self._client.create(EVENT, decision.body, namespace=decision.namespace)


def _fields(occurrence: Occurrence) -> dict[str, str]:
    name = f"{occurrence.namespace}/{occurrence.name}" if occurrence.namespace else occurrence.name
    field = _FIELDS.get(occurrence.kind, occurrence.kind.lower())
    return {field: name, "type": occurrence.type, "reason": occurrence.reason, "message": occurrence.message}
