"""What goes wrong. Each fault is a function that makes its kind of trouble, now and then, until it is cancelled.

Faults work on their own and together. Whatever one has changed, `Trouble.end` puts right: after it the world is as on a
good day, but for the damage that was done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from stratos.base.errors import FieldProblem, Invalid, Throttled
from stratos.catalog.instance_type import CapacityType
from stratos.providers.contract import Machine, MachineState
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.providers.simulated.registry import ImageRegistry
from stratos.sim.doors import NAMES, DeathMoment, Doom, Doors
from stratos.sim.scenario import IMAGES
from stratos.wiring.api import KUBELETS, STRATOS

_ONES_OWN = NAMES[STRATOS]
_COMPONENTS = tuple(NAMES.values())
_PROCESSES = tuple(name for name in _COMPONENTS if name != NAMES[KUBELETS])


@dataclass(slots=True)
class Trouble:
    """What faults work on, and the chance of one of them."""

    cloud: SimulatedCloud
    registry: ImageRegistry
    doors: Doors
    rng: random.Random

    async def pause(self, minutes: float) -> None:
        """Until the next time, so many minutes on average."""
        await asyncio.sleep(self.rng.expovariate(1 / (minutes * 60)))

    async def lasting(self, low_seconds: float, high_seconds: float) -> None:
        await asyncio.sleep(self.rng.uniform(low_seconds, high_seconds))

    def note(self, what: str) -> None:
        self.doors.log.note("fault", what)

    def somebody(self) -> str:
        """A component: ours more often than others."""
        return self.rng.choice((_ONES_OWN, _ONES_OWN, *_COMPONENTS))

    def a_machine(self, *states: MachineState) -> Machine | None:
        found = [machine for machine in self.cloud.machines() if machine.state in states]
        return self.rng.choice(found) if found else None

    def a_spot_machine(self) -> Machine | None:
        running = [machine for machine in self.cloud.machines() if machine.state is MachineState.RUNNING]
        found = [machine for machine in running if machine.capacity_type is CapacityType.SPOT]
        return self.rng.choice(found) if found else None

    def refuse_calls(self, share: float) -> None:
        """Let the cloud turn away this share of all calls as too many."""
        self.doors.calls_refused = share

    def end(self) -> None:
        doors, cloud = self.doors, self.cloud
        doors.server_is_down = doors.registrations_refused = False
        doors.cloud_is_flaky = doors.calls_refused = 0.0
        doors.lost_answers.clear()
        doors.lag_seconds.clear()
        for life in doors.lives.values():
            life.doom = None
        cloud.stock.restock()
        cloud.options.max_vcpus.clear()
        cloud.do_not_hang()
        self.registry.missing.clear()


Fault = Callable[[Trouble], Awaitable[None]]


async def api_restarts(trouble: Trouble) -> None:
    """The API server is gone for seconds; it comes back with its store, and without anybody's watch."""
    while True:
        await trouble.pause(20)
        trouble.note("the API server goes down")
        trouble.doors.server_is_down = True
        for component in _COMPONENTS:
            trouble.doors.break_streams(component)
        await trouble.lasting(1, 30)
        trouble.doors.server_is_down = False
        trouble.note("the API server is back")


async def watch_drops(trouble: Trouble) -> None:
    """All watches of one component break at once."""
    while True:
        await trouble.pause(8)
        component = trouble.somebody()
        trouble.note(f"the watches of {component} break")
        trouble.doors.break_streams(component)


async def stale_caches(trouble: Trouble) -> None:
    """What happens reaches one component seconds late, one kind of object later than another."""
    while True:
        await trouble.pause(15)
        component = trouble.somebody()
        trouble.note(f"the watches of {component} lag")
        trouble.doors.lag_seconds[component] = trouble.rng.uniform(1, 15)
        await trouble.lasting(10, 180)
        trouble.doors.lag_seconds.pop(component, None)


async def lost_answers(trouble: Trouble) -> None:
    """Writes of one component take effect, and it never hears so."""
    while True:
        await trouble.pause(15)
        component = trouble.somebody()
        trouble.doors.lost_answers[component] = trouble.rng.uniform(0.05, 0.5)
        await trouble.lasting(10, 180)
        trouble.doors.lost_answers.pop(component, None)


async def lost_cloud_answers(trouble: Trouble) -> None:
    """Calls to the cloud take effect, and nobody hears so."""
    while True:
        await trouble.pause(15)
        trouble.doors.cloud_is_flaky = trouble.rng.uniform(0.1, 0.6)
        await trouble.lasting(10, 180)
        trouble.doors.cloud_is_flaky = 0.0


async def crashes(trouble: Trouble) -> None:
    """A component dies right before or right after one of its next calls, and starts anew with an empty memory."""
    while True:
        await trouble.pause(6)
        component = trouble.rng.choice((_ONES_OWN, _ONES_OWN, _ONES_OWN, *_PROCESSES))
        doom = Doom(trouble.rng.randint(1, 15), trouble.rng.choice(tuple(DeathMoment)))
        trouble.doors.lives[component].doom = doom


async def throttling(trouble: Trouble) -> None:
    """The cloud refuses a share of all calls as too many."""
    while True:
        await trouble.pause(15)
        trouble.note("the cloud throttles")
        trouble.refuse_calls(trouble.rng.uniform(0.2, 0.9))
        await trouble.lasting(10, 120)
        trouble.refuse_calls(0.0)
        trouble.note("the cloud does not throttle any more")


