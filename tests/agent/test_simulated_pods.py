"""Pods on simulated hosts take the time, and tell the story, that pods on real ones do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.simulated_hosts import World, a_world, condition, wait_until
from stratos.agent.simulated_kubelet.behaviour import CACHE_KEY, DURATION, EXIT_CODE, LOAD_SECONDS, STOP_SECONDS
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.pod import POD
from stratos.providers.contract import MachineState
from stratos.testing.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def a_ready_world_runs(world: World) -> str:
    machine_id = await world.launch()
    await world.wait_ready()
    return machine_id


def container_state(pod: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]
    return state


def test_a_pod_runs_with_an_address_and_all_conditions() -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("web")
            pod = await world.wait_phase("web", "Running")

            for type_ in ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"):
                assert condition(pod, type_)["status"] == "True", type_
            assert pod["status"]["podIP"].startswith("10.128.")
            assert pod["status"]["hostIP"] == "10.0.0.4"
            assert "startedAt" in container_state(pod)["running"]

    run(main())


def test_a24_an_image_is_pulled_once_for_all_the_pods_of_a_disk() -> None:
    """What standby machines are for: 30 GB take five minutes the first time, and none after a stop and a start."""

    async def main() -> None:
        async with a_world() as world:
            machine_id = await a_ready_world_runs(world)
            began = now()
            await world.create_pod("first", image="big:1")
            await world.wait_phase("first", "Running")
            cold = now() - began
            await world.client.delete(POD, "default/first")
            await world.wait_pod_gone("first")
            await world.restart(machine_id, "start-1")
            began = now()
            await world.create_pod("second", image="big:1")
            await world.wait_phase("second", "Running")
            warm = now() - began

            assert 300 < cold < 310
            assert warm < 2

    run(main())


def test_a27_a_language_model_serves_within_two_minutes_on_a_warm_machine() -> None:
    """Cold, it takes a boot, ten minutes of download and ninety seconds of loading."""
    image, load = "llama-3:70b", {LOAD_SECONDS: "90"}

    async def main() -> None:
        async with a_world() as world:
            world.registry.sizes_bytes[image] = 600 * 100_000_000  # ten minutes at 100 MB/s
            asked = now()
            machine_id = await world.launch(instance_type="g5.2xlarge")
            await world.wait_ready()
            cold = await serving(world, "cold") - asked
            await world.client.delete(POD, "default/cold")
            await world.wait_pod_gone("cold")
            await world.cloud.stop(machine_id)
            await world.wait_state(machine_id, MachineState.STOPPED)
            asked = now()
            await world.cloud.start(machine_id, "start-1")
            await world.wait_condition("one", "Ready", "False")
            await world.wait_ready()
            warm = await serving(world, "warm") - asked

            assert cold > 720
            assert warm <= 120

    async def serving(world: World, name: str) -> float:
        """When the pod is ready to serve."""
        await world.create_pod(name, image=image, annotations=load)

        async def ready() -> bool:
            return bool(condition(await world.pod(name), "Ready").get("status") == "True")

        await wait_until(ready)
        return now()

    run(main())


def test_a_missing_image_is_tried_again_with_growing_pauses() -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("broken", image="none:1")
            await world.wait_waiting("broken", "ErrImagePull")
            await world.wait_waiting("broken", "ImagePullBackOff")
            world.registry.missing.clear()
            pod = await world.wait_phase("broken", "Running")

            assert pod["status"]["containerStatuses"][0]["restartCount"] == 0

    run(main())


@pytest.mark.parametrize(
    ("command", "annotations", "phase", "exit_code", "seconds"),
    [
        (["sleep", "30"], {}, "Succeeded", 0, 30),
        (["sh", "-c", "sleep 30; exit 3"], {}, "Failed", 3, 30),
        (["/bin/sh", "-c", "sleep 1m && false"], {}, "Failed", 1, 60),
        (["python", "train.py"], {DURATION: "10m"}, "Succeeded", 0, 600),
        (["sleep", "30"], {DURATION: "5s", EXIT_CODE: "7"}, "Failed", 7, 5),
    ],
)
def test_a_command_takes_its_time_and_ends_as_it_says(
    command: list[str], annotations: dict[str, str], phase: str, exit_code: int, seconds: float
) -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("job", command=command, annotations=annotations, restartPolicy="Never")
            await world.wait_phase("job", "Running")
            began = now()
            pod = await world.wait_phase("job", phase)

            assert now() - began == pytest.approx(seconds, abs=0.5)
            assert container_state(pod)["terminated"]["exitCode"] == exit_code
            assert condition(pod, "Ready")["status"] == "False"

    run(main())


def test_a_failing_container_is_restarted_ever_more_slowly() -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("crash", command=["sh", "-c", "echo broken; exit 1"])
            pod = await world.wait_waiting("crash", "CrashLoopBackOff")
            await asyncio.sleep(60)
            later = await world.pod("crash")

            assert pod["status"]["phase"] == "Running"
            assert later["status"]["containerStatuses"][0]["restartCount"] == 2  # after 10 and 20 more seconds
            assert later["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
            assert await world.client.logs("default/crash") == "broken\n"

    run(main())


def test_on_failure_restarts_until_success_counts() -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("once", command=["sleep", "5"], restartPolicy="OnFailure")
            pod = await world.wait_phase("once", "Succeeded")

            assert pod["status"]["containerStatuses"][0]["restartCount"] == 0

    run(main())


def test_a_model_is_ready_after_it_was_loaded() -> None:
    """Ninety seconds of loading are what is left of a language model's start on a warm machine."""

    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("llm", annotations={LOAD_SECONDS: "90"})
            pod = await world.wait_phase("llm", "Running")
            assert condition(pod, "Ready")["status"] == "False"
            await asyncio.sleep(80)
            assert condition(await world.pod("llm"), "Ready")["status"] == "False"
            await asyncio.sleep(12)
            assert condition(await world.pod("llm"), "Ready")["status"] == "True"

    run(main())


