"""Metrics as Prometheus gets them: over the API, in its text format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from controllers.pool_stories import Story
from stratos.wiring.api import ADMIN


@dataclass(frozen=True, slots=True)
class Scrape:
    families: Mapping[str, Metric]

    def value(self, sample: str, **labels: str) -> float:
        """The value of the one sample with exactly these labels."""
        found = [
            each.value
            for family in self.families.values()
            for each in family.samples
            if each.name == sample and each.labels == labels
        ]
        assert len(found) == 1, f"{len(found)} samples {sample} {labels}"
        return float(found[0])

    def labels(self, family: str) -> set[str]:
        """The names of the labels its samples have, apart from the bounds of buckets."""
        return {name for sample in self.families[family].samples for name in sample.labels} - {"le"}

    def bounds(self, family: str) -> set[float]:
        """The finite upper bounds of a histogram's buckets."""
        bounds = {float(sample.labels["le"]) for sample in self.families[family].samples if "le" in sample.labels}
        return bounds - {float("inf")}


async def scrape(story: Story) -> Scrape:
    response = await story.cluster.api.transport(ADMIN).request("GET", "/metrics")
    assert response.status == 200
    families = text_string_to_metric_families(response.body.decode())
    return Scrape({family.name: family for family in families})
