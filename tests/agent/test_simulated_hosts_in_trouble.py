"""Simulations cut, stop and delete at any moment. Whatever happened, hosts and pods must end up telling the truth."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.simulated_hosts import World, a_world, condition
from stratos.apis.pod import POD
from stratos.base.errors import StratosError
from stratos.providers.contract import MachineState
from stratos.testing.virtual_time import run

HOSTS = ("host-0", "host-1")
MISSING_IMAGE = "none:1"
COMMANDS: tuple[tuple[str, ...], ...] = ((), ("sleep", "20"), ("sh", "-c", "sleep 3; exit 1"))

hosts = st.sampled_from(HOSTS)
some_pod = st.integers(0, 9)
steps = st.one_of(
    st.tuples(
        st.just("create"),
        hosts,
        st.sampled_from(COMMANDS),
        st.sampled_from(["app:1", "app:latest", MISSING_IMAGE]),
        st.sampled_from(["Always", "OnFailure", "Never"]),
    ),
    st.tuples(st.just("delete"), some_pod),
    st.tuples(st.just("delete at once"), some_pod),
    st.tuples(st.sampled_from(["stop", "start"]), hosts),
    st.tuples(st.sampled_from(["cut the cable", "mend the cable"])),
)


async def take(world: World, machines: dict[str, str], number: int, step: tuple[Any, ...]) -> None:
    match step:
        case ("create", host, command, image, restart_policy):
            await world.create_pod(
                f"pod-{number}", node=host, command=command, image=image, restartPolicy=restart_policy
            )
        case ("delete", pod):
            await world.client.delete(POD, f"default/pod-{pod}")
        case ("delete at once", pod):
            await world.client.delete(POD, f"default/pod-{pod}", grace_seconds=0)
        case ("stop", host):
            await world.cloud.stop(machines[host])
        case ("start", host):
            await world.cloud.start(machines[host], f"start-{number}")
        case ("cut the cable",):
            world.break_server()
        case ("mend the cable",):
            world.mend_server()


async def bring_up(world: World, machine_id: str) -> None:
    while world.cloud.machine(machine_id).state is not MachineState.RUNNING:
        with suppress(StratosError):
            await world.cloud.start(machine_id, "in-the-end")
        await asyncio.sleep(5)


@given(story=st.lists(st.tuples(steps, st.floats(0, 20)), max_size=20), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_when_the_trouble_is_over_every_node_is_ready_and_every_pod_is_where_it_belongs(
    story: list[tuple[tuple[Any, ...], float]], seed: int
) -> None:
    crashes: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: crashes.append(context))
        async with a_world(seed=seed) as world:
            machines = {host: await world.launch(host) for host in HOSTS}
            await asyncio.sleep(320)
            for number, (step, pause) in enumerate(story):
                with suppress(StratosError):
                    await take(world, machines, number, step)
                await asyncio.sleep(pause)

            world.mend_server()
            for machine_id in machines.values():
                await bring_up(world, machine_id)
            await asyncio.sleep(900)

            for host in HOSTS:
                assert condition(await world.node(host), "Ready")["status"] == "True"
            async for pod in world.client.list_all(POD):
                assert pod.metadata.deletion_timestamp is None
                waits_for_image = pod.spec.containers[0].image == MISSING_IMAGE
                assert pod.status.phase in ("Running", "Succeeded", "Failed") or waits_for_image

    run(main())

    assert crashes == []
