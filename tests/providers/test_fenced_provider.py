"""A term that is over shuts the door to the cloud."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest

from stratos.apis.simnodeclass import SimNodeClass, SimNodeClassSpec
from stratos.base.errors import NotLeading, Unavailable
from stratos.catalog.catalog import load_catalog
from stratos.providers.contract.fenced import Fenced
from stratos.providers.simulated.cloud import CloudOptions, SimulatedCloud
from stratos.providers.simulated.timings import Duration
from stratos.testing import virtual_time


def a_cloud(latency_seconds: float = 0.1) -> SimulatedCloud:
    return SimulatedCloud(
        load_catalog("aws", "us-east-1"),
        clock=virtual_time.VirtualClock(),
        rng=random.Random(1),
        cluster_name="test",
        options=CloudOptions(api_latency=Duration.exactly(latency_seconds)),
    )


CALLS: dict[str, Callable[[Fenced], Awaitable[object]]] = {
    "start": lambda fenced: fenced.start("i-1", "token"),
    "stop": lambda fenced: fenced.stop("i-1"),
    "terminate": lambda fenced: fenced.terminate("i-1"),
    "describe": lambda fenced: fenced.describe(["i-1"]),
    "list_by_tags": lambda fenced: fenced.list_by_tags({"a": "b"}),
    "tag": lambda fenced: fenced.tag("i-1", {"a": "b"}),
    "resolve": lambda fenced: fenced.resolve(SimNodeClass(spec=SimNodeClassSpec(instance_type="m5.large"))),
}


@pytest.mark.parametrize("operation", CALLS)
def test_the_cloud_is_not_asked_for_anything_after_the_term(operation: str) -> None:
    """By then another leader starts and stops the same machines."""

    async def story() -> int:
        cloud = a_cloud()
        with pytest.raises(NotLeading, match=f"not asked to {operation}"):
            await CALLS[operation](Fenced(cloud, lambda: 0.0))
        return len(cloud.calls)

    assert virtual_time.run(story()) == 0


def test_a_call_that_outlasts_the_term_is_given_up_as_one_whose_effect_is_unknown() -> None:
    """What has been sent may have taken effect: the claim's token lets the next leader ask again."""

    async def story() -> None:
        with pytest.raises(Unavailable, match="took longer than this process leads"):
            await Fenced(a_cloud(latency_seconds=5.0), lambda: 1.0).list_by_tags({"a": "b"})

    virtual_time.run(story())


def test_within_the_term_calls_pass() -> None:
    """A fence that is always shut would be safe, too."""

    async def story() -> int:
        cloud = a_cloud()
        await Fenced(cloud, lambda: 60.0).list_by_tags({"a": "b"})
        return len(cloud.calls)

    assert virtual_time.run(story()) == 1
