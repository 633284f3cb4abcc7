"""Which pod is tried next: the most important first, then the one that came first.

A pod that fits nowhere is parked beside all that ask for the same, and comes back when something changed that could
help its kind, though not before its back-off is over. Now and then all are tried anyway, should a reason be missed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from stratos.planning.scheduling.requirements import PodRequirements

_BACKOFF_FIRST_SECONDS = 1.0
_BACKOFF_MAX_SECONDS = 10.0
_RETRY_ALL_SECONDS = 300.0


@dataclass(slots=True, eq=False)
class QueuedPod:
    key: str
    requirements: PodRequirements
    attempts: int = 0
    not_before: float = 0.0  # loop time: the end of its back-off
    told: tuple[str, str] | None = None  # the message and nomination that its status shows, as far as we know


class SchedulingQueue:
    def __init__(self) -> None:
        self._pods: dict[str, QueuedPod] = {}
        self._ready: list[tuple[int, int, QueuedPod]] = []  # a heap; entries that are no longer current are skipped
        self._is_ready: set[str] = set()
        self._parked: dict[PodRequirements, dict[str, QueuedPod]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._retry_all: asyncio.TimerHandle | None = None
        self._arrivals = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Pods that wait for a node, however long they still have to wait."""
        return len(self._pods)

    def __contains__(self, key: str) -> bool:
        return key in self._pods

    def requirements(self, key: str) -> PodRequirements:
        """What a pod that waits asks for."""
        return self._pods[key].requirements

    @property
    def has_ready(self) -> bool:
        """Whether `pop` would return at once."""
        return bool(self._is_ready)

    def put(self, key: str, requirements: PodRequirements) -> None:
        """A pod is new, or asks for something else than before: try it now."""
        self.remove(key)
        pod = self._pods[key] = QueuedPod(key, requirements)
        self._make_ready(pod)

    def remove(self, key: str) -> None:
        pod = self._pods.pop(key, None)
        if pod is None:
            return
        self._is_ready.discard(key)
        self._unpark(pod)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    async def pop(self) -> QueuedPod:
        """The next pod to try. It stays known here until it is removed."""
        while True:
            while self._ready:
                _, _, pod = heapq.heappop(self._ready)
                if pod.key in self._is_ready and self._pods.get(pod.key) is pod:
                    self._is_ready.discard(pod.key)
                    return pod
            self._wake.clear()
            await self._wake.wait()

    def park(self, pod: QueuedPod) -> None:
        """No node fits: keep the pod until something changes that could help."""
        if self._pods.get(pod.key) is not pod:
            return
        self._count_attempt(pod)
        self._parked.setdefault(pod.requirements, {})[pod.key] = pod
        if self._retry_all is None:
            self._retry_all = asyncio.get_running_loop().call_later(_RETRY_ALL_SECONDS, self._retry_all_parked)

    def put_back(self, pod: QueuedPod) -> None:
        """A decision came to nothing, for a reason that passes: try again after the back-off."""
        if pod.key not in self._pods:
            self._pods[pod.key] = pod
            self._count_attempt(pod)
            self._ready_after_backoff(pod)

    def activate(self, could_be_helped: Callable[[PodRequirements], bool]) -> None:
        """Try the parked pods of some kinds again; asked once for each kind."""
        for requirements in tuple(self._parked):
            if could_be_helped(requirements):
                for pod in self._parked.pop(requirements).values():
                    self._ready_after_backoff(pod)

    def close(self) -> None:
        """Let no timer outlive the scheduler."""
        for timer in self._timers.values():
            timer.cancel()
        if self._retry_all is not None:
            self._retry_all.cancel()

    def _count_attempt(self, pod: QueuedPod) -> None:
        backoff = min(_BACKOFF_MAX_SECONDS, _BACKOFF_FIRST_SECONDS * 2.0 ** min(pod.attempts, 10))
        pod.attempts += 1
        pod.not_before = asyncio.get_running_loop().time() + backoff

    def _ready_after_backoff(self, pod: QueuedPod) -> None:
        loop = asyncio.get_running_loop()
        if pod.not_before <= loop.time():
            self._make_ready(pod)
        elif pod.key not in self._timers:
            self._timers[pod.key] = loop.call_at(pod.not_before, self._backoff_over, pod)

    def _backoff_over(self, pod: QueuedPod) -> None:
        del self._timers[pod.key]
        self._make_ready(pod)

    def _make_ready(self, pod: QueuedPod) -> None:
        self._arrivals += 1
        heapq.heappush(self._ready, (-pod.requirements.priority, self._arrivals, pod))
        self._is_ready.add(pod.key)
        self._wake.set()

    def _unpark(self, pod: QueuedPod) -> None:
        kind = self._parked.get(pod.requirements)
        if kind is not None and kind.pop(pod.key, None) is not None and not kind:
            del self._parked[pod.requirements]

    def _retry_all_parked(self) -> None:
        self._retry_all = None
        self.activate(lambda _: True)
