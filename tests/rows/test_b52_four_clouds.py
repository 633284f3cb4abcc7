"""The same manifests on four simulated clouds: each gives its own answer, and the pods run there."""

from __future__ import annotations

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, types_in_use, wait_running
from rows.template_world import add_pod


@pytest.mark.parametrize(
    ("catalog", "published"),
    [
        ("aws/us-west-2", "g4dn.xlarge"),
        ("gcp/us-central1", "n1-standard-4+1xT4"),
        ("azure/eastus", "Standard_NC4as_T4_v3"),
        ("oci/us-ashburn-1", "VM.GPU2.1"),
    ],
)
def test_b52_two_pods_that_share_a_gpu_run_on_the_machine_each_cloud_is_published_with(
    catalog: str, published: str
) -> None:
    """One template, no type named anywhere, four price lists."""

    async def plot(story: Story) -> None:
        await add_template(
            story,
            isDefault=True,
            strategy="thresholds",
            nvidiaGPUTimeSlices=2,
            constraints={"instanceFamilies": {"exclude": ["g3", "g3s"]}},
            binPacking={"nodeGPU": 2, "nodeCpu": 4, "nodeMemory": "8Gi"},
            binSelection={"podGPUThreshold": 2},
        )
        sharing = {
            "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
            "cloud.google.com/gke-max-shared-clients-per-gpu": "2",
        }
        for name in ("one", "two"):
            await add_pod(story, name, cpu="250m", gpus=1, nodeSelector=sharing if catalog.startswith("gcp") else {})

        await wait_running(story, 2, every=5)

        assert types_in_use(story) == [published]

    tell(plot, more={"catalog": catalog})
