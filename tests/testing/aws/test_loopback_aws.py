"""EC2 on loopback behaves as EC2 does where moto does not, as seen through the official SDK."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import pytest

from stratos.providers.contract import CapacityType, OfferingKey
from stratos.providers.simulated.host import Host
from stratos.testing.aws import LoopbackAws, aws_on_loopback
from stratos.wiring.clock import SystemClock

boto3: Any = import_module("boto3")  # it has no types
botocore: Any = import_module("botocore")

TOKEN = "claim-1"
NODE_CONFIG = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=="

--==
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {name: my-cluster}
  kubelet:
    config: {maxPods: 20}
    flags: ["--node-labels=team=ci,stratos.sh/pool=ci", "--register-with-taints=stratos.sh/not-ready=true:NoSchedule"]
--==
Content-Type: text/x-shellscript

#!/bin/bash
prefetch /models/llama 1Gi
--==--
"""


class Sdk:
    """The SDK in threads, as the adapter has it."""

    def __init__(self, aws: LoopbackAws) -> None:
        self._aws = aws
        self._clients: dict[str, Any] = {}

    async def __call__(self, operation: str, service: str = "ec2", **parameters: Any) -> dict[str, Any]:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=self._aws.region,
                endpoint_url=self._aws.endpoint_url,
                aws_access_key_id="key",
                aws_secret_access_key="secret",
                config=botocore.config.Config(retries={"total_max_attempts": 1}),
            )
        answer: dict[str, Any] = await asyncio.to_thread(getattr(self._clients[service], operation), **parameters)
        return answer

    async def run(self, **other: Any) -> str:
        usual = {
            "ImageId": self.image,
            "InstanceType": "m5.large",
            "SubnetId": self._aws.account.subnets["us-east-1a"],
            "ClientToken": TOKEN,
            "MinCount": 1,
            "MaxCount": 1,
        }
        return str((await self("run_instances", **{**usual, **other}))["Instances"][0]["InstanceId"])

    async def fleet(self, **other: Any) -> dict[str, Any]:
        template = await self(
            "create_launch_template",
            LaunchTemplateName=f"template-{len(self._aws.calls)}",
            LaunchTemplateData={"ImageId": self.image},
        )
        overrides = [
            {"InstanceType": type_, "SubnetId": subnet}
            for type_ in ("m5.large", "m5a.large")
            for subnet in self._aws.account.subnets.values()
        ]
        version = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Default"}
        usual = {
            "Type": "instant",
            "ClientToken": TOKEN,
            "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
            "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": version, "Overrides": overrides}],
        }
        return await self("create_fleet", **{**usual, **other})

    async def seen(self, instance: str) -> dict[str, Any]:
        answer = await self("describe_instances", InstanceIds=[instance])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found

    async def wait_state(self, instance: str, state: str) -> None:
        async with asyncio.timeout(10):
            while (await self.seen(instance))["State"]["Name"] != state:  # noqa: ASYNC110 - it happens elsewhere
                await asyncio.sleep(0.02)

    @property
    def image(self) -> str:
        return next(iter(self._aws.account.images.values()))


@asynccontextmanager
async def loopback(moto_url: str, **options: Any) -> AsyncIterator[tuple[LoopbackAws, Sdk]]:
    async with aws_on_loopback(clock=SystemClock(), moto_url=moto_url, **options) as aws:
        yield aws, Sdk(aws)


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        await call
    return str(raised.value.response["Error"]["Code"])


