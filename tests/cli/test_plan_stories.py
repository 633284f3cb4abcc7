"""`stratos plan` and `apply` on a whole cluster in virtual time: what was planned is what comes to pass."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pod_events, pods, wait_running
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.base.errors import Conflict, Invalid
from stratos.base.ids import SeededIds
from stratos.cli.manifests import Manifest
from stratos.cli.plan_cluster import Planned, apply_plan, plan_cheaper, plan_manifests
from stratos.cli.plan_file import KeptManifest, KeptPlan, new_plan
from stratos.cli.plan_report import addition_to_json, addition_to_text, rebalancing_to_json, rebalancing_to_text
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.testing.virtual_time import VirtualClock


def a_deployment(name: str, replicas: int, *, cpu: str = "1500m", gpus: int = 0, template: str = "any") -> Manifest:
    resources: dict[str, Any] = {"requests": {"cpu": cpu, "memory": "1Gi"}}
    if gpus:
        resources["limits"] = {"nvidia.com/gpu": str(gpus)}
    container = {"name": "main", "image": "app:1", "resources": resources}
    pod = {"nodeSelector": {"stratos.sh/template": template}, "containers": [container]}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
    }
    return Manifest(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}, f"{name}.yaml"
    )


async def add_ready_template(story: Story, **spec: Any) -> None:
    await add_template(story, **spec)
    await asyncio.sleep(5)  # until its class is resolved


async def planned(story: Story, *manifests: Manifest) -> tuple[Planned, KeptPlan]:
    found = await plan_manifests(story.client, VirtualClock(), manifests)
    return found, kept(story, found, manifests)


def kept(story: Story, found: Planned, manifests: Sequence[Manifest]) -> KeptPlan:
    each = [KeptManifest(manifest.obj, manifest.source) for manifest in manifests]
    return new_plan(story.now, "https://here", found.catalog, found.addition.machines, each)


async def applied(story: Story, plan: KeptPlan) -> tuple[str, ...]:
    return await apply_plan(story.client, VirtualClock(), SeededIds(random.Random(7)), plan)


async def machines_asked_for(story: Story) -> list[tuple[str, str, str]]:
    return sorted(
        (claim.spec.instance_type, claim.spec.zone, claim.spec.capacity_type) for claim in await story.claims()
    )


def test_applying_gets_exactly_the_machines_that_were_planned() -> None:
    """The promise of a plan: no more, no fewer, no others, and every pod runs on one of them."""

    async def plot(story: Story) -> None:
        await add_ready_template(story, constraints={"maxCpu": 4})
        found, plan = await planned(story, a_deployment("web", 5), a_deployment("api", 3, cpu="500m"))
        assert await story.claims() == []  # planning changes nothing

        told = await applied(story, plan)
        await wait_running(story, 8, within=300)

        offerings = [machine.candidate.offering for machine in found.addition.machines]
        assert await machines_asked_for(story) == sorted(map(tuple, offerings))
        used = {pod.spec.node_name for pod in await pods(story)}
        assert used == {claim.status.node_name for claim in await story.claims()}
        assert told[-1] == f"{len(offerings)} machines asked for, ${found.addition.cost_added_usd_per_hour:.4f}/h"

    tell(plot)


def test_pods_that_nodes_have_room_for_get_no_machine() -> None:
    """The scheduler comes first in the cluster, so it comes first in the plan."""

    async def plot(story: Story) -> None:
        await add_ready_template(story, constraints={"minCpu": 8})
        await add_deployment(story, "first", 1)
        await wait_running(story, 1, within=300)

        found, plan = await planned(story, a_deployment("second", 2))
        assert found.addition.machines == ()
        assert len(found.addition.on_nodes) == 2

        await applied(story, plan)
        await wait_running(story, 3, within=60)
        assert len(await story.claims()) == 1

    tell(plot)


def test_a_plan_that_no_longer_holds_is_refused_and_nothing_is_done() -> None:
    """Between plan and apply somebody else took the room: what was agreed to is not what would happen."""

    async def plot(story: Story) -> None:
        await add_ready_template(story, constraints={"minCpu": 8})
        await add_deployment(story, "first", 1)
        await wait_running(story, 1, within=300)
        _, plan = await planned(story, a_deployment("second", 3, cpu="2"))
        assert plan.machines == ()
        await add_deployment(story, "rival", 3, cpu="2")
        await wait_running(story, 4, within=300)
        before = await machines_asked_for(story)

        with pytest.raises(Conflict, match="the cluster has moved on since this plan was made") as caught:
            await applied(story, plan)

        assert any("planned were 0, now it would be 1" in line for line in caught.value.looked_at)
        assert await machines_asked_for(story) == before
        assert len(await pods(story)) == 4

    tell(plot)


def test_a_manifest_that_the_cluster_refuses_costs_no_machine() -> None:
    """A refusal after the machines were asked for would leave machines that nobody needs."""

    async def plot(story: Story) -> None:
        await add_ready_template(story)
        broken = a_deployment("web", 1)
        broken.obj["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        _, plan = await planned(story, broken)
        assert len(plan.machines) == 1

        with pytest.raises(Invalid, match=r"web\.yaml: deployment/web was refused"):
            await applied(story, plan)

        assert await story.claims() == []

    tell(plot)


def test_more_replicas_of_what_runs_already_are_planned_for_alone() -> None:
    """The others have their machines."""

    async def plot(story: Story) -> None:
        await add_ready_template(story, constraints={"maxCpu": 2})
        _, plan = await planned(story, a_deployment("web", 1))
        await applied(story, plan)
        await wait_running(story, 1, within=300)

        found, _ = await planned(story, a_deployment("web", 3))
        assert len(found.addition.on_machines) == 2
        fewer, _ = await planned(story, a_deployment("web", 0))
        assert addition_to_text(fewer.addition, fewer.notes).startswith("no pods to add")

    tell(plot)


def test_pods_that_nothing_serves_are_told_why() -> None:
    """The plan is asked before anything is broken; that is the time to learn of it."""

    async def plot(story: Story) -> None:
        await add_ready_template(story, constraints={"maxCpu": 2})
        found, _ = await planned(
            story, a_deployment("large", 2, cpu="64"), a_deployment("lost", 1, template="none"), a_deployment("ok", 1)
        )
        text = addition_to_text(found.addition, found.notes)
        assert "4 pods to add: 1 on 1 new machine, 3 nowhere" in text
        assert "default/large-new-0 and 1 more:" in text
        assert "default/lost-new-0:" in text
        assert "risk: no running pod moves" in text
        assert max(map(len, text.splitlines())) <= 100
        document = addition_to_json(found.addition, found.notes)
        assert set(document["waiting"]) == {"default/large-new-0", "default/large-new-1", "default/lost-new-0"}
        assert document["cost_added_usd_per_hour"] == pytest.approx(document["machines"][0]["priceUsdPerHour"])

    tell(plot)


def test_pods_of_a_warm_pool_are_planned_onto_its_machines() -> None:
    """Where a machine stands by, none is bought."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=1)
        pool_pod: dict[str, Any] = {
            "nodeSelector": {"stratos.sh/pool": "ci"},
            "containers": [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "1"}}}],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job"}, "spec": pool_pod}
        found, _ = await planned(story, Manifest(pod, "job.yaml"))
        assert found.addition.by_pools == ("default/job",)
        assert found.addition.machines == ()

    tell(plot)