def test_a19_the_second_run_on_a_disk_finds_the_cache_of_the_first() -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await a_ready_world_runs(world)
            cold = await timed(world, "cold")
            await world.restart(machine_id, "start-1")
            warm = await timed(world, "warm")

            assert cold == pytest.approx(600, abs=2)
            assert warm / cold < 0.5

    async def timed(world: World, name: str) -> float:
        began = now()
        annotations = {DURATION: "10m", CACHE_KEY: "go-modules"}
        await world.create_pod(name, annotations=annotations, image="ci:1", restartPolicy="Never")
        await world.wait_phase(name, "Running")
        began = now()
        await world.wait_phase(name, "Succeeded")
        return now() - began

    run(main())


def test_init_containers_run_in_order_before_the_main_ones() -> None:
    inits = [
        {"name": "first", "image": "app:1", "command": ["sleep", "10"]},
        {"name": "second", "image": "app:1", "command": ["sleep", "10"]},
        {"name": "proxy", "image": "app:1", "restartPolicy": "Always"},
    ]

    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            began = now()
            await world.create_pod("pod", command=["sleep", "30"], restartPolicy="Never", initContainers=inits)
            running = await world.wait_phase("pod", "Running")
            took = now() - began
            await world.wait_phase("pod", "Succeeded")

            assert took > 20
            states = {each["name"]: each["state"] for each in running["status"]["initContainerStatuses"]}
            assert states["first"]["terminated"]["finishedAt"] <= states["second"]["terminated"]["startedAt"]
            assert "running" in states["proxy"]

    run(main())


def test_a_failing_init_container_fails_a_pod_that_is_never_restarted() -> None:
    inits = [{"name": "setup", "image": "app:1", "command": ["false"]}]

    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("pod", restartPolicy="Never", initContainers=inits)
            pod = await world.wait_phase("pod", "Failed")

            assert "running" not in container_state(pod)

    run(main())


@pytest.mark.parametrize(("stop_seconds", "grace", "gone_after"), [("5", 30, 5), ("60", 20, 20)])
def test_a_deleted_pod_stops_within_its_grace_and_then_goes(stop_seconds: str, grace: int, gone_after: float) -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("web", annotations={STOP_SECONDS: stop_seconds}, terminationGracePeriodSeconds=grace)
            await world.wait_phase("web", "Running")
            began = now()
            await world.client.delete(POD, "default/web")
            await world.wait_pod_gone("web")

            assert now() - began == pytest.approx(gone_after, abs=0.5)

    run(main())


