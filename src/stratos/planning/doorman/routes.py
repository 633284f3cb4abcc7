"""Which hosts the doorman answers for, and what it wakes for them: read from the annotations of Services.

One bad value never takes a whole route away: it is told of, and the default holds in its place. Only a Service without
any usable host or port, or with a target that cannot be read, has no route at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from stratos.apis.labels import (
    DOORMAN_HOLD_TIMEOUT,
    DOORMAN_HOST,
    DOORMAN_IDLE_AFTER,
    DOORMAN_MAX_HELD,
    DOORMAN_PORT,
    DOORMAN_PREFIX,
    DOORMAN_TARGET,
)
from stratos.apis.service import Service, ServicePort
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid

T = TypeVar("T")

DEFAULT_HOLD_SECONDS = 30.0
DEFAULT_IDLE_SECONDS = 300.0
DEFAULT_MAX_HELD = 1000

_KNOWN = (DOORMAN_HOST, DOORMAN_TARGET, DOORMAN_PORT, DOORMAN_IDLE_AFTER, DOORMAN_HOLD_TIMEOUT, DOORMAN_MAX_HELD)
_TARGET_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet"}
_HTTP2_PROTOCOLS = ("kubernetes.io/h2c", "grpc", "h2c", "http2")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST = re.compile(rf"\*|(\*\.)?{_LABEL}(\.{_LABEL})*")
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """The workload whose replicas a route wakes."""

    kind: str  # Deployment or StatefulSet
    namespace: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class Route:
    """One Service that the doorman stands in front of."""

    service: str  # namespace/name
    created: datetime
    hosts: tuple[str, ...]  # in lower case; ``*.`` at the front stands for one label or more, ``*`` for any host
    target: Target
    port_name: str  # of the Service's port, as its EndpointSlices call it
    http2: bool  # the backends want HTTP/2 by prior knowledge
    idle_seconds: float = DEFAULT_IDLE_SECONDS
    hold_seconds: float = DEFAULT_HOLD_SECONDS
    max_held: int = DEFAULT_MAX_HELD

    @property
    def namespace(self) -> str:
        return self.service.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a Service says to the doorman, and what of it makes no sense."""

    route: Route | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """A host that two Services want."""

    host: str
    winner: str
    loser: str


class RouteTable:
    """Finds the route of a host: the exact name first, then the longest wildcard."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Of several that want the same host the oldest Service has it, then the first by name."""
        self.conflicts: tuple[Conflict, ...] = ()
        self._by_host: dict[str, Route] = {}
        conflicts = []
        for route in sorted(routes, key=lambda route: (route.created, route.service)):
            for host in route.hosts:
                winner = self._by_host.setdefault(host, route)
                if winner is not route:
                    conflicts.append(Conflict(host, winner.service, route.service))
        self.conflicts = tuple(conflicts)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Those that have at least one host."""
        found = {route.service: route for route in self._by_host.values()}
        return tuple(found[name] for name in sorted(found))

    def find(self, authority: str) -> Route | None:
        """The route for a ``Host`` header or an ``:authority``, whose port does not matter."""
        host = host_of(authority)
        found = self._by_host.get(host)
        while found is None and host:
            host = host.partition(".")[2]
            found = self._by_host.get(f"*.{host}" if host else "*")
        return found


def host_of(authority: str) -> str:
    """The host of an authority, in lower case, without port and final dot."""
    if authority.startswith("["):  # an IPv6 address
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0].lower().rstrip(".")


def read_route(service: Service) -> Reading:
    """The route that a Service asks for. Services without a host annotation ask for nothing."""
    annotations = service.metadata.annotations
    if DOORMAN_HOST not in annotations:
        return Reading(None)
    problems = [
        f"{name} is not an annotation of the doorman; it knows {', '.join(_KNOWN)}"
        for name in sorted(annotations)
        if name.startswith(DOORMAN_PREFIX) and name not in _KNOWN
    ]
    hosts = tuple(dict.fromkeys(_hosts(annotations[DOORMAN_HOST], problems)))
    target = _target(service, problems)
    port = _port(service, problems)
    if not hosts or target is None or port is None:
        return Reading(None, tuple(problems))
    route = Route(
        service=service.metadata.key,
        created=service.metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC),
        hosts=hosts,
        target=target,
        port_name=port.name,
        http2=(port.app_protocol or "").lower() in _HTTP2_PROTOCOLS,
        idle_seconds=_value(annotations, DOORMAN_IDLE_AFTER, _seconds, DEFAULT_IDLE_SECONDS, problems),
        hold_seconds=_value(annotations, DOORMAN_HOLD_TIMEOUT, _seconds, DEFAULT_HOLD_SECONDS, problems),
        max_held=_value(annotations, DOORMAN_MAX_HELD, _count, DEFAULT_MAX_HELD, problems),
    )
    return Reading(route, tuple(problems))


def _hosts(text: str, problems: list[str]) -> Iterator[str]:
    for word in text.replace(",", " ").split():
        host = word.lower().rstrip(".")
        if _HOST.fullmatch(host):
            yield host
        else:
            problems.append(f"{DOORMAN_HOST}: {word!r} is not a host; write app.example.com, *.example.com or *")
    if not text.strip(" ,"):
        problems.append(f"{DOORMAN_HOST} names no host; write app.example.com, *.example.com or *")


def _target(service: Service, problems: list[str]) -> Target | None:
    """``Deployment/name``, ``StatefulSet/name`` or a name alone; by default the Deployment named as the Service is."""
    text = service.metadata.annotations.get(DOORMAN_TARGET, service.metadata.name).strip()
    kind, slash, name = text.rpartition("/")
    known = _TARGET_KINDS.get(kind.lower() if slash else "deployment")
    if known is None or not _NAME.fullmatch(name):
        problems.append(f"{DOORMAN_TARGET}: {text!r} is no target; write Deployment/NAME or StatefulSet/NAME")
        return None
    return Target(known, service.metadata.namespace, name)


def _port(service: Service, problems: list[str]) -> ServicePort | None:
    """The port with that name or number; by default the first TCP port."""
    ports = [port for port in service.spec.ports if port.protocol == "TCP"]
    text = service.metadata.annotations.get(DOORMAN_PORT, "").strip()
    found = next((port for port in ports if not text or text in (port.name, str(port.port))), None)
    if found is None:
        had = ", ".join(f"{port.name} {port.port}".strip() for port in ports) or "none"
        problems.append(
            f"{DOORMAN_PORT}: the Service has no TCP port {text!r}; it has {had}"
            if text
            else f"{DOORMAN_HOST}: the Service has no TCP port to send requests to"
        )
    return found


def _value(annotations: Mapping[str, str], name: str, read: Callable[[str], T], default: T, problems: list[str]) -> T:
    text = annotations.get(name)
    if text is None:
        return default
    try:
        return read(text)
    except Invalid as error:
        problems.append(f"{name}: {error.message}" + (f"; {error.hint}" if error.hint else ""))
        return default


def _seconds(text: str) -> float:
    seconds = parse_duration_seconds(text)
    if seconds < 1:
        raise Invalid(f"{text!r} is shorter than a second", hint="write a duration such as 30s or 10m")
    return seconds


def _count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise Invalid(f"{text!r} is not a positive whole number", hint="write a number such as 100")
    return int(text)
