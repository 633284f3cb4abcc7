"""An image that need not be fetched before its container starts: from a snapshot of a volume, or as a stream.

The founding post measured a model server on three clouds: from request to answer it took 26 to 60 % less time with the
clouds' means than without. Sizes and rates here are of that kind: 11 GB, 40 MB a second, minutes to load the model.
"""

from __future__ import annotations

from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.meta import Kind, is_condition_true
from stratos.apis.nodeclaim import ClaimCondition
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.providers.simulated.registry import GIGABYTE, MEGABYTE, ImageRegistry

MODEL = "app:1"
PULL_SECONDS = 11 * GIGABYTE / (40 * MEGABYTE)
EKS = {
    "bootstrapTemplate": "Bottlerocket",
    "instanceType": "g6.4xlarge",
    "subnetSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "securityGroupSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "role": "node-role",
}


def registry() -> ImageRegistry:
    sizes = {MODEL: 11 * GIGABYTE}
    return ImageRegistry(sizes, bandwidth_bytes_per_second=40 * MEGABYTE, load_seconds={MODEL: 300})


def seconds_to_serve(kind: Kind[Any], spec: dict[str, Any]) -> float:
    """From the pod's creation, on a machine that is launched for it, until the model answers."""
    measured: list[float] = []

    async def plot(story: Story) -> None:
        story.cloud.account.snapshots["snap-models"] = {MODEL: 11 * GIGABYTE}
        await story.client.create(kind, {"metadata": {"name": "gpu"}, "spec": spec})
        template = {"nodeClassRef": {"kind": kind.kind, "name": "gpu"}}
        await story.add_pool(size=1, standby=0, template=template)
        await story.add_pod()

        async def is_serving() -> bool:
            return is_condition_true((await story.pod()).status.conditions, "Ready")

        measured.append(await story.wait(is_serving, every=1.0))

    tell(plot, registry=registry())
    return measured[0]


def with_data_volume(**volume: Any) -> dict[str, Any]:
    mappings = [{"deviceName": "/dev/xvda", "volumeSize": 4}, {"deviceName": "/dev/xvdb", "volumeSize": 60, **volume}]
    return {**EKS, "blockDeviceMappings": mappings}


def test_b49_a_data_volume_from_a_snapshot_saves_the_whole_pull() -> None:
    plain = seconds_to_serve(AWS_NODE_CLASS, with_data_volume())
    accelerated = seconds_to_serve(AWS_NODE_CLASS, with_data_volume(snapshotID="snap-models"))

    assert plain - accelerated == pytest.approx(PULL_SECONDS, abs=3)
    assert 0.26 <= 1 - accelerated / plain <= 0.60


def test_b49_streamed_images_save_all_but_what_a_container_needs_to_start() -> None:
    plain = seconds_to_serve(SIM_NODE_CLASS, {"instanceType": "g6.4xlarge"})
    accelerated = seconds_to_serve(SIM_NODE_CLASS, {"instanceType": "g6.4xlarge", "imageStreaming": True})

    assert plain - accelerated == pytest.approx(PULL_SECONDS * (1 - 0.064), abs=3)
    assert 0.26 <= 1 - accelerated / plain <= 0.60


def test_b49_a_snapshot_that_is_not_there_is_named_at_the_launch() -> None:
    async def plot(story: Story) -> None:
        spec = with_data_volume(snapshotID="snap-lost")
        await story.client.create(AWS_NODE_CLASS, {"metadata": {"name": "gpu"}, "spec": spec})
        await story.add_pool(size=1, template={"nodeClassRef": {"kind": "AWSNodeClass", "name": "gpu"}})

        async def has_failed() -> bool:
            claims = await story.claims()
            launched = [
                each for claim in claims for each in claim.status.conditions if each.type == ClaimCondition.LAUNCHED
            ]
            return any(each.status == "False" and "snap-lost" in each.message for each in launched)

        await story.wait(has_failed, within=120)

    tell(plot)
