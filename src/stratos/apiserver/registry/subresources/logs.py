"""The ``log`` subresource: what containers printed, as kubelets have told us.

Lines live in memory, a bounded number for each container, and go with their pod. A node's agent appends to them through
the same path that people read them from.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stratos.apiserver.registry.codec import decode, decode_as
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.requests import Target
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.status import bad_request
from stratos.apiserver.storage.contract import Event, Storage
from stratos.base.clock import Clock

_LINES_KEPT = 10_000
_PODS = "/registry/core/pods/"
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class LogOptions:
    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: datetime | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    at: datetime
    text: str


@dataclass(slots=True)
class _Log:
    """One container's output. Lines are numbered, so that a follower knows which it has seen."""

    lines: deque[_Line] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    before: deque[_Line] = field(default_factory=deque)  # of the container's previous run
    count: int = 0
    ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


class PodLogs:
    def __init__(self, storage: Storage, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._logs: dict[str, dict[str, _Log]] = {}  # by the pod's key, then by container
        storage.observe(_PODS, self._pod_changed)

    async def append(self, target: Target, container: str, text: str, *, restarted: bool = False) -> None:
        """Add lines. ``restarted`` says that they begin a new run of the container."""
        pod = decode_as(target.resource, await self._reader.get(target))
        log = self._log(target.key, _container_of(pod, container))
        if restarted:
            log.before = log.lines
            log.lines = deque(maxlen=_LINES_KEPT)
        now = self._clock.now()
        for line in text.splitlines():
            log.lines.append(_Line(log.count, now, line))
            log.count += 1
        log.wake()

    async def read(self, target: Target, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Opens the log, and returns its text bit by bit: all at once, and with ``follow`` whatever is added later."""
        pod = decode_as(target.resource, await self._reader.get(target))
        container = _container_of(pod, options.container)
        log = self._logs.get(target.key, {}).get(container)
        if log is None or (options.previous and not log.before):
            _check_started(pod, container, previous=options.previous)
            log = self._log(target.key, container)
        log.ended = pod.get("status", {}).get("phase") in _ENDED
        return self._text(log, options)

    async def _text(self, log: _Log, options: LogOptions) -> AsyncGenerator[bytes, None]:
        lines = self._chosen(log.before if options.previous else log.lines, options)
        text = _join(lines, options)
        yield text if options.limit_bytes is None else text[: options.limit_bytes]
        seen = log.count
        while options.follow and not options.previous:
            if log.count > seen:
                fresh = [line for line in log.lines if line.number >= seen]
                seen = log.count
                yield _join(fresh, options)
            elif log.ended:
                return
            else:
                await log.news.wait()

    def _chosen(self, lines: Iterable[_Line], options: LogOptions) -> list[_Line]:
        since = options.since_time
        if options.since_seconds is not None:
            since = self._clock.now() - timedelta(seconds=options.since_seconds)
        chosen = [line for line in lines if since is None or line.at >= since]
        if options.tail_lines is None:
            return chosen
        return chosen[-options.tail_lines :] if options.tail_lines else []

    def _log(self, key: str, container: str) -> _Log:
        return self._logs.setdefault(key, {}).setdefault(container, _Log())

    def _pod_changed(self, event: Event) -> None:
        logs = self._logs.get(event.key)
        if logs is None:
            return
        if event.value is None:
            del self._logs[event.key]
        elif decode(event.value, event.revision).get("status", {}).get("phase") not in _ENDED:
            return
        for log in logs.values():
            log.ended = True
            log.wake()


def _join(lines: Iterable[_Line], options: LogOptions) -> bytes:
    if options.timestamps:
        return "".join(f"{line.at.isoformat().replace('+00:00', 'Z')} {line.text}\n" for line in lines).encode()
    return "".join(f"{line.text}\n" for line in lines).encode()


def _container_of(pod: Obj, wanted: str) -> str:
    """The container meant: the only one, or the one the pod names, unless the request says which."""
    metadata, spec = pod["metadata"], pod["spec"]
    names = [container["name"] for container in spec["containers"]]
    others = [container["name"] for container in spec.get("initContainers") or ()]
    if wanted:
        if wanted not in names + others:
            raise bad_request(f"container {wanted} is not valid for pod {metadata['name']}")
        return wanted
    preferred = (metadata.get("annotations") or {}).get(_DEFAULT_CONTAINER)
    if preferred in names:
        return str(preferred)
    if len(names) == 1:
        return str(names[0])
    listed = " ".join(names)
    init = f" or one of the init containers: [{' '.join(others)}]" if others else ""
    raise bad_request(f"a container name must be specified for pod {metadata['name']}, choose one of: [{listed}]{init}")


def _check_started(pod: Obj, container: str, *, previous: bool) -> None:
    """Raise 400 when there can be no log yet."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {name} does not have a host assigned")
    if previous:
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    state = next((one.get("state") or {} for one in every if one.get("name") == container), {})
    if "running" not in state and "terminated" not in state:
        reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
