"""What the controllers stand between fails, or lies about the time: nothing may be lost or doubled by it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta

import pytest

from controllers.pool_stories import TIMINGS, Story
from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.apiserver.storage.contract import Storage
from stratos.apiserver.storage.memory import open_memory
from stratos.base.clock import Clock
from stratos.base.errors import Unavailable
from stratos.base.ids import SeededIds
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport
from stratos.providers.contract import MachineState
from stratos.providers.simulated.cloud import CloudOptions
from stratos.providers.simulated.timings import TimingTable
from stratos.sim.actions import ActionLog
from stratos.sim.doors import NAMES, Doors
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.api import STRATOS
from stratos.wiring.cluster import Cluster, ClusterOptions

POOL_SIZE = 3
AWAY_SECONDS = 300.0


class JumpingClock:
    """The time of the virtual loop, wrongly set by ``ahead``. As everywhere, monotonic time does not jump."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._true = VirtualClock()

    def now(self) -> datetime:
        return self._true.now() + self.ahead

    def monotonic(self) -> float:
        return self._true.monotonic()


class Road:
    """The way of one component to the API, which can be closed."""

    def __init__(self) -> None:
        self.closed = False

    def laid_to(self, transport: Transport) -> Transport:
        return _OnRoad(self, transport)

    def check(self, path: str) -> None:
        if self.closed:
            raise Unavailable(f"{path}: no route to host")


class _OnRoad:
    def __init__(self, road: Road, transport: Transport) -> None:
        self._road = road
        self._transport = transport

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        self._road.check(path)
        return await self._transport.request(method, path, query=query, headers=headers, body=body)

    def stream(
        self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
    ) -> AbstractAsyncContextManager[StreamResponse]:
        self._road.check(path)
        return self._transport.stream(method, path, query=query, headers=headers)

    async def close(self) -> None:
        await self._transport.close()


class Weather:
    """A small cluster with a pool, and what can be done to it."""

    def __init__(self, story: Story, doors: Doors, road: Road, storage: Storage) -> None:
        self.story = story
        self.doors = doors
        self._road = road
        self._storage = storage

    async def take_the_api_away(self, seconds: float) -> None:
        self.doors.server_is_down = True
        for component in NAMES.values():
            self.doors.break_streams(component)
        await asyncio.sleep(seconds)
        self.doors.server_is_down = False

    @asynccontextmanager
    async def gap_in_watches(self) -> AsyncGenerator[None]:
        """What happens in the block, Stratos does not see, and when it asks, the API has forgotten it."""
        self._road.closed = True
        self.doors.break_streams(NAMES[STRATOS])
        yield
        await self._storage.compact(self._storage.revision)
        self._road.closed = False

    # --- how far things are ---

    async def add_pool(self) -> None:
        scale_down = {"emptyNodeTTL": "30s"}
        await self.story.add_pool(size=POOL_SIZE, standby=POOL_SIZE, scaleDown=scale_down)

    async def wait_in_state(self, state: MachineState) -> None:
        """Until the cloud has a machine in this state."""

        async def there() -> bool:
            return any(machine.state is state for machine in self.story.machines())

        await self.story.wait(there, within=600)

    async def wait_standing_by(self, within: float = 1200) -> None:
        async def stand_by() -> bool:
            standing = [machine for machine in self.story.machines() if machine.state is MachineState.STOPPED]
            return len(standing) == POOL_SIZE and (await self.story.pool()).status.standby == POOL_SIZE

        await self.story.wait(stand_by, within)

    async def check(self) -> None:
        """The ledger and the cloud say the same, and nothing was asked for twice."""
        cloud = self.story.cloud
        claimed = sorted(claim.status.instance_id for claim in await self.story.claims())
        assert sorted(machine.id for machine in self.story.machines()) == claimed
        assert set(cloud.launches_by_token.values()) == {1}
        assert set(cloud.starts_by_token.values()) <= {1}