def test_d20_without_manifests_a_cheaper_set_of_machines_is_looked_for() -> None:
    """Saving, nodes and moving pods stand side by side, and nothing is done."""

    async def plot(story: Story) -> None:
        await add_ready_template(
            story, constraints={"minCpu": 16}, disruption={"policy": "Never", "minSavingPercent": 1}
        )
        await add_deployment(story, "web", 2)
        await wait_running(story, 2, within=300)
        await story.client.patch(NODE_TEMPLATE, "any", {"spec": {"constraints": {"minCpu": 2}}})

        answers = await plan_cheaper(story.client, VirtualClock())

        (document,) = rebalancing_to_json(answers)
        assert document["cost_after_usd_per_hour"] < document["cost_before_usd_per_hour"]
        assert document["pods_moved"] == 2
        text = rebalancing_to_text(answers)
        assert "% less" in text
        assert "risk: 2 running pods would move" in text
        assert len(await story.claims()) == 1

    tell(plot)


def test_templates_that_come_with_the_workload_are_planned_by() -> None:
    """The first plan of all is made for everything at once: class, template and workload."""

    async def plot(story: Story) -> None:
        ours = {"apiVersion": "stratos.sh/v1alpha1"}
        ref = {"kind": "SimNodeClass", "name": "new"}
        node_class = Manifest({**ours, "kind": "SimNodeClass", "metadata": {"name": "new"}, "spec": {}}, "new.yaml")
        spec = {"nodeClassRef": ref, "constraints": {"minCpu": 4}}
        template = Manifest({**ours, "kind": "NodeTemplate", "metadata": {"name": "any"}, "spec": spec}, "any.yaml")

        found, plan = await planned(story, node_class, template, a_deployment("web", 2))
        assert len(found.addition.on_machines) == 2

        await applied(story, plan)
        await wait_running(story, 2, within=300)
        assert len(await story.claims()) == len(plan.machines) == 1

    tell(plot)


