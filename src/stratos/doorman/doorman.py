"""Follows Services, their endpoints and their workloads; keeps a gate for each route; wakes what is asked for, and puts
to sleep what nobody has asked for in a while.

HTTP is none of its business: the proxy asks it for the gate of a host, and waits there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from stratos.apis.service import ENDPOINT_SLICE, SERVICE, SERVICE_NAME_LABEL, EndpointSlice, Service
from stratos.base.clock import Clock
from stratos.base.errors import Conflict, StratosError
from stratos.base.ids import IdSource
from stratos.doorman.gate import Backend, Gate, RoomLimits, WaitingRoom
from stratos.doorman.metrics import DoormanMetrics, Outcome
from stratos.doorman.targets import WORKLOADS, Targets, Workload
from stratos.doorman.traces import Spans
from stratos.doorman.wake import Wake
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.planning.doorman import targets as steps
from stratos.planning.doorman.routes import Route, RouteTable, Target, read_route
from stratos.planning.doorman.targets import Leave, Traffic, plan_target
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_BY_SERVICE = "service"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoormanSettings:
    room: RoomLimits = field(default_factory=RoomLimits)


class Doorman:
    """Add it to a manager by making it; it works while that runs."""

    name = "doorman"

    def __init__(
        self,
        manager: Manager,
        *,
        clock: Clock,
        rng: random.Random,
        ids: IdSource,
        registry: CollectorRegistry,
        settings: DoormanSettings | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self.metrics = DoormanMetrics(registry)
        self.spans = Spans(clock, tracer_provider)
        self._client = manager.client
        self._clock = clock
        self._rng = rng
        self._room = WaitingRoom((settings or DoormanSettings()).room)
        self._gates: dict[str, Gate] = {}  # by Service
        self._of_target: dict[Target, dict[str, Gate]] = {}
        self._table: RouteTable | None = None
        self._wakes: dict[Target, tuple[Wake, asyncio.Task[None]]] = {}
        self._running = False
        self._recorder = EventRecorder(manager.client, "stratos-doorman", clock=clock, ids=ids)
        self._controller = Controller(
            "doorman", self._reconcile, clock=clock, rng=rng, workers=16, metrics=ControllerMetrics(registry)
        )
        self._services = manager.cache(SERVICE)
        self._slices = manager.cache(ENDPOINT_SLICE, indexes={_BY_SERVICE: _service_of})
        workloads = {name: manager.cache(kind) for name, kind in WORKLOADS.items()}
        self._targets = Targets(manager.client, workloads)
        for name, cache in workloads.items():
            cache.subscribe(partial(self._workload_changed, name))
        self._slices.subscribe(self._slice_changed)
        self._services.subscribe(self._service_changed)
        manager.add(self._recorder, self)

    @property
    def ready(self) -> bool:
        """Whether it knows all routes."""
        return self._running

    def gate(self, authority: str) -> Gate | None:
        """The gate of a ``Host`` header or an ``:authority``."""
        route = self._routes().find(authority)
        return None if route is None else self._gates.get(route.service)

    async def run(self) -> None:
        self._running = True
        try:
            await self._controller.run()
        finally:
            self._running = False
            for target in tuple(self._wakes):
                self._end_wake(target, reached=False)

    # What changes in the cluster

    def _service_changed(self, event: CacheEvent[Service]) -> None:
        service, key = event.object, event.key
        gone = event.change is Change.DELETED or service.metadata.deletion_timestamp is not None
        reading = read_route(service)
        before = self._gates.get(key)
        if reading.problems and (event.old is None or read_route(event.old).problems != reading.problems):
            for problem in reading.problems:
                self._recorder.warning(SERVICE, service, "InvalidDoormanAnnotation", problem)
        route = None if gone else reading.route
        if before is not None and before.route == route:
            return
        self._table = None
        if before is not None:
            del self._of_target[before.route.target][key]
        if route is not None:
            self._keep_gate(route, before)
        elif before is not None:
            before.turn_all_away(f"{key} is a route no longer", Outcome.NO_ROUTE)
            del self._gates[key]
            self.metrics.forget(key)

    def _keep_gate(self, route: Route, gate: Gate | None) -> None:
        """A route that says something else keeps its gate, with all who wait there and all who are inside."""
        if gate is None:
            gate = self._gates[route.service] = self._make_gate(route)
        gate.route = route
        self._of_target.setdefault(route.target, {})[route.service] = gate
        self._look_at(gate)
        self._controller.enqueue(_key(route.target))

    def _make_gate(self, route: Route) -> Gate:
        return Gate(
            route,
            self._room,
            clock=self._clock,
            metrics=self.metrics,
            spans=self.spans,
            knock=self._knocked,
            why=self._why_closed,
        )

    def _routes(self) -> RouteTable:
        if self._table is None:
            self._table = RouteTable(gate.route for gate in self._gates.values())
            self._tell_of_conflicts(self._table)
        return self._table

    def _tell_of_conflicts(self, table: RouteTable) -> None:
        for conflict in table.conflicts:
            service = self._services.get(conflict.loser)
            if service is not None:
                self._recorder.warning(
                    SERVICE,
                    service,
                    "DoormanHostTaken",
                    f"{conflict.host} is answered for {conflict.winner}, the older",
                )

    def _slice_changed(self, event: CacheEvent[EndpointSlice]) -> None:
        for service in _service_of(event.object):
            if gate := self._gates.get(service):
                self._look_at(gate)

    def _workload_changed(self, kind: str, event: CacheEvent[Workload]) -> None:
        metadata = event.object.metadata
        target = Target(kind, metadata.namespace, metadata.name)
        if gates := self._of_target.get(target):
            for gate in gates.values():
                self._look_at(gate)
            self._controller.enqueue(_key(target))

    def _look_at(self, gate: Gate) -> None:
        """Tell a gate what there is to let requests through to."""
        route = gate.route
        workload = self._targets.get(route.target)
        state = None if workload is None else self._targets.look(route.target, workload, self._clock.now())
        gate.see(
            tuple(_ready(route, self._slices.by_index(_BY_SERVICE, route.service))),
            asleep=state is not None and state.replicas == 0,
            closing=state is not None and state.closing_since is not None,
        )
        if gate.open:
            self._end_wake(route.target, reached=True)

    def _knocked(self, gate: Gate) -> None:
        self._controller.enqueue(_key(gate.route.target))

    def _why_closed(self, gate: Gate) -> str:
        target = gate.route.target
        if gate.trouble:
            return f"{target} could not be woken: {gate.trouble}"
        if target in self._wakes:
            return self._wakes[target][0].why(self._targets.get(target))
        return f"{target} has not been woken yet"

    # What is done about it

    async def _reconcile(self, key: str) -> Requeue | None:
        self._routes()  # whoever wrote a route that is another's is told before somebody asks for it
        target = Target(*key.split("/"))
        gates = tuple(self._of_target.get(target, {}).values())
        if not gates:
            return None
        workload = self._targets.get(target)
        if workload is None:
            self._nothing_to_wake(target, gates)
            return None
        traffic = _together(gate.traffic for gate in gates)
        now = self._clock.now()
        idle_seconds = max(gate.route.idle_seconds for gate in gates)
        seen = self._targets.look(target, workload, now)
        step = plan_target(seen, traffic, idle_seconds=idle_seconds, now=now)
        if traffic.waiting:
            self._begin_wake(target, gates)
        else:
            self._end_wake(target, reached=False)
        if isinstance(step, Leave):
            return None if step.seconds is None else Requeue(step.seconds)
        try:
            await self._targets.carry_out(target, workload, step, now)
        except Conflict:
            raise
        except StratosError as error:
            for gate in gates:
                gate.trouble = error.message
            raise
        self._carried_out(target, gates, step)
        return Requeue(0.0)

    def _carried_out(self, target: Target, gates: Iterable[Gate], step: steps.Step) -> None:
        for gate in gates:
            gate.trouble = ""
        match step:
            case steps.Wake():
                log.info("woken", target=str(target))
                self._tell(gates, "DoormanWoke", f"{target} was asked for a replica: a request waits")
                self.metrics.scalings.labels(str(target), "awake").inc()
            case steps.Sleep():
                log.info("put to sleep", target=str(target))
                self._tell(gates, "DoormanPutToSleep", f"{target} has no replicas any more: nobody asked for it")
                self.metrics.scalings.labels(str(target), "asleep").inc()
            case _:
                log.debug("marked", target=str(target), step=type(step).__name__)
        if target in self._wakes:
            self._wakes[target][0].asked()

    def _nothing_to_wake(self, target: Target, gates: Iterable[Gate]) -> None:
        """The gate still lets requests through to endpoints that others look after."""
        for gate in gates:
            if gate.traffic.waiting:
                gate.turn_all_away(f"there is no {target} to wake for {gate.route.service}", Outcome.NO_TARGET)
                service = self._services.get(gate.route.service)
                if service is not None:
                    self._recorder.warning(SERVICE, service, "DoormanTargetMissing", f"there is no {target} to wake")

    def _tell(self, gates: Iterable[Gate], reason: str, message: str) -> None:
        for gate in gates:
            if service := self._services.get(gate.route.service):
                self._recorder.normal(SERVICE, service, reason, message)

    def _begin_wake(self, target: Target, gates: Iterable[Gate]) -> None:
        if target in self._wakes:
            return
        first = next(gate for gate in gates if gate.traffic.waiting)
        service = self._services.get(first.route.service)
        wake = Wake(self._client, target, service, spans=self.spans, rng=self._rng, cause=first.cause)
        self._wakes[target] = (wake, asyncio.create_task(wake.run(), name=f"wake {target}"))

    def _end_wake(self, target: Target, *, reached: bool) -> None:
        if target in self._wakes:
            wake, task = self._wakes.pop(target)
            task.cancel()
            wake.end(reached)


def _key(target: Target) -> str:
    return f"{target.kind}/{target.key}"


def _together(all_traffic: Iterable[Traffic]) -> Traffic:
    waiting, inside, last_active = 0, 0, None
    for traffic in all_traffic:
        waiting += traffic.waiting
        inside += traffic.inside
        moments = [moment for moment in (last_active, traffic.last_active) if moment is not None]
        last_active = max(moments, default=None)
    return Traffic(waiting, inside, last_active)


def _service_of(slice_: EndpointSlice) -> Iterable[str]:
    name = slice_.metadata.labels.get(SERVICE_NAME_LABEL)
    return (f"{slice_.metadata.namespace}/{name}",) if name else ()


def _ready(route: Route, slices: Iterable[EndpointSlice]) -> Iterator[Backend]:
    for slice_ in slices:
        port = next((port.port for port in slice_.ports or () if port.name == route.port_name and port.port), None)
        if port is None or slice_.address_type == "FQDN":
            continue
        for endpoint in slice_.endpoints or ():
            if endpoint.conditions.ready is not False and endpoint.addresses:
                reference = endpoint.target_ref
                pod = f"{reference.namespace}/{reference.name}" if reference is not None else ""
                yield Backend(pod, endpoint.addresses[0], port)
