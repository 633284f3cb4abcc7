"""One scrape tells of the API and of Stratos; an operator should not have to look for a second port."""

import random

from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.cluster import Cluster


def test_the_api_servers_metrics_include_those_of_the_controllers_present_life() -> None:
    async def story() -> tuple[str, str]:
        cluster = Cluster(open_memory(), clock=VirtualClock(), ids=SeededIds(random.Random(1)), rng=random.Random(1))
        transport = cluster.admin.transport
        async with cluster.running():
            first = await transport.request("GET", "/metrics")
            await cluster.stratos.stop()
            await cluster.stratos.start()
            second = await transport.request("GET", "/metrics")
        return first.body.decode(), second.body.decode()

    for scrape in run(story()):
        assert scrape.count("# TYPE stratos_nodepool_pool_size gauge") == 1
        assert "stratos_cloud_provider_calls_total" in scrape
        assert "apiserver_request" in scrape