def tell(plot: Callable[[Weather], Awaitable[None]], clock: Clock | None = None) -> None:
    async def told() -> None:
        chance = random.Random(1)
        virtual = VirtualClock()
        doors, road, storage = Doors(ActionLog(virtual), random.Random(1)), Road(), open_memory()

        def in_front_of_api(user: str, transport: Transport) -> Transport:
            return doors.in_front_of_api(user, road.laid_to(transport) if user == STRATOS else transport)

        cluster = Cluster(
            storage,
            clock=clock or virtual,
            ids=SeededIds(chance),
            rng=chance,
            options=ClusterOptions(cloud=CloudOptions(timings=TimingTable(TIMINGS))),
            in_front_of_api=in_front_of_api,
            in_front_of_cloud=doors.in_front_of_cloud,
        )
        async with cluster.running():
            await plot(Weather(Story(cluster, virtual), doors, road, storage))

    run(told())


async def preparing(weather: Weather) -> None:
    await weather.add_pool()
    await weather.wait_in_state(MachineState.RUNNING)


async def stopping(weather: Weather) -> None:
    await weather.add_pool()
    await weather.wait_in_state(MachineState.STOPPING)


async def waking(weather: Weather) -> None:
    await weather.add_pool()
    await weather.wait_standing_by()
    await weather.story.add_pod(seconds=60)
    await weather.wait_in_state(MachineState.PENDING)


async def leaving(weather: Weather) -> None:
    await waking(weather)
    await weather.story.wait_pod("Succeeded", within=600)
    await weather.wait_in_state(MachineState.STOPPING)


SCENES = [preparing, stopping, waking, leaving]


@pytest.mark.parametrize("scene", SCENES)
def test_an_api_that_is_away_for_five_minutes_costs_no_machine(scene: Callable[[Weather], Awaitable[None]]) -> None:
    """Machines go on meanwhile, and nobody writes down what becomes of them."""

    async def plot(weather: Weather) -> None:
        await scene(weather)
        await weather.take_the_api_away(AWAY_SECONDS)

        if scene is waking:
            await weather.story.wait_pod("Succeeded", within=300)
        await weather.wait_standing_by()
        await weather.check()
        assert len(weather.story.cloud.launches_by_token) == POOL_SIZE

    tell(plot)


def test_what_happened_in_a_gap_of_all_watches_is_seen_all_the_same() -> None:
    """A pod that came, a node that went, a machine that somebody ended: no event tells of them any more."""

    async def plot(weather: Weather) -> None:
        story = weather.story
        await waking(weather)
        await story.wait_pod("Running", within=300)
        ended, *_ = (machine.id for machine in story.machines() if machine.state is MachineState.STOPPED)
        node = next(claim.status.node_name for claim in await story.claims() if claim.status.instance_id == ended)
        async with weather.gap_in_watches():
            await story.client.delete(POD, "default/job")
            await story.add_pod("late")
            await story.client.delete(NODE, node)
            story.cloud.outside_terminate(ended)
            await asyncio.sleep(60)

        await story.wait_pod("Running", "late", within=300)
        await story.client.delete(POD, "default/late")
        await weather.wait_standing_by()
        await weather.check()
        assert len(story.cloud.launches_by_token) == POOL_SIZE + 1

    tell(plot)


@pytest.mark.parametrize("minutes", [120, -5])
@pytest.mark.parametrize("scene", SCENES)
def test_a_clock_that_jumps_loses_and_doubles_nothing(
    scene: Callable[[Weather], Awaitable[None]], minutes: int
) -> None:
    """A machine that was suspended wakes up hours later; one whose clock ran wild is set right again."""
    clock = JumpingClock()

    async def plot(weather: Weather) -> None:
        story = weather.story
        await scene(weather)
        clock.ahead = timedelta(minutes=minutes)

        await story.add_pod("after", seconds=10)
        await story.wait_pod("Succeeded", "after", within=600)
        await weather.wait_standing_by(within=2400)  # what was begun at a later time waits for that time
        await weather.check()

    tell(plot, clock)
