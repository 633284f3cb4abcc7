"""Plans made at the same time, from the same look at the cluster: what is launched of all that they ask for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import ANY, add_template, template
from stratos.apis.nodeclaim import NODE_CLAIM, OVER_LIMIT, NodeClaim
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.client import Client
from stratos.planning.packing.pack import Effort
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.claims import claim_manifest
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.providers.simulated.cloud import CallMoment
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot
from stratos.testing.provisioning_builders import a_look, a_waiting_pod

PLANS = 50
NEVER: Mapping[str, Any] = {"policy": "Never"}  # nobody runs on these machines, and still they stay


class Meter:
    """Reads whenever the cloud does something how much of it there is, and hears what claims are told."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.most_usd_per_hour = 0.0
        self.most_gpus = 0.0
        self.let_go: dict[str, str] = {}  # claim → why it is one too many
        story.cloud.fault_hook = self._read

    def _read(self, moment: CallMoment, operation: str, target: str) -> None:
        machines = self._story.machines()
        types = [self._story.cloud.catalog.instance_types[machine.instance_type] for machine in machines]
        cost = sum(machine.price_usd_per_hour or 0.0 for machine in machines)
        self.most_usd_per_hour = max(self.most_usd_per_hour, cost)
        self.most_gpus = max(self.most_gpus, sum(type_.gpu.count for type_ in types if type_.gpu is not None))

    def claim_changed(self, event: CacheEvent[NodeClaim]) -> None:
        decision = event.object.spec.decision
        if decision is not None and decision.reason == OVER_LIMIT:
            self.let_go[event.key] = decision.message


@asynccontextmanager
async def metered(story: Story) -> AsyncGenerator[Meter]:
    meter = Meter(story)
    claims = Cache(story.client, NODE_CLAIM, rng=random.Random(1))
    claims.subscribe(meter.claim_changed)
    following = asyncio.create_task(claims.run())
    try:
        await claims.wait_synced()
        yield meter
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def plan_together(story: Story, **asks: Any) -> None:
    """Fifty plans at once that know nothing of each other, each for a pod that needs a machine for itself."""
    seen = await template(story)
    ground = {"any": LaunchGround(zones=story.cloud.catalog.zones)}
    looks = [
        replace(
            a_look(seen, waiting=[a_waiting_pod("pod", nodeSelector=ANY, **asks)], shop=story.cloud.catalog),
            grounds=ground,
        )
        for _ in range(PLANS)
    ]
    await asyncio.gather(*(plan_and_write(story.client, look, f"plan-{n}") for n, look in enumerate(looks)))


async def plan_and_write(client: Client, look: ProvisioningSnapshot, name: str) -> None:
    [new] = plan_provisioning(look, effort=Effort.FAST).machines
    await client.create(NODE_CLAIM, claim_manifest(name, look.templates[0], new))


async def wait_left(story: Story, number: int) -> list[NodeClaim]:
    """The claims, once there are only so many and each has its machine."""

    async def settled() -> bool:
        claims = await story.claims()
        return len(claims) == number and all(claim.status.launched_at is not None for claim in claims)

    await story.wait(settled, within=300)
    return await story.claims()


@pytest.mark.parametrize("affordable", [1, 7])
def test_fifty_plans_at_once_never_launch_more_than_the_budget_of_their_template(affordable: int) -> None:
    """None of them sees what the others ask for. The surplus is told so and let go, and no offering is blamed."""
    budget = affordable * 0.0376 + 0.03

    async def plot(story: Story) -> None:
        limits = {"costUSDPerHour": budget}
        await add_template(story, constraints={"instanceTypeRegexp": "^t3a.medium$"}, limits=limits, disruption=NEVER)
        async with metered(story) as meter:
            await plan_together(story, cpu="1500m")
            claims = await wait_left(story, affordable)

        assert len(story.machines()) == affordable
        assert sum(claim.status.price_usd_per_hour or 0.0 for claim in claims) == meter.most_usd_per_hour <= budget
        assert len(meter.let_go) == PLANS - affordable
        assert all("limits.costUSDPerHour of template any is" in why for why in meter.let_go.values())
        assert (await template(story)).status.backed_off == ()

    tell(plot)


def test_fifty_plans_at_once_never_launch_more_gpus_than_the_cluster_may_have() -> None:
    """The limit of the cluster is everybody's, and nobody's template says it."""

    async def plot(story: Story) -> None:
        await add_template(story, disruption=NEVER)
        async with metered(story) as meter:
            await plan_together(story, gpus=1)
            await wait_left(story, 3)

        assert meter.most_gpus == 3
        assert all("the cluster's GPU limit is 3" in why for why in meter.let_go.values())

    tell(plot, more={"provisioning": ProvisioningSettings(limits=ClusterLimits(gpus=3))})