async def stock_outs(trouble: Trouble) -> None:
    """An instance type of a pool cannot be had for minutes, in one zone or anywhere."""
    while True:
        await trouble.pause(20)
        machine = trouble.a_machine(*MachineState)
        if machine is not None:
            zone = trouble.rng.choice((None, machine.zone))
            trouble.note(f"{machine.instance_type} is out of stock in {zone or 'all zones'}")
            trouble.cloud.stock.sell_out(machine.instance_type, zone)
            await trouble.lasting(30, 600)
            trouble.cloud.stock.restock()
            trouble.note("everything is in stock")


async def quota(trouble: Trouble) -> None:
    """The account may run hardly more than it does, for minutes."""
    while True:
        await trouble.pause(25)
        trouble.note("the quota is low")
        trouble.cloud.options.max_vcpus[CapacityType.ON_DEMAND] = trouble.rng.randint(0, 16)
        await trouble.lasting(30, 600)
        trouble.cloud.options.max_vcpus.clear()
        trouble.note("the quota is high")


async def outside_stops(trouble: Trouble) -> None:
    """Somebody stops a running machine on the cloud's console."""
    while True:
        await trouble.pause(20)
        machine = trouble.a_machine(MachineState.RUNNING)
        if machine is not None and machine.capacity_type is CapacityType.ON_DEMAND:  # spot machines cannot be stopped
            trouble.note(f"somebody stops {machine.id}")
            trouble.cloud.outside_stop(machine.id)


async def outside_starts(trouble: Trouble) -> None:
    """Somebody starts a stopped machine on the cloud's console."""
    while True:
        await trouble.pause(20)
        machine = trouble.a_machine(MachineState.STOPPED)
        if machine is not None:
            trouble.note(f"somebody starts {machine.id}")
            trouble.cloud.outside_start(machine.id)


async def outside_terminations(trouble: Trouble) -> None:
    """Somebody terminates a machine on the cloud's console, or its hardware fails for good."""
    while True:
        await trouble.pause(20)
        machine = trouble.a_machine(MachineState.RUNNING, MachineState.STOPPED, MachineState.PENDING)
        if machine is not None:
            trouble.note(f"somebody terminates {machine.id}")
            trouble.cloud.outside_terminate(machine.id)


async def interruptions(trouble: Trouble) -> None:
    """The cloud takes a spot machine back: mostly two minutes after it said so, sometimes sooner or at once."""
    while True:
        await trouble.pause(12)
        machine = trouble.a_spot_machine()
        if machine is not None:
            seconds = trouble.rng.choice((120.0, 120.0, 120.0, 30.0, 0.0))
            trouble.note(f"{machine.id} is taken back in {seconds:g} s")
            trouble.cloud.interrupt(machine.id, seconds)


async def rebalance_recommendations(trouble: Trouble) -> None:
    """The cloud advises to leave a spot machine; some of those it does take back soon."""
    while True:
        await trouble.pause(15)
        machine = trouble.a_spot_machine()
        if machine is not None:
            trouble.note(f"the cloud advises to leave {machine.id}")
            trouble.cloud.recommend_rebalance(machine.id)
            if trouble.rng.random() < 0.5:
                await trouble.lasting(1, 180)
                if not trouble.cloud.machine(machine.id).state.gone:
                    trouble.note(f"{machine.id} is taken back")
                    trouble.cloud.interrupt(machine.id)


async def hung_boots(trouble: Trouble) -> None:
    """The next boot never ends: the cloud shows the machine as running, and nothing starts on it."""
    while True:
        await trouble.pause(20)
        trouble.note("the next boot will hang")
        trouble.cloud.hang_next_boots()


async def lost_nodes(trouble: Trouble) -> None:
    """For minutes, no new node can join the cluster."""
    while True:
        await trouble.pause(30)
        trouble.note("nodes cannot join")
        trouble.doors.registrations_refused = True
        await trouble.lasting(60, 900)
        trouble.doors.registrations_refused = False
        trouble.note("nodes can join")


async def slow_describes(trouble: Trouble) -> None:
    """What the cloud shows is some seconds old, all the time."""
    trouble.cloud.options.describe_lag_seconds = trouble.rng.uniform(1, 8)
    await asyncio.Event().wait()


async def missing_images(trouble: Trouble) -> None:
    """An image cannot be pulled for minutes."""
    while True:
        await trouble.pause(25)
        image = trouble.rng.choice(IMAGES)
        trouble.note(f"image {image} cannot be pulled")
        trouble.registry.missing.add(image)
        await trouble.lasting(60, 900)
        trouble.registry.missing.discard(image)
        trouble.note(f"image {image} can be pulled")


FAULTS: Mapping[str, Fault] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (
        api_restarts,
        watch_drops,
        stale_caches,
        lost_answers,
        lost_cloud_answers,
        crashes,
        throttling,
        stock_outs,
        quota,
        outside_stops,
        outside_starts,
        outside_terminations,
        hung_boots,
        lost_nodes,
        slow_describes,
        missing_images,
        interruptions,
        rebalance_recommendations,
    )
}


def choose_faults(names: str) -> tuple[str, ...]:
    """The faults of ``all``, ``none`` or a list with commas, by name. Raises `Invalid` for one that is not known."""
    if names in ("all", "none"):
        return tuple(FAULTS) if names == "all" else ()
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in chosen if name not in FAULTS]
    if unknown or not chosen:
        message = f"there is no fault {unknown[0]!r}" if unknown else "no fault is named"
        problem = FieldProblem("--faults", "FieldValueNotSupported", message)
        raise Invalid(f"--faults: {message}", problems=(problem,), hint=f"choose from all, none, {', '.join(FAULTS)}")
    return chosen


def turn_away(doors: Doors, operation: str) -> None:
    """Raise `Throttled` for as many calls to the cloud as the fault wants."""
    if doors.calls_refused and doors.rng.random() < doors.calls_refused:
        raise Throttled(f"{operation}: request limit exceeded", retry_after_seconds=doors.rng.uniform(0.1, 2.0))
