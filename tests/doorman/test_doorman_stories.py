"""What the doorman does to a cluster, in virtual time: the API is the real one, requests are made of nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doorman.doorman_world import World, a_world, until
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.labels import DOORMAN_ACTIVE_AT, DOORMAN_CLOSING_AT, DOORMAN_WOKEN_AT
from stratos.apis.pod import POD
from stratos.apis.service import SERVICE
from stratos.apis.statefulset import STATEFUL_SET
from stratos.doorman import Backend, Doorman, TurnedAway
from stratos.doorman.proxy.passage import passage
from stratos.doorman.proxy.visit import visit
from stratos.testing.virtual_time import EPOCH, VirtualClock, run

Plot = Callable[[World], Awaitable[None]]


def tell(plot: Plot) -> None:
    async def told() -> None:
        async with a_world(VirtualClock()) as world:
            await plot(world)

    run(told())


@asynccontextmanager
async def a_request(doorman: Doorman, host: str = "web.test") -> AsyncIterator[Backend]:
    """One that is under way for the length of the block."""

    async def reach(backend: Backend) -> Backend:
        return backend

    gate = doorman.gate(host)
    assert gate is not None
    async with passage(gate, 0, reach) as backend:
        yield backend


async def ask(doorman: Doorman, host: str = "web.test") -> Backend:
    async with a_request(doorman, host) as backend:
        return backend


async def known(doorman: Doorman, host: str = "web.test") -> None:
    await until(lambda: doorman.gate(host) is not None)


def test_only_what_the_doorman_woke_is_put_to_sleep() -> None:
    """A workload that somebody else started may serve others too."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service("woken", idle_after="1m")
            await world.add_service("other", replicas=2, idle_after="1m")
            await world.bring_up("other")
            await known(doorman, "other.test")
            await ask(doorman, "other.test")
            asking = asyncio.create_task(ask(doorman, "woken.test"))
            await world.wait_replicas(1, "woken")
            await world.bring_up("woken")
            await asking
            marks = (await world.deployment("woken")).metadata.annotations
            assert set(marks) >= {DOORMAN_WOKEN_AT, DOORMAN_ACTIVE_AT}

            await asyncio.sleep(90)
            assert await world.replicas("woken") == 0
            assert await world.replicas("other") == 2
            assert not (await world.deployment("woken")).metadata.annotations
            assert not (await world.deployment("other")).metadata.annotations

    tell(plot)


def test_nothing_sleeps_while_a_request_is_under_way() -> None:
    """A stream that says nothing for an hour is still somebody's."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(idle_after="1m")
            await known(doorman)
            opening = asyncio.create_task(world.wait_replicas(1))
            opening.add_done_callback(lambda _: asyncio.ensure_future(world.bring_up()))
            async with a_request(doorman):
                await asyncio.sleep(3600)
                assert await world.replicas() == 1
            ended = world.clock.now()
            await world.wait_replicas(0, within=120)
            assert timedelta(seconds=60) <= world.clock.now() - ended <= timedelta(seconds=70)

    tell(plot)


def test_one_doormans_idleness_does_not_end_anothers_traffic() -> None:
    """Each of two doormen sees half of the requests, or none of them."""

    async def plot(world: World) -> None:
        async with world.doorman(seed=1) as busy, world.doorman(seed=2) as idle:
            await world.add_service(idle_after="1m")
            await known(busy)
            await known(idle)
            asking = asyncio.create_task(ask(busy))
            await world.wait_replicas(1)
            await world.bring_up()
            await asking
            for _ in range(20):
                await asyncio.sleep(50)
                await ask(busy)
                assert await world.replicas() == 1
            await asyncio.sleep(80)
            assert await world.replicas() == 0

    tell(plot)


def test_a_new_doorman_goes_on_where_the_last_one_died() -> None:
    """What was woken before a restart would otherwise stay awake, and be paid for, for ever."""

    async def plot(world: World) -> None:
        await world.add_service(idle_after="5m")
        async with world.doorman(seed=1) as doorman:
            await known(doorman)
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.bring_up()
            await asking
        await asyncio.sleep(200)
        async with world.doorman(seed=2) as doorman:
            await known(doorman)
            assert await world.replicas() == 1
            await asyncio.sleep(120)
            assert await world.replicas() == 0

    tell(plot)


def test_a_request_that_comes_while_sleep_is_proposed_is_let_through_once_the_proposal_is_taken_back() -> None:
    """Let through at once it could land on a pod that is taken away under it."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(idle_after="1m")
            await known(doorman)
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.bring_up()
            await asking
            await world.wait_marked(DOORMAN_CLOSING_AT)
            await ask(doorman)
            assert DOORMAN_CLOSING_AT not in (await world.deployment()).metadata.annotations
            assert await world.replicas() == 1

    tell(plot)


