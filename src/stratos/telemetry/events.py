"""Which Kubernetes Events to write: repeats become a count on the first one, and nobody can flood the API.

An `EventLedger` only decides; posting is `stratos.kube.recorder`'s.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

NORMAL = "Normal"
WARNING = "Warning"

_REMEMBERED = 4096  # repeats of what is older than this many others are told as new
_REPEAT_WITHIN = timedelta(minutes=50)  # servers forget Events after an hour: a patch must still find its Event
_MESSAGE_MAX = 1024  # the API refuses longer ones


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something happened to an object. ``reason`` is one CamelCase word, ``message`` a sentence."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    type: str
    reason: str
    message: str

    @property
    def same_as(self) -> tuple[str, ...]:
        """What makes two occurrences one Event with a count."""
        return (self.kind, self.namespace, self.name, self.uid, self.type, self.reason, self.message)


@dataclass(frozen=True, slots=True)
class CreateEvent:
    namespace: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RepeatEvent:
    """A merge patch for an Event that exists. If it is gone, ``otherwise`` says it anew."""

    key: str
    patch: Mapping[str, Any]
    otherwise: CreateEvent


@dataclass(frozen=True, slots=True)
class _Told:
    name: str
    count: int
    first: datetime
    last: datetime


class EventLedger:
    """Remembers what was told lately, within bounds.

    ``component`` is who speaks, and ``speakers`` who does instead of it about objects of some kinds.
    """

    def __init__(self, component: str, speakers: Mapping[str, str] | None = None) -> None:
        self._component = component
        self._speakers = speakers or {}
        self._told: OrderedDict[tuple[str, ...], _Told] = OrderedDict()

    def record(
        self, occurrence: Occurrence, *, now: datetime, suffix: str, times: int = 1
    ) -> CreateEvent | RepeatEvent:
        """What to write now that this happened ``times`` times. ``suffix`` completes the name of a new Event."""
        same = occurrence.same_as
        told = self._told.pop(same, None)
        if told is not None and now - told.last < _REPEAT_WITHIN:
            told = replace(told, count=told.count + times, last=now)
            patch = {"count": told.count, "lastTimestamp": _seconds(now)}
            decision: CreateEvent | RepeatEvent = RepeatEvent(
                key=f"{_namespace(occurrence)}/{told.name}",
                patch=patch,
                otherwise=self._create(occurrence, told),
            )
        else:
            told = _Told(name=f"{occurrence.name[:200]}.{suffix}", count=times, first=now, last=now)
            decision = self._create(occurrence, told)
        self._told[same] = told
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return decision

    def _create(self, occurrence: Occurrence, told: _Told) -> CreateEvent:
        namespace = _namespace(occurrence)
        speaker = self._speakers.get(occurrence.kind, self._component)
        involved = {
            "apiVersion": occurrence.api_version,
            "kind": occurrence.kind,
            "namespace": occurrence.namespace,
            "name": occurrence.name,
            "uid": occurrence.uid,
            "resourceVersion": occurrence.resource_version,
        }
        body = {
            "metadata": {"namespace": namespace, "name": told.name},
            "involvedObject": {name: value for name, value in involved.items() if value},
            "reason": occurrence.reason,
            "message": occurrence.message[:_MESSAGE_MAX],
            "type": occurrence.type,
            "source": {"component": speaker},
            "reportingComponent": speaker,
            "firstTimestamp": _seconds(told.first),
            "lastTimestamp": _seconds(told.last),
            "count": told.count,
        }
        return CreateEvent(namespace, body)


def _namespace(occurrence: Occurrence) -> str:
    """Events are namespaced even when what they tell of is not."""
    return occurrence.namespace or "default"


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
