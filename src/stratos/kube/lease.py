"""Leader election by a Lease: of several replicas one leads, and it knows in time when it no longer does.

Nobody compares wall clocks. A candidate times, by its own clock, how long the record has stood still; the leader counts
its term from *before* it asked for the renewal. So the leader's term ends before any candidate may take over, even when
its last renewal was lost on the way back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stratos.apis.lease import LEASE, Lease
from stratos.apis.meta import micro_time
from stratos.base.clock import Clock
from stratos.base.errors import AlreadyExists, Conflict, NotFound, StratosError
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.client import Client
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """``renew_deadline`` must leave room below ``duration``: that is how long a leader has to fall silent."""

    duration_seconds: int = 15
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class _Sight:
    """A record that some other holder wrote, and when we first saw it so."""

    record: tuple[object, ...]
    since: float


class LeaderElector:
    """Competes for the Lease ``namespace/name`` as ``identity``; `run` calls ``lead`` while it holds it.

    When the term is lost ``lead`` is cancelled. It must end within ``duration - renew_deadline``, as controllers with
    their default grace do: after that somebody else may lead.
    """

    def __init__(
        self,
        client: Client,
        key: str,
        identity: str,
        lead: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        rng: random.Random,
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        self._client = client
        self._key = key
        self._identity = identity
        self._lead = lead
        self._clock = clock
        self._rng = rng
        self._times = times
        self._term_ends: float | None = None
        self._sight: _Sight | None = None
        self._told = ""

    @property
    def name(self) -> str:
        return f"leader election {self._key}"

    @property
    def is_leader(self) -> bool:
        """Whether one may act as leader at this very moment."""
        return self.term_left_seconds > 0

    @property
    def term_left_seconds(self) -> float:
        """How long one may act as leader from now on, if the lease is not renewed. 0 when one does not lead."""
        return max(0.0, self._term_ends - self._clock.monotonic()) if self._term_ends is not None else 0.0

    async def run(self) -> None:
        """Stand for election until cancelled. Returns when ``lead`` returns; raises what it raises."""
        try:
            while True:
                while not await self._try_to_hold():
                    await self._pause()
                log.info("leading", lease=self._key, identity=self._identity)
                if await self._lead_while_holding():
                    return
                log.warning("no longer leading", lease=self._key, identity=self._identity)
        finally:
            await self._release()

    async def _lead_while_holding(self) -> bool:
        """Lead until the term runs out (False) or the work is done (True)."""
        work = asyncio.ensure_future(self._lead())
        renewal = asyncio.create_task(self._renew_until_lost())
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            done = work.done()
        finally:
            renewal.cancel()
            work.cancel()
            results = await asyncio.gather(work, renewal, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return done

    async def _renew_until_lost(self) -> None:
        """Renew well within the term; return the moment it can no longer be trusted."""
        while self.is_leader and self._term_ends is not None:
            left = self._term_ends - self._clock.monotonic()
            try:
                async with asyncio.timeout(left):
                    await self._pause()
                    if not await self._try_to_hold():
                        continue
            except TimeoutError:
                break
        self._term_ends = None

    async def _pause(self) -> None:
        await asyncio.sleep(self._times.retry_seconds * self._rng.uniform(1.0, 1.2))

    async def _try_to_hold(self) -> bool:
        """Take the lease if it is free, or renew it if it is ours."""
        asked = self._clock.monotonic()
        try:
            held = await self._take_or_renew(asked)
        except (Conflict, AlreadyExists):
            return False  # somebody wrote in between; the next look tells whether the lease is still ours
        except StratosError as error:
            self._tell_once(error)
            return False
        self._told = ""
        self._term_ends = asked + self._times.renew_deadline_seconds if held else None
        return held

    def _tell_once(self, error: StratosError) -> None:
        """A missing right, or a missing namespace, would otherwise show as a process that waits for ever."""
        if error.message != self._told:
            self._told = error.message
            log.warning("lease out of reach", lease=self._key, identity=self._identity, reason=error.message)

    async def _take_or_renew(self, now: float) -> bool:
        try:
            lease = await self._client.get(LEASE, self._key)
        except NotFound:
            await self._create()
            return True
        spec = lease.spec
        ours = spec.holder_identity == self._identity
        if not ours and spec.holder_identity and not self._stood_still(lease, now):
            return False
        await self._write(lease, taking_over=not ours)
        return True

    def _stood_still(self, lease: Lease, now: float) -> bool:
        """Whether the holder has let its own term pass without renewing, seen by our clock."""
        spec = lease.spec
        record = (spec.holder_identity, spec.renew_time, spec.acquire_time, spec.lease_transitions)
        if self._sight is None or self._sight.record != record:
            self._sight = _Sight(record, now)
        return now - self._sight.since > (spec.lease_duration_seconds or self._times.duration_seconds)

    async def _create(self) -> None:
        namespace, _, name = self._key.rpartition("/")
        now = micro_time(self._clock.now())
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._times.duration_seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        await self._client.create(LEASE, {"metadata": {"namespace": namespace, "name": name}, "spec": spec})

    async def _write(self, lease: Lease, *, taking_over: bool) -> None:
        now = micro_time(self._clock.now())
        spec: dict[str, object] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._times.duration_seconds,
            "renewTime": now,
        }
        if taking_over:
            spec |= {"acquireTime": now, "leaseTransitions": (lease.spec.lease_transitions or 0) + 1}
        # The version makes two candidates' writes exclude each other.
        version = {"resourceVersion": lease.metadata.resource_version}
        await self._client.patch(LEASE, self._key, {"metadata": version, "spec": spec})

    async def _release(self) -> None:
        """Let the next one in at once, if we still hold it."""
        if not self.is_leader:
            return
        self._term_ends = None
        try:
            async with asyncio.timeout(self._times.retry_seconds):
                lease = await self._client.get(LEASE, self._key)
                if lease.spec.holder_identity == self._identity:
                    version = {"resourceVersion": lease.metadata.resource_version}
                    spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.patch(LEASE, self._key, {"metadata": version, "spec": spec})
        except (StratosError, TimeoutError) as error:
            log.debug("lease not released", lease=self._key, error=str(error))


class LeaderSight:
    """Whether somebody leads, as others see it: the lease was renewed within its time, by our own clock."""

    def __init__(self, leases: Cache[Lease], *, clock: Clock) -> None:
        """``leases`` holds that one lease alone."""
        self._clock = clock
        self._term_ends = float("-inf")
        leases.subscribe(self._changed)

    @property
    def somebody_leads(self) -> bool:
        return self._clock.monotonic() < self._term_ends

    def _changed(self, event: CacheEvent[Lease]) -> None:
        spec = event.object.spec
        held = event.change is not Change.DELETED and bool(spec.holder_identity)
        seconds = (spec.lease_duration_seconds or 0) if held else 0
        self._term_ends = self._clock.monotonic() + seconds
