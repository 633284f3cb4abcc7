"""Watches a demo from outside, through the API and at the door of the cloud, and remembers who waited how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from stratos.apis.meta import is_condition_true
from stratos.apis.nodeclaim import NodeClaim, NodeState, Wanted
from stratos.apis.pod import Pod
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.providers.simulated.cloud import CallMoment


class Path(StrEnum):
    WARM = "warm"  # on a machine that was woken from standby
    COLD = "cold"  # on a machine that was launched for it


@dataclass(frozen=True, slots=True)
class PodRecord:
    """Moments are virtual seconds since the demo began; None has not happened."""

    name: str
    created_s: float
    unschedulable_s: float | None
    bound_s: float | None
    running_s: float | None
    ready_s: float | None
    node: str
    path: Path | None

    @property
    def pending_s(self) -> float | None:
        """From created to running."""
        return None if self.running_s is None else self.running_s - self.created_s

    @property
    def served_after_s(self) -> float | None:
        """From created to ready."""
        return None if self.ready_s is None else self.ready_s - self.created_s


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    at_s: float
    what: str
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class _Seen:
    name: str
    created_s: float
    unschedulable_s: float | None = None
    bound_s: float | None = None
    running_s: float | None = None
    ready_s: float | None = None
    node: str = ""
    path: Path | None = None


class Witness:
    """``wall_seconds`` is a real clock: what the controllers themselves take is not virtual."""

    def __init__(self, pods: Cache[Pod], claims: Cache[NodeClaim], *, wall_seconds: Callable[[], float]) -> None:
        self._claims = claims
        self._wall_seconds = wall_seconds
        self._pods: dict[str, _Seen] = {}
        self._turned_unschedulable: dict[str, float] = {}  # by pod key, in wall seconds
        self._reactions_ms: list[float] = []
        self._entries: list[TimelineEntry] = []
        pods.subscribe(self._see_pod)
        claims.subscribe(self._see_claim)

    def note(self, what: str, *names: str) -> None:
        """Add to the timeline; the same thing happening to several in one second is one entry."""
        now = asyncio.get_running_loop().time()
        for position, entry in enumerate(self._entries):
            if names and entry.what == what and now - entry.at_s < 1.0:
                self._entries[position] = TimelineEntry(entry.at_s, what, (*entry.names, *names))
                return
        self._entries.append(TimelineEntry(now, what, names))

    def cloud_is_called(self, moment: CallMoment, operation: str, target: str) -> None:
        """The cloud's hook. A call made for pods ends the time that the controllers took to react to them."""
        if moment is not CallMoment.BEFORE or operation not in ("launch", "start"):
            return
        claim = next((each for each in self._claims if target in (each.status.instance_id, each.metadata.uid)), None)
        decision = claim.spec.decision if claim else None
        waiting = [self._turned_unschedulable.pop(pod, None) for pod in (decision.pods if decision else ())]
        known = [seconds for seconds in waiting if seconds is not None]
        if known:
            self._reactions_ms.append((self._wall_seconds() - max(known)) * 1000)

    def pods(self) -> tuple[PodRecord, ...]:
        return tuple(
            PodRecord(
                name=seen.name,
                created_s=seen.created_s,
                unschedulable_s=seen.unschedulable_s,
                bound_s=seen.bound_s,
                running_s=seen.running_s,
                ready_s=seen.ready_s,
                node=seen.node,
                path=seen.path,
            )
            for seen in self._pods.values()
        )

    def timeline(self) -> tuple[TimelineEntry, ...]:
        return tuple(self._entries)

    def reactions_ms(self) -> tuple[float, ...]:
        return tuple(self._reactions_ms)

    def _see_pod(self, event: CacheEvent[Pod]) -> None:
        pod, now = event.object, asyncio.get_running_loop().time()
        if event.change is Change.DELETED:
            self.note("pods gone", pod.metadata.name)
            return
        seen = self._pods.setdefault(pod.metadata.uid, _Seen(pod.metadata.name, now))
        if pod.unschedulable and seen.unschedulable_s is None:
            seen.unschedulable_s = now
            self._turned_unschedulable[pod.metadata.key] = self._wall_seconds()
            self.note("no node fits", pod.metadata.name)
        if pod.spec.node_name and seen.bound_s is None:
            seen.bound_s, seen.node = now, pod.spec.node_name
            seen.path = self._path_of(pod.spec.node_name)
            self.note("bound", pod.metadata.name)
        if pod.status.phase == "Running" and seen.running_s is None:
            seen.running_s = now
            self.note("running", pod.metadata.name)
        if is_condition_true(pod.status.conditions, "Ready") and seen.ready_s is None:
            seen.ready_s = now
            if seen.running_s != now:
                self.note("serving", pod.metadata.name)

    def _path_of(self, node: str) -> Path:
        claim = next((each for each in self._claims if each.status.node_name == node), None)
        return Path.WARM if claim is not None and claim.status.wakes_done > 0 else Path.COLD

    def _see_claim(self, event: CacheEvent[NodeClaim]) -> None:
        claim, old = event.object, event.old
        name = claim.metadata.name
        if event.change is Change.DELETED:
            self.note("machines gone", name)
            return
        if old is None:
            self.note("launched to stand by" if claim.spec.wanted is Wanted.STANDBY else "launched for pods", name)
        elif claim.spec.wanted is not old.spec.wanted:
            verbs = {
                Wanted.RUNNING: "brought into service",
                Wanted.STANDBY: "to be parked",
                Wanted.GONE: "to be replaced",
            }
            self.note(verbs[claim.spec.wanted], name)
        elif claim.status.state is not old.status.state and claim.status.state is NodeState.STANDBY:
            self.note("standing by", name)
        elif claim.status.ready_at is not None and claim.status.ready_at != old.status.ready_at:
            self.note("ready for pods", name)
