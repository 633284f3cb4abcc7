"""What can be wrong with classes on AWS, all at once in one cluster: each tells its own, and the good one is ready.

The API server and the loop over classes are those that ship; AWS is on loopback.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from providers.aws.ec2_builders import a_provider
from stratos.apis.awsnodeclass import AWS_NODE_CLASS, AWSNodeClass
from stratos.apis.event import EVENT
from stratos.apis.meta import find_condition, is_condition_true
from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.controllers.nodeclasses import node_class_controller
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.recorder import EventRecorder
from stratos.providers.contract import NodeClassPart
from stratos.testing.aws import LoopbackAws
from stratos.wiring.api import ADMIN, EmbeddedApi
from stratos.wiring.clock import SystemClock

TAGGED = {"tags": {"stratos.sh/discovery": "my-cluster"}}
GOOD = {
    "bootstrapTemplate": "AL2023",
    "instanceType": "m5.large",
    "subnetSelector": TAGGED,
    "securityGroupSelector": TAGGED,
    "iamInstanceProfile": "stratos-node",
}
BAD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # what the class says, the condition, its reason, and what the message names
    "no-subnets": ({"subnetSelector": {"tags": {"a": "b"}}}, "SubnetsReady", "NoMatchingResources", "tags a=b"),
    "no-image": ({"ami": "ami-0123456789abcdef0"}, "AMIReady", "InvalidAMI", "ami-0123456789abcdef0 in us-east-1"),
    "other-region": ({"region": "eu-west-1"}, "Valid", "InvalidSpec", "spec.region is eu-west-1"),
    "long-user-data": ({"customUserData": "x" * 20_000}, "Valid", "InvalidSpec", "more than the 16384"),
    "denied": (
        {"iamInstanceProfile": None, "role": "stratos-node"},
        "InstanceProfileReady",
        "ResolutionFailed",
        "iam:GetRole",
    ),
}


@asynccontextmanager
async def cluster_on(aws: LoopbackAws) -> AsyncIterator[Client]:
    clock, rng = SystemClock(), random.Random(1)
    api = EmbeddedApi(open_memory(), clock=clock, ids=SeededIds(rng))
    await api.start()
    manager = Manager(api.client(ADMIN), rng=rng)
    recorder = EventRecorder(manager.client, "stratos", clock=clock, ids=SeededIds(rng))
    manager.add(recorder)
    node_class_controller(manager, a_provider(aws), recorder, clock=clock, rng=rng)
    running = asyncio.create_task(manager.run())
    try:
        yield api.client(ADMIN)
    finally:
        running.cancel()
        await asyncio.wait([running])
        await api.stop()


def test_each_bad_class_tells_its_own_and_the_good_one_is_ready(aws_loop: asyncio.Runner, aws: LoopbackAws) -> None:
    """Whoever wrote the class sees it where they wrote it; nobody has to read a log, and nobody else waits."""
    aws.faults.denied.add("iam:GetRole")
    aws_loop.run(_tell_apart(aws))


async def _tell_apart(aws: LoopbackAws) -> None:
    async with cluster_on(aws) as client:
        for name, spec in {"good": {}, **{name: bad[0] for name, bad in BAD.items()}}.items():
            body = {key: value for key, value in {**GOOD, **spec}.items() if value is not None}
            await client.create(AWS_NODE_CLASS, {"metadata": {"name": name}, "spec": body})

        async with asyncio.timeout(20):
            told: dict[str, tuple[str, str]] = {}
            while len(told) < len(BAD) or not is_ready(await client.get(AWS_NODE_CLASS, "good")):
                await asyncio.sleep(0.05)
                told = await events(client)
        for name, (_, type_, reason, named) in BAD.items():
            found = find_condition((await client.get(AWS_NODE_CLASS, name)).status.conditions, type_)
            assert found is not None and (found.status, found.reason) == ("False", reason), name
            assert named in found.message, name
            assert told[name] == (reason, f"{type_}: {found.message}"), name
            assert "; " in found.message, f"{name} gives no hint"


async def events(client: Client) -> dict[str, tuple[str, str]]:
    """Reason and message of the one warning of each class."""
    found = [event async for event in client.list_all(EVENT) if event.type == "Warning"]
    return {event.involved_object.name: (event.reason, event.message) for event in found}


def is_ready(node_class: AWSNodeClass) -> bool:
    return all(is_condition_true(node_class.status.conditions, part) for part in NodeClassPart)
