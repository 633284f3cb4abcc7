"""A pool whose running machines are replaced by spot ones, for stories about spot machines."""

from __future__ import annotations

from typing import Any

from controllers.pool_stories import Story
from controllers.template_stories import add_deployment, wait_running
from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.nodeclaim import NodeClaim
from stratos.providers.contract import CapacityType, Machine

TYPES = ["m5.large", "m5a.large", "m5n.large"]
POOL = {"stratos.sh/pool": "ci"}


async def add_spot_pool(story: Story, *, standby: int = 1, size: int = 6, max_price: str = "", **spec: Any) -> None:
    """As in the use case: standby machines on demand, running ones replaced by spot after two minutes."""
    found = {"tags": {"stratos.sh/discovery": "my-cluster"}}
    node_class = {
        "instanceType": "m5.large",
        "subnetSelector": found,
        "securityGroupSelector": found,
        "role": "node-role",
        "spotConfig": {"instanceTypes": TYPES, "maxPrice": max_price},
    }
    await story.client.create(AWS_NODE_CLASS, {"metadata": {"name": "spot"}, "spec": node_class})
    body = {"template": {"nodeClassRef": {"kind": "AWSNodeClass", "name": "spot"}, "labels": POOL}, **spec}
    body.setdefault("spotReplacement", {"enabled": True, "replacementDelay": "2m"})
    await story.add_filled_pool(standby=standby, size=size, **body)


def spot_machines(story: Story) -> list[Machine]:
    return [machine for machine in story.machines() if machine.capacity_type is CapacityType.SPOT]


async def claim_of(story: Story, machine: Machine) -> NodeClaim:
    return next(claim for claim in await story.claims() if claim.status.instance_id == machine.id)


async def a_replaced_machine(story: Story) -> Machine:
    """The spot machine, once two pods run there and the on-demand machine before it stands by."""
    await add_spot_pool(story)
    await add_deployment(story, "web", 2, selector=POOL)
    await wait_running(story, 2)
    await story.wait_told("SpotReplacementComplete")
    (spot,) = spot_machines(story)
    return spot
