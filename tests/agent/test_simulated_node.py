"""Warm pools act on what nodes say. A simulated node must say what a real one says, when a real one says it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from agent.simulated_hosts import World, a_world, condition, wait_until
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.agent.simulated_kubelet.node_report import NetworkPlugin
from stratos.apis.labels import IMAGES_PULLED_CONDITION
from stratos.apis.lease import LEASE
from stratos.apis.node import Taint
from stratos.base.errors import NotFound
from stratos.providers.contract import ImagePullPolicy, MachineState
from stratos.testing.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_booted_machine_registers_as_the_node_it_is() -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch(
                node_labels={"team": "ci"}, node_taints=(Taint(key="gpu", effect="NoSchedule", value="yes"),)
            )
            await world.wait_ready()
            node = await world.node()

            assert node["spec"]["providerID"] == world.cloud.machine(machine_id).provider_id
            assert node["spec"]["taints"] == [{"key": "gpu", "effect": "NoSchedule", "value": "yes"}]
            assert {
                "team": "ci",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "m5.large",
                "topology.kubernetes.io/zone": "us-east-1a",
                "topology.kubernetes.io/region": "us-east-1",
            }.items() <= node["metadata"]["labels"].items()
            assert node["status"]["capacity"]["cpu"] == "2"
            assert node["status"]["allocatable"]["cpu"] == "1930m"

    run(main())


@pytest.mark.parametrize(
    ("plugin", "type_", "down", "up"),
    [
        (NetworkPlugin.CILIUM, "NetworkUnavailable", "True", "False"),
        (NetworkPlugin.EKS, "NetworkingReady", "False", "True"),
    ],
)
def test_a_node_is_ready_only_once_its_network_is_up(plugin: NetworkPlugin, type_: str, down: str, up: str) -> None:
    """The not-ready taint hangs on this condition, in the words of either network plugin."""

    async def main() -> None:
        async with a_world(kubelet=KubeletOptions(network_plugin=plugin)) as world:
            await world.launch()
            await world.wait_condition("one", type_, down)
            assert condition(await world.node(), "Ready")["status"] == "False"

            await world.wait_condition("one", type_, up)
            assert condition(await world.node(), "Ready")["status"] == "True"

    run(main())


def test_a_restarted_machine_is_not_ready_before_its_network_is_up_again() -> None:
    """The status left from before the stop must not pass for the new one."""

    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch()
            await world.wait_ready()
            before = await world.node()
            began = now()
            await world.restart(machine_id, "start-1")
            after = await world.node()

            assert after["metadata"]["uid"] == before["metadata"]["uid"]
            assert after["status"]["nodeInfo"]["bootID"] != before["status"]["nodeInfo"]["bootID"]
            assert now() - began < 70

    run(main())


def test_the_lease_is_renewed_while_the_machine_runs_and_no_longer() -> None:
    """By the renewals that stay away the cluster learns that a machine is down."""

    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch()
            await world.wait_ready()
            first = await renewed_at(world)
            await asyncio.sleep(60)
            later = await renewed_at(world)
            await world.cloud.stop(machine_id)
            await asyncio.sleep(1)
            last = await renewed_at(world)
            await asyncio.sleep(60)

            assert (later - first).total_seconds() == pytest.approx(60, abs=10)
            assert await renewed_at(world) == last

    async def renewed_at(world: World) -> datetime:
        lease = await world.client.get(LEASE, "kube-node-lease/one")
        assert lease.spec.renew_time is not None
        return lease.spec.renew_time

    run(main())


def test_listed_images_are_on_disk_before_the_node_says_so() -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch(images_to_pull=("app:1", "big:1"))
            await world.wait_condition("one", IMAGES_PULLED_CONDITION, "True")

            assert world.cloud.disk(machine_id).images == {"app:1": 200_000_000, "big:1": 30_000_000_000}
            reported = (await world.node())["status"]["images"]
            assert [image["names"] for image in reported] == [["big:1"], ["app:1"]]

    run(main())


def test_a25_an_image_that_cannot_be_pulled_is_named() -> None:
    """A failed warm-up must be told from a slow one: the reference system could only wait for its timeout."""

    async def main() -> None:
        async with a_world() as world:
            await world.launch(images_to_pull=("app:1", "none:1"))
            await world.wait_condition("one", IMAGES_PULLED_CONDITION, "False")
            pulled = condition(await world.node(), IMAGES_PULLED_CONDITION)

            assert (pulled["reason"], pulled["message"]) == ("PullFailed", "not pulled: none:1")

    run(main())


@pytest.mark.parametrize(
    ("image", "policy", "turns_off"),
    [
        ("app:1", ImagePullPolicy.REQUIRED, True),
        ("none:1", ImagePullPolicy.REQUIRED, False),
        ("none:1", ImagePullPolicy.BEST_EFFORT, True),
    ],
)
def test_a06_a_host_turns_itself_off_once_it_is_prepared(image: str, policy: ImagePullPolicy, turns_off: bool) -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch(
                images_to_pull=(image,), image_pull_policy=policy, power_off_when_ready=True
            )
            await world.wait_ready()
            await asyncio.sleep(300)

            machine = world.cloud.machine(machine_id)
            assert machine.state is (MachineState.STOPPED if turns_off else MachineState.RUNNING)
            assert machine.state_reason == ("Client.InstanceInitiatedShutdown" if turns_off else "")

    run(main())


def test_a_host_turns_itself_off_on_its_first_boot_only() -> None:
    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch(power_off_when_ready=True)
            await world.wait_state(machine_id, MachineState.STOPPED)
            await world.cloud.start(machine_id, "start-1")
            await asyncio.sleep(600)

            assert world.cloud.machine(machine_id).state is MachineState.RUNNING

    run(main())


def test_a28_what_the_boot_script_fetched_is_still_there_after_a_stop() -> None:
    """Model weights are fetched once, before the node joins, and then belong to the disk."""
    script = "#!/bin/bash\nsystemctl enable something\nsleep 20\nprefetch /models/llama 40Gi\n"

    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch(extra_script=script)
            await world.wait_ready()
            joined = now()
            await world.restart(machine_id, "start-1")

            assert joined > 20 + 40 * 2**30 / world.registry.bandwidth_bytes_per_second
            assert world.cloud.disk(machine_id).files == {"/models/llama": 40 * 2**30}

    run(main())


def test_a_script_that_powers_off_does_so_when_the_host_is_prepared() -> None:
    """Raw user data of the first generation ends like this; the node must have joined before."""

    async def main() -> None:
        async with a_world() as world:
            machine_id = await world.launch(extra_script="shutdown -h now")
            await world.wait_state(machine_id, MachineState.STOPPED)

            assert condition(await world.node(), "Ready")["status"] == "True"

    run(main())


def test_a_boot_that_hangs_never_joins() -> None:
    async def main() -> None:
        async with a_world() as world:
            world.cloud.hang_next_boots()
            machine_id = await world.launch()
            await asyncio.sleep(1800)

            assert world.cloud.machine(machine_id).state is MachineState.RUNNING
            with pytest.raises(NotFound):
                await world.node()

    run(main())


def test_the_api_server_may_be_away_while_a_host_boots() -> None:
    """Reports wait for the server; they are not lost, and nothing crashes."""

    async def main() -> None:
        async with a_world() as world:
            await world.launch()
            world.break_server()
            await asyncio.sleep(600)
            world.mend_server()

            async def joined() -> bool:
                return bool(condition(await world.node(), "Ready")["status"] == "True")

            await wait_until(joined, patience_seconds=30)

    run(main())
