"""The controllers are killed at one call after another, from the first machine of a pool to its last.

Each time they die right before the call is made, or right after it took effect and before they hear of it. Somebody
starts them again a little later, with nothing but what the API and the cloud say. The machines must then be those of a
calm day: as many launches and starts as there, each of them once, and none that the ledger does not know.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from itertools import product
from typing import TypeVar

import pytest

from controllers.pool_stories import Story, tell
from stratos.apis.nodeclaim import NodeState
from stratos.apis.nodepool import NODE_POOL
from stratos.base.errors import NotFound
from stratos.providers.simulated.cloud import CallMoment
from stratos.sim.actions import ActionLog
from stratos.sim.doors import DeathMoment, Doom, Doors, Life
from stratos.testing.virtual_time import VirtualClock

T = TypeVar("T")

POOL_SIZE = 2
AWAY_SECONDS = 15  # longer than what was done just before may explain what is seen

CLAIM = "/apis/stratos.sh/v1alpha1/nodeclaims"
NEW_CLAIM = f"POST {CLAIM}"
WISH = f"PATCH {CLAIM}/[^/]+"  # what the pool wants of a machine, and its finalizer in the end
LEDGER = f"PATCH {CLAIM}/[^/]+/status"
END_OF_CLAIM = f"DELETE {CLAIM}/.+"
NODE = "PATCH /api/v1/nodes/.+"
PROMISE = "PATCH /api/v1/namespaces/default/pods/.+/status"
END_OF_NODE = "DELETE /api/v1/nodes/.+"
EVICTION = "POST /api/v1/.+/eviction"
END_OF_POOL = "PATCH /apis/stratos.sh/v1alpha1/nodepools/ci"

# The story's scenes, and the calls in each at which the controllers die.
POINTS = {
    "fill": (NEW_CLAIM, LEDGER, "launch .+", NODE, "stop .+", "tag .+"),
    "wake": (WISH, "start .+", LEDGER, PROMISE, NODE),
    "park": (WISH, NODE, LEDGER, "stop .+"),
    "recycle": (WISH, NODE, EVICTION, "terminate .+", END_OF_NODE, END_OF_CLAIM),
    "delete": (WISH, "terminate .+", END_OF_POOL),
}
LAUNCHES_OF_A_CALM_DAY = {"fill": 1, "wake": 2, "park": 2, "recycle": 2, "delete": 2}


class DeadlyDoors(Doors):
    """The controllers die at the first call, from the moment they are armed, that is the deadly one."""

    def __init__(self) -> None:
        super().__init__(ActionLog(VirtualClock()), random.Random(1))
        self.death = asyncio.Event()
        self.died = lambda life: self.death.set()
        self._deadly = ""
        self._moment = DeathMoment.BEFORE

    def arm(self, deadly: str, moment: DeathMoment) -> None:
        self._deadly, self._moment = deadly, moment

    async def through(self, life: Life, doing: str, call: Callable[[], Awaitable[T]], *, risky: bool) -> T:
        if risky and life.component == "stratos" and self._deadly and re.fullmatch(self._deadly, doing):
            life.doom = Doom(1, self._moment)
            self._deadly = ""
        return await super().through(life, doing, call, risky=risky)


class Plot:
    """The scenes in their order. Each ends when what it is about has come true."""

    def __init__(self, story: Story) -> None:
        self.most_machines = 0
        self.scenes: dict[str, Callable[[], Awaitable[None]]] = {
            "fill": self._fill,
            "wake": self._wake,
            "park": self._park,
            "recycle": self._recycle,
            "delete": self._delete,
        }
        self._story = story
        story.cloud.fault_hook = self._count_machines

    def _count_machines(self, moment: CallMoment, operation: str, target: str) -> None:
        self.most_machines = max(self.most_machines, len(self._story.machines()))

    async def _fill(self) -> None:
        scale_down = {"emptyNodeTTL": "10s", "drainTimeout": "30s"}
        await self._story.add_pool(size=POOL_SIZE, standby=1, scaleDown=scale_down, maxNodeRuntime="90s")
        await self._story.wait_pool(lambda pool: pool.status.standby == 1, within=300)

    async def _wake(self) -> None:
        await self._story.add_pod(seconds=20)
        await self._story.wait_pod("Running", within=120)

    async def _park(self) -> None:
        await self._story.wait_pool(lambda pool: pool.status.standby == 2, within=600)

    async def _recycle(self) -> None:
        await self._story.add_pod("stay")
        await self._story.wait_pod("Running", "stay", within=120)
        await self._story.wait_pool(lambda pool: (pool.status.total, pool.status.standby) == (1, 1), within=900)

    async def _delete(self) -> None:
        await self._story.client.delete(NODE_POOL, "ci")
        await self._story.wait(self._is_deleted, within=600)

    async def _is_deleted(self) -> bool:
        try:
            await self._story.pool()
        except NotFound:
            return True
        return False


async def come_back(story: Story, doors: DeadlyDoors) -> None:
    await doors.death.wait()
    await asyncio.sleep(AWAY_SECONDS)
    await story.cluster.stratos.stop()
    await story.cluster.stratos.start()


@pytest.mark.parametrize(
    ("scene", "deadly", "moment"),
    [(scene, *point) for scene, calls in POINTS.items() for point in product(calls, DeathMoment)],
)
def test_a45_controllers_that_die_at_any_call_leave_no_machine_behind_and_double_none(
    scene: str, deadly: str, moment: DeathMoment
) -> None:
    """A lost machine is paid for by nobody who uses it; a doubled one is paid for twice."""
    doors = DeadlyDoors()

    async def plot(story: Story) -> None:
        coming_back = asyncio.create_task(come_back(story, doors))
        played = Plot(story)
        for name, play in played.scenes.items():
            if name == scene:
                doors.arm(deadly, moment)
            await play()
            if name == scene:
                break
        await asyncio.sleep(30)

        assert coming_back.done()
        assert sum(story.cloud.launches_by_token.values()) == LAUNCHES_OF_A_CALM_DAY[scene]
        assert set(story.cloud.launches_by_token.values()) == {1}
        assert set(story.cloud.starts_by_token.values()) <= {1}
        assert played.most_machines <= POOL_SIZE
        known = [claim.status.instance_id for claim in await story.claims()]
        assert sorted(machine.id for machine in story.machines()) == sorted(known)
        if scene != "delete":
            await played.scenes["delete"]()
        assert story.machines() == []
        assert await story.claims() == []
        assert await story.nodes() == []

    tell(plot, doors={"in_front_of_api": doors.in_front_of_api, "in_front_of_cloud": doors.in_front_of_cloud})


@pytest.mark.parametrize("moment", DeathMoment)
@pytest.mark.parametrize("deadly", [LEDGER, PROMISE, NODE])
def test_a45_a_machine_that_was_about_to_be_opened_is_opened_and_no_other_woken(
    deadly: str, moment: DeathMoment
) -> None:
    """Once the ledger says that a node is ready, a pod that still waits is taken for one that needs another machine."""
    doors = DeadlyDoors()

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=POOL_SIZE, standby=POOL_SIZE)
        coming_back = asyncio.create_task(come_back(story, doors))
        await story.add_pod()
        await story.wait_state(NodeState.RUNNING)
        doors.arm(deadly, moment)
        await story.wait_pod("Running", within=120)

        await coming_back
        await asyncio.sleep(30)
        assert story.cloud.starts_by_token.total() == 1

    tell(plot, doors={"in_front_of_api": doors.in_front_of_api, "in_front_of_cloud": doors.in_front_of_cloud})
