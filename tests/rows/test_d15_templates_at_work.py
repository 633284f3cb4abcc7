"""Templates on a cluster: their class, what GPUs on spot save, the default one, edits, and how few nodes they need."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pods, template, wait_running
from rows.template_world import SPARING, add_job, add_pod, job_is_done, node_of, running, wait_no_machines
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.base.errors import StratosError
from stratos.catalog.instance_type import CapacityType

EVERYWHERE = {"stratos.sh/template": "any"}


def test_d06_what_the_class_configures_is_what_is_launched() -> None:
    """Image, disk, tags and kubelet come from the class; the template chooses the type."""

    async def plot(story: Story) -> None:
        spec = {"diskSize": 40, "tags": {"team": "ml"}, "kubelet": {"maxPods": 17}, "zones": ["us-east-1c"]}
        await story.client.create(SIM_NODE_CLASS, {"metadata": {"name": "own"}, "spec": spec})
        await add_template(story, isDefault=True, nodeClassRef={"kind": "SimNodeClass", "name": "own"})
        await add_pod(story, "web")
        await story.wait_pod("Running", "web", 600)

        (machine,) = story.machines()
        assert (machine.zone, machine.tags["team"]) == ("us-east-1c", "ml")
        assert story.cloud.disk(machine.id).size_gib == 40
        assert (await node_of(story, "web")).status.capacity["pods"] == "17"

    tell(plot)


def test_d16_training_on_spot_gpus_saves_most_of_the_price() -> None:
    """Up to nine tenths, says the founding text. A trace of three jobs; what is reported is what was billed."""

    async def plot(story: Story) -> None:
        gpus = {"includeNames": ["V100", "V100-32"]}
        await add_template(story, isDefault=True, constraints={"spot": True, "isGpuOnly": True, "gpu": gpus})
        for name, number in (("small", 1), ("medium", 4), ("large", 8)):
            await add_job(story, name, cpu="4", gpus=number, seconds=600)
        for name in ("small", "medium", "large"):
            await story.wait(partial(job_is_done, story, name), 3600, every=10)
        await wait_no_machines(story)

        spot = full = 0.0
        for machine in story.cloud.machines():
            cost = story.cloud.cost_by_machine()[machine.id].machines_usd
            on_demand, rented = (
                story.cloud.catalog.offering(machine.instance_type, machine.zone, terms)
                for terms in (CapacityType.ON_DEMAND, CapacityType.SPOT)
            )
            assert on_demand is not None
            assert rented is not None
            assert machine.capacity_type is CapacityType.SPOT
            spot += cost
            full += cost * on_demand.price_usd_per_hour / rented.price_usd_per_hour
            sys.stdout.write(f"{machine.instance_type}: ${cost:.2f} billed\n")
        sys.stdout.write(f"${spot:.2f} on spot, ${full:.2f} on demand: {1 - spot / full:.0%} saved\n")
        assert 0.8 <= 1 - spot / full <= 0.95

    tell(plot, kubelets=SPARING)


def test_d18_the_default_template_stays_can_be_disabled_and_takes_the_pods_that_select_none() -> None:
    """A cluster whose last resort is deleted by mistake has pods that wait for ever."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True)
        await add_template(story, "team")
        await add_pod(story, "plain")
        await add_pod(story, "teams", nodeSelector={"stratos.sh/template": "team"})
        await wait_running(story, 2, every=5)
        assert sorted(claim.spec.template for claim in await story.claims()) == ["any", "team"]

        with pytest.raises(StratosError, match="default template"):
            await story.client.delete(NODE_TEMPLATE, "any")
        await asyncio.sleep(60)
        assert (await template(story)).metadata.deletion_timestamp is None
        assert set(await running(story)) == {"plain", "teams"}

        await story.client.patch(NODE_TEMPLATE, "any", {"spec": {"isEnabled": False}})
        await add_pod(story, "late", cpu="16")
        await asyncio.sleep(120)
        assert (await story.pod("late")).unschedulable

    tell(plot)


def test_d19_an_edit_changes_new_nodes_and_old_ones_only_when_they_are_to_be_replaced() -> None:
    """Nobody's pods move because somebody typed; whoever wants them moved says so."""

    async def plot(story: Story) -> None:
        await add_template(story, customLabels={"generation": "one"}, constraints={"maxCpu": 4})
        await add_deployment(story, "web", 1, cpu="1")
        await wait_running(story, 1, every=5)
        (old,) = {pod.spec.node_name for pod in await pods(story)}
        await story.client.patch(NODE_TEMPLATE, "any", {"spec": {"customLabels": {"generation": "two"}}})
        await add_pod(story, "new", cpu="3", nodeSelector=EVERYWHERE)
        await story.wait_pod("Running", "new", 600)
        await asyncio.sleep(600)

        assert (await node_of(story, "new")).metadata.labels["generation"] == "two"
        assert {node.metadata.name: node.metadata.labels["generation"] for node in await story.nodes()}[old] == "one"

        await story.client.patch(NODE_TEMPLATE, "any", {"spec": {"disruption": {"replaceDrifted": True}}})

        async def replaced() -> bool:
            return {node.metadata.labels["generation"] for node in await story.nodes()} == {"two"}

        await story.wait(replaced, 1800, every=5)
        await wait_running(story, 2, every=5)

    tell(plot)


def test_d25_the_same_pods_need_fewer_nodes_than_a_scheduler_that_spreads_uses() -> None:
    """Six nodes that are there all get some; a template makes as many as are needed. Both are reported."""
    used: dict[str, int] = {}

    async def spread(story: Story) -> None:
        await story.add_pool("ci", size=6, standby=6)
        await story.wait_pool(lambda pool: pool.status.standby == 6)
        for number in range(6):
            await story.add_pod(f"opener-{number}", cpu="1500m")
        await wait_running(story, 6, every=5)
        await add_deployment(story, "web", 12, cpu="100m", memory="64Mi", selector={"stratos.sh/pool": "ci"})
        await wait_running(story, 18, every=5)
        used["spread"] = len({pod.spec.node_name for pod in await pods(story) if "app" in pod.metadata.labels})

    async def packed(story: Story) -> None:
        await add_template(story)
        await add_deployment(story, "web", 12, cpu="100m", memory="64Mi")
        await wait_running(story, 12, every=5)
        used["packed"] = len({pod.spec.node_name for pod in await pods(story)})

    tell(spread)
    tell(packed)
    sys.stdout.write(f"12 pods on {used['spread']} nodes where they are spread, on {used['packed']} of ours\n")
    assert used["packed"] <= used["spread"] / 3
    assert used["spread"] == 6