def test_a_finished_pod_can_be_deleted_too() -> None:
    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("job", command=["true"], restartPolicy="Never")
            await world.wait_phase("job", "Succeeded")
            await world.client.delete(POD, "default/job")
            await world.wait_pod_gone("job")

    run(main())


def test_a_pod_that_does_not_fit_is_refused() -> None:
    """Schedulers can be out of date; the node has the last word, and a law can watch for it."""

    async def main() -> None:
        async with a_world() as world:
            await a_ready_world_runs(world)
            await world.create_pod("first", cpu="1500m")
            await world.wait_phase("first", "Running")
            await world.create_pod("second", cpu="1500m")
            pod = await world.wait_phase("second", "Failed")
            assert pod["status"]["reason"] == "OutOfcpu"

            await world.client.delete(POD, "default/first")
            await world.wait_pod_gone("first")
            await world.create_pod("third", cpu="1500m")
            await world.wait_phase("third", "Running")

    run(main())


def test_pods_run_again_after_a_restart_of_their_machine_unless_they_must_not() -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await a_ready_world_runs(world)
            await world.create_pod("daemon")
            await world.create_pod("job", command=["sleep", "9999"], restartPolicy="Never")
            await world.wait_phase("daemon", "Running")
            await world.wait_phase("job", "Running")
            await world.restart(machine_id, "start-1")
            await asyncio.sleep(5)

            daemon, job = await world.pod("daemon"), await world.pod("job")
            assert (daemon["status"]["phase"], job["status"]["phase"]) == ("Running", "Failed")
            assert daemon["status"]["containerStatuses"][0]["restartCount"] == 1
            assert job["status"]["reason"] == "NodeRestarted"

    run(main())


def test_a_pod_deleted_while_its_machine_was_down_goes_when_it_is_back() -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await a_ready_world_runs(world)
            await world.create_pod("web")
            await world.wait_phase("web", "Running")
            await world.cloud.stop(machine_id)
            await world.client.delete(POD, "default/web")
            await asyncio.sleep(120)
            assert (await world.pod("web"))["metadata"]["deletionTimestamp"]

            await world.cloud.start(machine_id, "start-1")
            await world.wait_pod_gone("web")

    run(main())


def test_news_of_pods_that_come_while_a_machine_goes_down_harm_nobody() -> None:
    """The one watch serves all hosts: what one of them leaves unread must not end it for the others."""

    async def main() -> None:
        async with a_world() as world:
            machine_id = await a_ready_world_runs(world)
            await world.launch("two")
            await world.wait_ready("two")
            for index in range(5):
                await world.create_pod(f"pod-{index}")
            await world.cloud.stop(machine_id)
            for index in range(5, 10):
                await world.create_pod(f"pod-{index}")
            await world.create_pod("other", node="two")
            await world.wait_phase("other", "Running")

    run(main())


def test_a_pods_story_is_told_in_events_where_people_read_them() -> None:
    """`kubectl describe pod` is where everybody looks first; a simulation of a day does without."""

    async def told(**kubelet: Any) -> list[str]:
        async with a_world(kubelet=KubeletOptions(**kubelet)) as world:
            await a_ready_world_runs(world)
            for name, image in (("first", "app:1"), ("second", "app:1"), ("third", "none:1")):
                await world.create_pod(name, image=image)
                await asyncio.sleep(30)
            await world.client.delete(POD, "default/first")
            await world.wait_pod_gone("first")
            await asyncio.sleep(1)
            events = await world.client.request_json("GET", "/api/v1/events")
            return sorted(f"{event['involvedObject']['name']} {event['reason']}" for event in events["items"])

    assert run(told(tells_events=True)) == [
        *("first Created", "first Killing", "first Pulled", "first Pulling", "first Started"),
        *("second Created", "second Pulled", "second Started"),
        *("third BackOff", "third Failed", "third Failed", "third Pulling"),
    ]
    assert run(told()) == []