def play(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(story())


def test_a_client_token_launches_once_and_refuses_other_arguments(moto_url: str) -> None:
    """All that keeps a crash from doubling a machine rests on this, and moto alone does not do it."""

    async def story() -> None:
        async with loopback(moto_url) as (aws, sdk):
            first = await sdk.run()

            assert await sdk.run() == first
            assert await refused(sdk.run(InstanceType="m5.xlarge")) == "IdempotentParameterMismatch"
            assert await sdk.run(ClientToken="claim-2") != first
            found = await sdk("describe_instances", Filters=[{"Name": "client-token", "Values": [TOKEN]}])
            assert [each["Instances"][0]["InstanceId"] for each in found["Reservations"]] == [first]
            assert aws.ec2.launches == {TOKEN: 1, "claim-2": 1}

    play(story)


def test_states_take_time_and_forbid_what_ec2_forbids(moto_url: str) -> None:
    """A start that races with a stop is refused in the cloud, and so must it be here."""

    async def story() -> None:
        async with loopback(moto_url) as (aws, sdk):
            instance = await sdk.run()
            assert await refused(sdk("stop_instances", InstanceIds=[instance])) == "IncorrectInstanceState"
            await sdk.wait_state(instance, "running")
            launched_at = (await sdk.seen(instance))["LaunchTime"]

            aws.faults.timings.stop = 0.5
            await sdk("stop_instances", InstanceIds=[instance])
            assert await refused(sdk("start_instances", InstanceIds=[instance])) == "IncorrectInstanceState"
            stopping = await sdk(
                "describe_instances", Filters=[{"Name": "instance-state-name", "Values": ["stopping"]}]
            )
            assert len(stopping["Reservations"]) == 1
            await sdk.wait_state(instance, "stopped")
            assert (await sdk.seen(instance))["StateReason"]["Code"] == "Client.UserInitiatedShutdown"

            await sdk("start_instances", InstanceIds=[instance])
            assert (await sdk.seen(instance))["LaunchTime"] > launched_at
            assert aws.instances.starts == {instance: 1}

    play(story)


def test_a_fleet_takes_what_is_in_stock_and_says_what_was_not(moto_url: str) -> None:
    """Diversification is of use only if the next override is taken when the first is sold out."""

    async def story() -> None:
        async with loopback(moto_url) as (aws, sdk):
            zones = sorted(aws.account.subnets)
            for zone in zones:
                aws.faults.out_of_stock.add(OfferingKey("m5a.large", zone, CapacityType.SPOT))
            got = await sdk.fleet()
            assert {each["InstanceType"] for each in got["Instances"]} == {"m5.large"}
            instance = await sdk.seen(got["Instances"][0]["InstanceIds"][0])
            assert instance["InstanceLifecycle"] == "spot"

            for zone in zones:
                aws.faults.out_of_stock.add(OfferingKey("m5.large", zone, CapacityType.SPOT))
            none = await sdk.fleet(ClientToken="claim-2")
            assert none["Instances"] == []
            told = Counter(each["ErrorCode"] for each in none["Errors"])
            assert told == {"InsufficientInstanceCapacity": 4, "Unsupported": 2}  # no m5 is sold in us-east-1c

    play(story)


def test_calls_are_refused_lost_or_answered_by_nobody_as_told(moto_url: str) -> None:
    """Each of these is met by a branch of its own in the adapter."""

    async def story() -> None:
        async with loopback(moto_url) as (aws, sdk):
            aws.faults.throttled["ec2:RunInstances"] = 1
            assert await refused(sdk.run()) == "RequestLimitExceeded"
            aws.faults.denied.add("ec2:StopInstances")
            aws.faults.max_vcpus[CapacityType.ON_DEMAND] = 2
            aws.faults.lost_requests["ec2:RunInstances"] = 1
            with pytest.raises(botocore.exceptions.ConnectionClosedError):
                await sdk.run()
            assert aws.ec2.launches == {}
            aws.faults.lost_answers["ec2:RunInstances"] = 1
            with pytest.raises(botocore.exceptions.ConnectionClosedError):
                await sdk.run()
            assert aws.ec2.launches == {TOKEN: 1}
            instance = await sdk.run()
            assert await refused(sdk("stop_instances", InstanceIds=[instance])) == "UnauthorizedOperation"
            assert await refused(sdk.run(ClientToken="claim-2")) == "VcpuLimitExceeded"
            aws.faults.expired_keys.add("key")
            assert await refused(sdk.run()) == "RequestExpired"
            assert await refused(sdk("list_queues", "sqs")) == "ExpiredTokenException"

    play(story)


def test_a_host_is_what_its_user_data_says(moto_url: str) -> None:
    """Were hosts told in another way, wrong user data would pass all tests."""
    hosts = asyncio.Queue[Host]()

    async def software(host: Host) -> None:
        hosts.put_nowait(host)
        await asyncio.Event().wait()

    async def story() -> None:
        async with loopback(moto_url, software=software) as (_, sdk):
            instance = await sdk.run(UserData=NODE_CONFIG)
            async with asyncio.timeout(10):
                host = await hosts.get()

            assert host.provider_id == f"aws:///us-east-1a/{instance}"
            assert host.bootstrap.node_labels == {"team": "ci", "stratos.sh/pool": "ci"}
            assert [taint.key for taint in host.bootstrap.node_taints] == ["stratos.sh/not-ready"]
            assert host.shape.capacity["pods"] == 20
            assert "prefetch /models/llama 1Gi" in host.bootstrap.extra_script

            host.power_off()
            await sdk.wait_state(instance, "stopped")
            assert (await sdk.seen(instance))["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"

    play(story)


def test_an_interrupted_machine_is_announced_and_then_gone(moto_url: str) -> None:
    """The notice comes by a queue, at least once, and the machine goes whether or not anybody read it."""

    async def story() -> None:
        async with loopback(moto_url) as (aws, sdk):
            got = await sdk.fleet()
            instance = got["Instances"][0]["InstanceIds"][0]
            await aws.interrupt(instance, notice_seconds=0.2)

            queue = (await sdk("get_queue_url", "sqs", QueueName=aws.account.queue_name))["QueueUrl"]
            told = await sdk("receive_message", "sqs", QueueUrl=queue)
            assert instance in told["Messages"][0]["Body"]
            await sdk.wait_state(instance, "terminated")
            assert (await sdk.seen(instance))["StateReason"]["Code"] == "Server.SpotInstanceTermination"

    play(story)


def test_recommended_images_and_the_cluster_are_found_where_aws_publishes_them(moto_url: str) -> None:
    """moto reserves the names of published parameters and answers none of ours."""

    async def story() -> None:
        async with loopback(moto_url) as (aws, sdk):
            for name, image in aws.account.parameters.items():
                assert (await sdk("get_parameter", "ssm", Name=name))["Parameter"]["Value"] == image
            cluster = (await sdk("describe_cluster", "eks", name=aws.account.cluster_name))["cluster"]
            base64.b64decode(cluster["certificateAuthority"]["data"] + "===")
            images = (await sdk("describe_images", ImageIds=sorted(aws.account.images.values())))["Images"]
            assert {each["CreationDate"][:7] for each in images} == {"2025-11", "2025-12"}

    play(story)
