"""What the cloud was last seen to say about each machine.

Machines between two states are asked about every few seconds, all in one call; settled ones now and then. Whoever calls
the cloud notes what its answer implies, so that nothing is asked for twice while the cloud's own view still lags.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from stratos.apis.nodeclaim import NodeClaim
from stratos.base.clock import Clock
from stratos.base.errors import StratosError
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.planning.pools.draft import CLOUD_LAG
from stratos.providers.contract import MachineState, Provider
from stratos.snapshot.machine import Sighting
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class Sightings:
    """Sightings by claim. ``changed`` is told the name of a claim whose machine was seen in another state."""

    def __init__(
        self,
        provider: Provider,
        claims: Cache[NodeClaim],
        *,
        clock: Clock,
        poll_seconds: float,
        survey_seconds: float,
        changed: Callable[[str], None],
    ) -> None:
        self._provider = provider
        self._claims = claims
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._survey_seconds = survey_seconds
        self._changed = changed
        self._seen: dict[str, Sighting] = {}
        self._before_call: dict[str, Sighting] = {}  # what was seen before the last call; its time is that of the call
        self._followed: dict[str, None] = {}
        self._urgent: dict[str, None] = {}
        self._wake = asyncio.Event()
        claims.subscribe(self._forget_deleted)

    name = "machine sightings"

    def get(self, claim: str) -> Sighting | None:
        return self._seen.get(claim)

    def note(self, claim: str, state: MachineState | None) -> None:
        """What a call that the cloud accepted implies."""
        now = self._clock.now()
        before = self._seen.get(claim)
        self._before_call[claim] = Sighting(before.state if before else None, now)
        self._seen[claim] = Sighting(state, now)

    def follow(self, claim: str, follow: bool) -> None:
        if follow:
            if not self._followed:
                self._wake.set()  # a poll is not due yet
            self._followed[claim] = None
        else:
            self._followed.pop(claim, None)

    def look_at_once(self, claim: str) -> None:
        """The cloud says that the machine has changed: do not wait for the next poll or survey."""
        self._urgent[claim] = None
        self._wake.set()

    async def run(self) -> None:
        survey_due = self._clock.monotonic()
        while True:
            urgent, self._urgent = self._urgent, {}
            if urgent:
                await self._look([*urgent, *(claim for claim in self._followed if claim not in urgent)])
            elif self._clock.monotonic() >= survey_due:
                survey_due = self._clock.monotonic() + self._survey_seconds
                await self._look([claim.metadata.name for claim in self._claims])
            elif self._followed:
                await self._look(list(self._followed))
            await self._pause(survey_due)

    async def _pause(self, survey_due: float) -> None:
        """Until the next poll, or a survey if nobody is followed; or until there is news."""
        if self._urgent:
            return
        survey_in = survey_due - self._clock.monotonic()
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds if self._followed else max(self._poll_seconds, survey_in)):
                await self._wake.wait()

    async def _look(self, claims: list[str]) -> None:
        ids = {name: claim.status.instance_id for name in claims if (claim := self._claims.get(name)) is not None}
        ids = {name: instance_id for name, instance_id in ids.items() if instance_id}
        if not ids:
            return
        asked_at = self._clock.now()
        try:
            machines = await self._provider.describe(sorted(ids.values()))
        except StratosError as error:
            log.warning("machines could not be looked at", provider=self._provider.name, reason=error.message)
            return
        for name, instance_id in ids.items():
            machine = machines.get(instance_id)
            before = self._seen.get(name)
            sighting = Sighting(machine.state if machine else None, asked_at)
            if self._lags_behind_call(name, sighting):
                continue
            self._seen[name] = sighting
            if before is None or machine is None or before.state is not machine.state:
                self._changed(name)

    def _lags_behind_call(self, claim: str, sighting: Sighting) -> bool:
        """Whether the cloud shows what was before our last call, too soon after it to mean anything."""
        called = self._before_call.get(claim)
        if called is None:
            return False
        return sighting.at < called.at or (sighting.state is called.state and sighting.at < called.at + CLOUD_LAG)

    def _forget_deleted(self, event: CacheEvent[NodeClaim]) -> None:
        if event.change is Change.DELETED:
            self._seen.pop(event.key, None)
            self._before_call.pop(event.key, None)
            self._followed.pop(event.key, None)