def test_a_request_right_after_sleep_waits_for_a_new_pod_and_is_not_given_to_the_old_one() -> None:
    """Endpoints of pods that are going are listed as ready for a moment longer."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(idle_after="1m")
            await known(doorman)
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.bring_up()
            old = await asking
            await world.wait_replicas(0, within=120)  # and its endpoint stays

            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await asyncio.sleep(1)
            assert not asking.done()
            await world.bring_up()
            assert await asking != old

    tell(plot)


def test_a_stateful_set_is_woken_and_put_to_sleep_as_well() -> None:
    """Databases of test environments sleep too."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            labels = {"app": "db"}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "db:1"}]}}
            spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, "serviceName": "db"}
            await world.client.create(STATEFUL_SET, {"metadata": {"name": "db", "namespace": "default"}, "spec": spec})
            await world.add_service("db", replicas=None, target="StatefulSet/db", idle_after="1m")
            await known(doorman, "db.test")
            asking = asyncio.create_task(ask(doorman, "db.test"))
            assert await _replicas_after(world, 1) == 1
            await world.bring_up("db")
            await asking
            assert await _replicas_after(world, 90) == 0

    async def _replicas_after(world: World, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return (await world.client.get(STATEFUL_SET, "default/db")).spec.replicas

    tell(plot)


def test_two_services_of_one_workload_keep_it_awake_together() -> None:
    """A web port and a port for gRPC are two routes to the same pods."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(idle_after="1m")
            await world.add_service("rpc", replicas=None, target="Deployment/web", idle_after="10m")
            await known(doorman, "rpc.test")
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.bring_up()
            await asking
            await asyncio.sleep(540)
            assert await world.replicas() == 1
            await asyncio.sleep(80)
            assert await world.replicas() == 0

    tell(plot)


def test_bad_annotations_and_hosts_that_are_taken_are_told_of_on_the_service() -> None:
    """Who wrote them looks at the Service, not into the doorman's log."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service("first", host="shop.test")
            await world.add_service("second", host="shop.test, second.test", idle_after="soon")
            await known(doorman, "second.test")
            gate = doorman.gate("shop.test")
            assert gate is not None
            assert gate.route.service == "default/first"
            await world.wait_told("DoormanHostTaken", "shop.test is answered for default/first, the older")
            await world.wait_told(
                "InvalidDoormanAnnotation",
                "doorman.stratos.sh/idle-after: 'soon' is not a duration; "
                "write a number and a unit, such as 30s, 10m or 1h30m",
            )

    tell(plot)


def test_a_host_that_is_taken_is_told_of_before_anybody_asks_for_it() -> None:
    """Who has just written the annotation looks now, and not when the first customer comes."""

    async def plot(world: World) -> None:
        async with world.doorman():
            await world.add_service("first", host="shop.test")
            await world.add_service("second", host="shop.test")
            await world.wait_told("DoormanHostTaken", "shop.test is answered for default/first, the older")

    tell(plot)


def test_a_route_that_goes_away_takes_its_waiting_requests_with_it() -> None:
    """They would wait for something that nobody will wake any more."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service()
            await known(doorman)
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.client.delete(SERVICE, "default/web")
            with pytest.raises(TurnedAway, match="is a route no longer"):
                await asking
            assert doorman.gate("web.test") is None
            await world.add_service("next", host="web.test", replicas=None)
            await known(doorman)

    tell(plot)


def test_a_route_that_says_something_else_keeps_those_who_wait_and_those_who_are_inside() -> None:
    """Somebody changes a limit at noon: nobody at the gate must notice."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(idle_after="1m")
            await known(doorman)
            waiting = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.annotate("web", idle_after="2m")
            await asyncio.sleep(1)
            await world.bring_up()
            await waiting
            async with a_request(doorman):
                await world.annotate("web", idle_after="1m")
                await asyncio.sleep(600)
                assert await world.replicas() == 1
            await asyncio.sleep(70)
            assert await world.replicas() == 0

    tell(plot)


def test_an_api_that_refuses_is_asked_again_and_its_refusal_is_told_to_those_who_wait() -> None:
    """A missing right shows in the answer of the first request, not only in a log."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(hold_timeout="10s")
            await known(doorman)
            world.refusing = True
            with pytest.raises(TurnedAway) as turned_away:
                await ask(doorman)
            assert turned_away.value.looked_at == (
                "Deployment default/web could not be woken: patch deployments default/web: not you",
            )
            asking = asyncio.create_task(ask(doorman))
            await asyncio.sleep(1)
            world.refusing = False
            await world.wait_replicas(1)
            await world.bring_up()
            await asking

    tell(plot)


def test_a_workload_that_appears_later_is_woken_for_those_who_come_then() -> None:
    """Manifests arrive in any order."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(replicas=None)
            await known(doorman)
            began = world.clock.now()
            for _ in range(3):
                refused = await asyncio.gather(*(ask(doorman) for _ in range(20)), return_exceptions=True)
                assert {str(error) for error in refused} == {
                    "there is no Deployment default/web to wake for default/web"
                }
            assert world.clock.now() - began < timedelta(seconds=1)
            await world.add_deployment("web")
            await asyncio.sleep(1)
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.bring_up()
            await asking

    tell(plot)


def test_who_waits_too_long_is_told_what_the_pod_waits_for() -> None:
    """The scheduler knows why, and so should whoever reads the answer."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service(hold_timeout="10s")
            await known(doorman)
            began = world.clock.now()
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.add_pod("web-1")
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/2 nodes are available: 2 Insufficient cpu.",
            }
            await world.client.patch(
                POD, "default/web-1", {"status": {"conditions": [condition]}}, subresource="status"
            )
            with pytest.raises(TurnedAway) as turned_away:
                await asking
            assert world.clock.now() - began == timedelta(seconds=10)
            assert turned_away.value.message == "default/web was not ready within 10s"
            assert turned_away.value.looked_at == (
                "pod default/web-1 waits for a node: 0/2 nodes are available: 2 Insufficient cpu.",
            )

    tell(plot)


def test_one_trace_tells_of_the_wait_the_replica_the_node_and_the_first_byte() -> None:
    """Where half a minute went is seen at a glance, and from the caller's own trace."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def plot(world: World) -> None:
        async with world.doorman(tracer_provider=provider) as doorman:
            await world.add_service()
            await known(doorman)
            gate = doorman.gate("web.test")
            assert gate is not None
            onward = []

            async def request() -> None:
                with visit(
                    doorman, gate, method="GET", authority="web.test", headers={"traceparent": caller}
                ) as this_visit:

                    async def reach(backend: Backend) -> None:
                        onward.append(this_visit.ask(backend)["traceparent"])
                        await asyncio.sleep(2)
                        this_visit.answered(200)

                    async with passage(gate, 0, reach):
                        pass

            asking = asyncio.create_task(request())
            await world.wait_replicas(1)
            await asyncio.sleep(1)
            await world.add_pod("web-1")
            await asyncio.sleep(5)
            await world.client.bind("default/web-1", "node-1")
            await asyncio.sleep(3)
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            await world.client.patch(POD, "default/web-1", {"status": ready}, subresource="status")
            await asyncio.sleep(1)
            await world.bring_up()
            await asking
            assert onward[0].startswith("00-0af7651916cd43dd8448eb211c80319c-")

    tell(plot)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {span.context.trace_id for span in spans.values() if span.context} == {0x0AF7651916CD43DD8448EB211C80319C}
    seconds = {name: round(_seconds(span)) for name, span in spans.items()}
    assert seconds == {
        "request": 12,
        "hold": 10,
        "wake": 10,
        "replica asked for": 0,
        "pod made": 1,
        "node found": 5,
        "pod ready": 3,
        "reachable": 1,
        "first byte": 2,
    }
    found = spans["node found"].attributes
    assert found is not None
    assert found["k8s.node.name"] == "node-1"
    assert _parent(spans["hold"]) == _parent(spans["first byte"]) == _id(spans["request"])
    assert _parent(spans["wake"]) == _id(spans["hold"])
    started = spans["request"].start_time
    assert started is not None
    assert started >= EPOCH.timestamp() * 1e9  # the clock that came through the door, not the machine's


def _seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def _parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def test_marks_are_left_on_nothing_but_the_workload() -> None:
    """What is patched is its replicas and three annotations; the pods' template must not change, or they would roll."""

    async def plot(world: World) -> None:
        async with world.doorman() as doorman:
            await world.add_service()
            await known(doorman)
            before = await world.client.request_json("GET", DEPLOYMENT.path("default", "web"))
            asking = asyncio.create_task(ask(doorman))
            await world.wait_replicas(1)
            await world.bring_up()
            await asking
            after = await world.client.request_json("GET", DEPLOYMENT.path("default", "web"))
            assert after["spec"] == before["spec"] | {"replicas": 1}
            assert set(after["metadata"]["annotations"]) == {DOORMAN_WOKEN_AT, DOORMAN_ACTIVE_AT}

    tell(plot)