def a_template(**constraints: Any) -> Manifest:
    spec = {"nodeClassRef": {"kind": "SimNodeClass", "name": "sim"}, "constraints": constraints}
    obj = {"apiVersion": "stratos.sh/v1alpha1", "kind": "NodeTemplate", "metadata": {"name": "any"}, "spec": spec}
    return Manifest(obj, "any.yaml")


def test_a_template_that_cannot_be_right_is_named_and_nothing_is_planned_by_it() -> None:
    """It would be refused when it is applied, and the plan would have been for nothing."""

    async def plot(story: Story) -> None:
        with pytest.raises(Invalid, match=r"any\.yaml: nodetemplate/any: spec\.constraints\.maxPrice: Expected"):
            await planned(story, a_template(maxPrice=-1), a_deployment("web", 1))
        for constraints, complaint in (
            ({"minCpu": 8, "maxCpu": 4}, "constraints.minCpu"),
            ({"instanceTypeRegexp": "(m5"}, "constraints.instanceTypeRegexp"),
        ):
            found, _ = await planned(story, a_template(**constraints), a_deployment("web", 1))
            assert found.addition.machines == ()
            assert complaint in found.addition.waiting["default/web-new-0"]

    tell(plot)


@pytest.mark.parametrize(
    ("limits", "gpus", "said"),
    [
        (ClusterLimits(cost_usd_per_hour=0.05), 0, "the cluster's cost limit"),
        (ClusterLimits(gpus=2), 1, "the cluster's GPU limit"),
    ],
    ids=["cost", "GPUs"],
)
def test_limits_of_the_whole_cluster_hold_in_a_plan_as_they_do_in_the_loop(
    limits: ClusterLimits, gpus: int, said: str
) -> None:
    """A plan of machines that the controllers would refuse to launch is no plan."""

    async def plot(story: Story) -> None:
        await add_ready_template(story, constraints={"maxCpu": 4})
        found, _ = await planned(story, a_deployment("web", 5, gpus=gpus))

        await add_deployment(story, "web", 5, cpu="1500m", memory="1Gi", gpus=gpus)
        await asyncio.sleep(120)

        offerings = [machine.candidate.offering for machine in found.addition.machines]
        assert await machines_asked_for(story) == sorted(map(tuple, offerings)) != []
        warned = {message for _, message in await pod_events(story, "NodeAddRequestWarning")}
        assert {message.partition("; ")[0] for message in found.addition.waiting.values()} == warned
        assert all(said in message for message in warned)

    tell(plot, more={"provisioning": ProvisioningSettings(limits=limits)})
