"""GPUs on a cluster: shared in slices, limited for the whole cluster, taken when needed and given back when not."""

from __future__ import annotations

import asyncio
from typing import Any

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pod_events, pods, types_in_use, wait_running
from rows.template_world import add_job, add_pod, job_is_done, running, wait_no_machines
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import Kind, KubeObject
from stratos.apis.pod import POD
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.planning.provisioning.limits import ClusterLimits

PRIORITY_CLASS = Kind(
    group="scheduling.k8s.io",
    version="v1",
    plural="priorityclasses",
    kind="PriorityClass",
    namespaced=False,
    type=KubeObject,
)

T4 = {"instanceFamilies": {"include": ["g4dn"]}, "azs": ["us-east-1a"]}
SHARING = {"binPacking": {"nodeGPU": 2, "nodeCpu": 1, "nodeMemory": "1Gi"}, "binSelection": {"podGPUThreshold": 2}}


def test_b36_two_pods_share_one_gpu_when_it_is_sliced_and_need_two_when_not() -> None:
    """The scheduler sees the slices, so the pods really run there."""

    def plot(slices: int, shared_type: str) -> None:
        async def told(story: Story) -> None:
            settings: dict[str, Any] = {"strategy": "thresholds", "nvidiaGPUTimeSlices": slices, **SHARING}
            await add_template(story, isDefault=True, constraints=T4, **settings)
            for name in ("one", "two"):
                await add_pod(story, name, cpu="500m", gpus=1)
            await wait_running(story, 2, every=5)
            assert types_in_use(story) == [shared_type]

        tell(told)

    plot(2, "g4dn.xlarge")
    plot(1, "g4dn.12xlarge")


def test_b37_four_pods_in_slices_of_two_take_one_machine_and_not_two() -> None:
    """Slices are counted before machines are."""

    async def plot(story: Story) -> None:
        constraints = {"instanceFamilies": {"include": ["g3", "g3s"]}, "azs": ["us-east-1a"]}
        settings: dict[str, Any] = {
            "strategy": "thresholds",
            "nvidiaGPUTimeSlices": 2,
            **SHARING,
            "binPacking": {"nodeGPU": 4},
        }
        await add_template(story, isDefault=True, constraints=constraints, **settings)
        for number in range(4):
            await add_pod(story, f"pod-{number}", cpu="500m", gpus=1)

        await wait_running(story, 4, every=5)

        assert types_in_use(story) == ["g3.8xlarge"], "two GPUs, four slices"

    tell(plot)


def test_b38_the_ninth_gpu_is_refused_with_the_reason_and_comes_when_another_is_given_back() -> None:
    """A limit for the whole cluster, whatever the templates say."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True, constraints={**T4, "maxCpu": 4})
        for number in range(8):
            await add_pod(story, f"pod-{number}", cpu="1", gpus=1)
        await wait_running(story, 8, every=5)
        await add_pod(story, "ninth", cpu="1", gpus=1)
        await asyncio.sleep(120)

        assert len(story.machines()) == 8
        told = dict(await pod_events(story, "NodeAddRequestWarning"))["ninth"]
        assert told == "the cluster's GPU limit is 8, 8 of it used, and a g4dn.xlarge takes 1"

        await story.client.delete(POD, "default/pod-0")
        assert await story.wait_pod("Running", "ninth", 300) < 60
        assert story.calls()["launch"] == 8

    limits = ProvisioningSettings(limits=ClusterLimits(gpus=8))
    tell(plot, more={"provisioning": limits})


def test_b41_d15_gpu_machines_go_with_their_last_job_and_the_next_pod_gets_a_cheap_one() -> None:
    """Scale to zero: an idle GPU costs as much as a busy one, and a web server needs none."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True)
        await add_job(story, "training", completions=2, parallelism=2, cpu="1", gpus=1, seconds=600)
        await story.wait(lambda: job_is_done(story, "training"), 3600, every=5)
        assert await wait_no_machines(story, 900) >= 240

        await add_pod(story, "web")
        await story.wait_pod("Running", "web", 600)
        (machine,) = story.machines()
        assert story.cloud.catalog.instance_type(machine.instance_type).gpu is None

    tell(plot)


def test_b58_a_runner_of_one_replica_brings_the_machine_its_expression_names_and_takes_it_along() -> None:
    """Model runners that are scaled between none and one: ``g2-standard-16`` is all that is said about the machine."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True)
        await add_deployment(
            story, "runner", 0, cpu="8", memory="32Gi", gpus=1, selector={"stratos.sh/template": "any"}
        )
        note = {"node.elotl.co/instance-type-regexp": "g2-standard-16"}
        template = {"spec": {"template": {"metadata": {"annotations": note}}}}
        await story.client.patch(DEPLOYMENT, "default/runner", template)
        for _ in range(2):
            await story.client.patch_scale(DEPLOYMENT, "default/runner", 1)
            await wait_running(story, 1, every=5)
            assert types_in_use(story) == ["g2-standard-16"]
            await story.client.patch_scale(DEPLOYMENT, "default/runner", 0)
            await wait_no_machines(story, 1200)
        assert story.calls()["launch"] == 2

    tell(plot, more={"catalog": "gcp/us-central1"})


def test_b30_a_selected_machine_that_became_free_takes_the_next_pod_of_its_kind() -> None:
    """It is paid for, and it is there at once."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True, strategy="thresholds")
        await add_job(story, "first", cpu="3", seconds=60)
        await story.wait(lambda: job_is_done(story, "first"), 900, every=5)
        await asyncio.sleep(60)

        await add_pod(story, "second", cpu="3")

        assert await story.wait_pod("Running", "second", 600) < 30
        assert story.calls()["launch"] == 1

    tell(plot)


def test_b60_machines_whose_pods_vanish_while_they_boot_are_given_back() -> None:
    """Somebody changes their mind in the middle of a scale-up: what came too late goes again."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True, constraints={"maxCpu": 8})
        await add_deployment(story, "web", 12, cpu="6", memory="8Gi", selector={"stratos.sh/template": "any"})
        await asyncio.sleep(20)
        bought = len(story.machines())
        await story.client.patch_scale(DEPLOYMENT, "default/web", 2)

        async def no_more_than_needed() -> bool:
            nodes = set((await running(story)).values())
            claims = await story.claims()
            return len(await pods(story)) == 2 and {claim.status.node_name for claim in claims} == nodes

        await story.wait(no_more_than_needed, 1800, every=5)
        assert len(story.machines()) < bought == 12

    tell(plot)


def test_b50_a_pause_pod_gives_way_at_once_and_gets_a_machine_of_its_own_again() -> None:
    """Over-provisioning: pods of negative priority keep a machine warm for whoever really needs it."""

    async def plot(story: Story) -> None:
        metadata = {"name": "pause"}
        await story.client.create(PRIORITY_CLASS, {"metadata": metadata, "value": -10, "globalDefault": False})
        await add_template(story, isDefault=True, constraints={"instanceFamilies": {"include": ["c6a"]}, "maxCpu": 4})
        everywhere = {"stratos.sh/template": "any"}
        await add_deployment(story, "pause", 1, cpu="3", memory="2Gi", selector=everywhere, priorityClassName="pause")
        await wait_running(story, 1, every=5)
        (held,) = set((await running(story)).values())

        await add_pod(story, "real", cpu="3", memory="2Gi")

        assert await story.wait_pod("Running", "real", 600) < 45
        assert (await running(story))["real"] == held
        await wait_running(story, 2, every=5)
        assert len(set((await running(story)).values())) == 2, "the machine that is kept warm was replaced"

    tell(plot)
