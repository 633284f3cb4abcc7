"""Every controller stands on this loop: it must be called when something changed, and nothing may stop it for good."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from kube.scripted_server import ScriptedServer
from stratos.apis.meta import KubeObject
from stratos.apis.pod import POD
from stratos.base.errors import Conflict, Throttled
from stratos.kube.backoff import Backoff
from stratos.kube.client import Client
from stratos.kube.controller import Controller, Manager, Reconcile, Requeue
from stratos.kube.in_process import InProcessTransport
from stratos.telemetry.metrics import ControllerMetrics, render
from stratos.testing.virtual_time import VirtualClock, run


def a_controller(reconcile: Reconcile, **options: object) -> Controller:
    return Controller("test", reconcile, clock=VirtualClock(), rng=random.Random(1), **options)  # type: ignore[arg-type]


def a_manager(server: ScriptedServer) -> Manager:
    return Manager(Client(InProcessTransport(server.app)), rng=random.Random(1))


@asynccontextmanager
async def running(runnable: Controller | Manager) -> AsyncIterator[None]:
    task = asyncio.create_task(runnable.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def now() -> float:
    return round(asyncio.get_running_loop().time(), 3)


def test_different_keys_run_in_parallel() -> None:
    async def main() -> None:
        finished = list[tuple[str, float]]()

        async def reconcile(key: str) -> None:
            await asyncio.sleep(10)
            finished.append((key, now()))

        controller = a_controller(reconcile, workers=3)
        async with running(controller):
            for key in "abc":
                controller.enqueue(key)
            await controller.wait_idle()
        assert finished == [("a", 10), ("b", 10), ("c", 10)]

    run(main())


def test_a_failure_is_tried_again_later_and_harms_no_other_key() -> None:
    async def main() -> None:
        calls = list[tuple[str, float]]()

        async def reconcile(key: str) -> None:
            calls.append((key, now()))
            if key == "bad":
                raise ZeroDivisionError

        controller = a_controller(reconcile, workers=1, backoff=Backoff(1, 60))
        async with running(controller):
            controller.enqueue("bad")
            controller.enqueue("good")
            await asyncio.sleep(8)
        assert calls == [("bad", 0), ("good", 0), ("bad", 1), ("bad", 3), ("bad", 7)]

    run(main())


def test_after_a_success_the_next_failure_counts_as_the_first() -> None:
    async def main() -> None:
        calls = list[float]()

        async def reconcile(_: str) -> Requeue | None:
            calls.append(now())
            if len(calls) == 3:
                return Requeue(after_seconds=100)
            raise ZeroDivisionError

        controller = a_controller(reconcile, backoff=Backoff(1, 60))
        async with running(controller):
            controller.enqueue("a")
            await asyncio.sleep(104.5)
        assert calls == [0, 1, 3, 103, 104]

    run(main())


def test_a_throttling_server_names_its_own_delay() -> None:
    async def main() -> None:
        calls = list[float]()

        async def reconcile(_: str) -> None:
            calls.append(now())
            if len(calls) == 1:
                raise Throttled("slow down", retry_after_seconds=25)

        controller = a_controller(reconcile)
        async with running(controller):
            controller.enqueue("a")
            await asyncio.sleep(60)
        assert calls == [0, 25]

    run(main())


def test_a_requeue_comes_back_when_asked() -> None:
    async def main() -> None:
        calls = list[float]()

        async def reconcile(_: str) -> Requeue | None:
            calls.append(now())
            return Requeue(after_seconds=5) if len(calls) < 3 else None

        controller = a_controller(reconcile)
        async with running(controller):
            controller.enqueue("a")
            await asyncio.sleep(60)
        assert calls == [0, 5, 10]

    run(main())


def test_stopping_lets_work_under_way_finish() -> None:
    """A reconcile cut in half may leave a machine launched and not written down."""

    async def main() -> None:
        story = list[str]()

        async def reconcile(key: str) -> None:
            story.append(f"{key} begins")
            await asyncio.sleep(3)
            story.append(f"{key} ends")

        controller = a_controller(reconcile, workers=1)
        controller.enqueue("a")
        controller.enqueue("b")
        async with running(controller):
            await asyncio.sleep(1)
        assert story == ["a begins", "a ends"]

    run(main())


def test_stopping_does_not_wait_for_ever() -> None:
    async def main() -> None:
        controller = a_controller(lambda _: asyncio.sleep(3600), grace_seconds=2)
        controller.enqueue("a")
        async with running(controller):
            await asyncio.sleep(1)
        assert now() == 3

    run(main())


def test_metrics_tell_outcomes_apart() -> None:
    async def main() -> str:
        registry = CollectorRegistry()

        async def reconcile(key: str) -> Requeue | None:
            if key == "conflict":
                raise Conflict("somebody else changed it")
            if key == "crash":
                raise ZeroDivisionError
            return Requeue(60) if key == "again" else None

        controller = a_controller(reconcile, metrics=ControllerMetrics(registry), backoff=Backoff(600, 600))
        async with running(controller):
            for key in ("fine", "conflict", "crash", "again"):
                controller.enqueue(key)
            await controller.wait_idle()
        return render(registry)

    text = run(main())
    for result in ("done", "waiting", "failed", "requeued"):
        assert f'stratos_controller_reconcile_total{{controller="test",result="{result}"}} 1.0' in text


def test_a_change_of_a_watched_object_enqueues_its_old_and_its_new_owner() -> None:
    """When a pod changes hands, whoever lost it must look again too."""

    async def main() -> None:
        server, seen = ScriptedServer(), list[str]()
        server.put("pod", team="red")
        manager = a_manager(server)

        async def reconcile(key: str) -> None:
            seen.append(key)

        def team_of(pod: KubeObject) -> tuple[str, ...]:
            return (pod.metadata.labels["team"],)

        controller = a_controller(reconcile)
        controller.watch(manager.cache(POD), team_of)
        manager.add(controller)
        async with running(manager):
            await asyncio.sleep(1)
            assert seen == ["red"]
            server.put("pod", team="blue")
            await asyncio.sleep(1)
        assert sorted(seen) == ["blue", "red", "red"]

    run(main())


def test_resync_looks_at_everything_now_and_then() -> None:
    """What no watch tells (the cloud, the clock) is noticed all the same."""

    async def main() -> None:
        server, seen = ScriptedServer(), list[str]()
        server.put("one")
        server.put("two")
        manager = a_manager(server)

        async def reconcile(key: str) -> None:
            seen.append(key)

        controller = a_controller(reconcile, resync_seconds=100)
        controller.watch(manager.cache(POD))
        manager.add(controller)
        async with running(manager):
            await asyncio.sleep(1000)
        assert 9 * 2 <= len(seen) <= 12 * 2

    run(main())


def test_controllers_start_only_when_all_caches_are_synced() -> None:
    """A controller that sees no pods because they are not listed yet would scale everything down."""

    async def main() -> None:
        server, seen = ScriptedServer(), list[int]()
        server.put("one")
        server.failing_requests = 3
        manager = a_manager(server)
        pods = manager.cache(POD)

        async def reconcile(_: str) -> None:
            seen.append(len(pods))

        controller = a_controller(reconcile)
        controller.enqueue("early")
        manager.add(controller)
        async with running(manager):
            await asyncio.sleep(0.1)
            assert seen == []
            await asyncio.sleep(60)
        assert seen == [1]

    run(main())


def test_one_cache_serves_all_who_ask_for_the_same() -> None:
    async def main() -> None:
        manager = a_manager(ScriptedServer())
        by_name = {"name": lambda pod: [pod.metadata.name]}
        assert manager.cache(POD) is manager.cache(POD, indexes=by_name)
        assert manager.cache(POD) is not manager.cache(POD, namespace="kube-system")
        assert manager.cache(POD).by_index("name", "nobody") == ()

    run(main())


def test_the_crash_of_one_part_ends_all_and_is_raised() -> None:
    """Half a control plane that looks alive is worse than none."""

    class Crashing:
        name = "crashing"

        async def run(self) -> None:
            await asyncio.sleep(5)
            raise ZeroDivisionError

    async def main() -> None:
        server = ScriptedServer()
        manager = a_manager(server)
        manager.cache(POD)
        manager.add(Crashing())
        with pytest.raises(ExceptionGroup) as crash:
            await manager.run()
        assert crash.group_contains(ZeroDivisionError)
        await asyncio.sleep(2)
        assert server.streams == []

    run(main())
