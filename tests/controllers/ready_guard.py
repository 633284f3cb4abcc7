"""Watches ready counts and PodDisruptionBudgets through every single change, and remembers what was broken."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from controllers.pool_stories import Story
from stratos.apis.meta import is_condition_true
from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET, PodDisruptionBudget
from stratos.kube.cache import Cache, CacheEvent, Change


class ReadyGuard:
    """``least`` says how many ready pods each app must have; pods that are asked to go do not count."""

    def __init__(self, least: Mapping[str, int]) -> None:
        self.least = dict(least)
        self.broken: list[str] = []
        self.changes = 0
        self.fewest: dict[str, int] = {}
        self._ready: dict[str, set[str]] = defaultdict(set)

    def pod_changed(self, event: CacheEvent[Pod]) -> None:
        self.changes += 1
        pod = event.object
        app = pod.metadata.labels.get("app", "")
        serves = (
            event.change is not Change.DELETED
            and pod.metadata.deletion_timestamp is None
            and is_condition_true(pod.status.conditions, "Ready")
        )
        (self._ready[app].add if serves else self._ready[app].discard)(pod.metadata.name)

    def budget_changed(self, event: CacheEvent[PodDisruptionBudget]) -> None:
        status = event.object.status
        if event.change is not Change.DELETED and status.current_healthy < status.desired_healthy:
            self.broken.append(
                f"{event.key} needs {status.desired_healthy} healthy pods and has {status.current_healthy}"
            )

    def check(self, _: object = None) -> None:
        for app, least in self.least.items():
            ready = len(self._ready[app])
            self.fewest[app] = min(ready, self.fewest.get(app, ready))
            if ready < least:
                self.broken.append(f"{app} has {ready} ready pods of {least}")


@asynccontextmanager
async def guarding(story: Story, least: Mapping[str, int]) -> AsyncGenerator[ReadyGuard]:
    """Guard for the length of a block, at the end of which nothing may have been broken."""
    guard = ReadyGuard(least)
    pods = Cache(story.client, POD, rng=random.Random(1))
    budgets = Cache(story.client, POD_DISRUPTION_BUDGET, rng=random.Random(2))
    pods.subscribe(guard.pod_changed)
    tasks = [asyncio.create_task(pods.run()), asyncio.create_task(budgets.run())]
    try:
        await pods.wait_synced()
        await budgets.wait_synced()
        guard.check()
        pods.subscribe(guard.check)
        budgets.subscribe(guard.budget_changed)
        yield guard
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert guard.changes
    assert not guard.broken, f"{Counter(guard.broken)}"
