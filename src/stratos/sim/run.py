"""One seed, from beginning to end: the cluster with its doors, people and faults; then the calm, and the verdict.

A run stops at the first law that is broken. The same seed, hours and faults give the same run, action by action.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass

from stratos.apis import labels
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import NotFound
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.providers.simulated.cloud import CallMoment
from stratos.providers.simulated.registry import ImageRegistry
from stratos.sim import rest
from stratos.sim.actions import Action, ActionLog
from stratos.sim.court import Court, Violation
from stratos.sim.doors import NAMES, Doors, Life
from stratos.sim.faults import FAULTS, Trouble, turn_away
from stratos.sim.laws import Effect, Law, every_law
from stratos.sim.scenario import Act, Scenario, draw_scenario
from stratos.sim.world import World
from stratos.testing.virtual_time import VirtualClock
from stratos.testing.virtual_time import run as run_virtually
from stratos.wiring.api import STRATOS
from stratos.wiring.cluster import Cluster, ClusterOptions

CALM_SECONDS = 90 * 60.0
"""How long the world may take to come to rest: pools rest up to half an hour after many failures."""

_SETTLING_SECONDS = 60.0  # before the first look: what people did last takes its course
_QUIET_SECONDS = 210.0  # in order for so long: longer than any machine is unneeded before it is consolidated
_WATCH_SECONDS = 300.0  # how long it must then stay at rest
_LOOK_SECONDS = 15.0  # between two looks whether it is at rest
_PATROL_SECONDS = 60.0
_DOWN_SECONDS = (1.0, 60.0)  # how long a component that died stays away
_LOOKS = frozenset({"describe", "list_by_tags", "resolve", "tag"})  # calls that change no machine's life


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    hours: float  # that passed in the run, with the calm at its end
    violations: tuple[Violation, ...]
    actions: int
    digest: str
    machines_launched: int
    starts: int
    evictions: int


def simulate(
    seed: int,
    hours: float,
    faults: Sequence[str] = tuple(FAULTS),
    *,
    laws: Callable[[], Sequence[Law]] = every_law,
    rules: Sequence[rest.Rule] = rest.RULES,
    scenario: Scenario = draw_scenario,
    watch: Callable[[Action], None] | None = None,
) -> Outcome:
    """Play one seed in virtual time; ``watch`` sees every action."""
    run = _Run(seed, hours, faults, laws(), rules, scenario, watch)
    with run.court.listening():
        return run_virtually(run.play())


class _Run:
    def __init__(
        self,
        seed: int,
        hours: float,
        faults: Sequence[str],
        laws: Sequence[Law],
        rules: Sequence[rest.Rule],
        scenario: Scenario,
        watch: Callable[[Action], None] | None,
    ) -> None:
        self._seed = seed
        self._seconds = hours * 3600
        self._faults = faults
        self._rules = rules
        self._acts = scenario(self._chance("scenario"), self._seconds)
        self._clock = VirtualClock()
        self._log = ActionLog(self._clock, watch=watch)
        self._effects = 0
        self._evictions = 0
        self._moved: Counter[str] = Counter()  # calls that change a machine's life, by pool or template
        self._restarts: set[asyncio.Task[None]] = set()
        self._down_chance = self._chance("down")

        storage = open_memory()
        self._world = World(storage, self._clock, self._log)
        self.court = Court(laws, self._world, self._log)
        self._doors = Doors(self._log, self._chance("doors"))
        self._doors.died = self._died
        self._doors.asked = self._asked
        self._doors.answered = self._answered
        self._registry = ImageRegistry()
        self._cluster = Cluster(
            storage,
            clock=self._clock,
            ids=SeededIds(self._chance("ids")),
            rng=self._chance("cluster"),
            options=ClusterOptions(registry=self._registry),
            in_front_of_api=self._doors.in_front_of_api,
            in_front_of_cloud=self._doors.in_front_of_cloud,
        )
        self._cluster.cloud.fault_hook = self._called
        self._world.look_at(self._cluster.cloud)

    def _chance(self, purpose: str) -> random.Random:
        """A generator for each purpose: one fault more must not change what the others draw."""
        return random.Random(f"{self._seed}/{purpose}")

    # The course of a run

    async def play(self) -> Outcome:
        async with self._cluster.running():
            patrol = asyncio.create_task(self._patrol())
            for part in (self._storm, self._calm):
                await self._until_adjourned(part())
            for task in (patrol, *self._restarts):
                task.cancel()
        cloud = self._cluster.cloud
        return Outcome(
            seed=self._seed,
            hours=self._clock.monotonic() / 3600,
            violations=tuple(self.court.violations),
            actions=self._log.count,
            digest=self._log.digest,
            machines_launched=sum(cloud.launches_by_token.values()),
            starts=sum(cloud.starts_by_token.values()),
            evictions=self._evictions,
        )

    async def _until_adjourned(self, part: Coroutine[None, None, None]) -> None:
        """Let a part of the run take its course, and cut it short when a law is broken."""
        course = asyncio.create_task(part)
        adjourned = asyncio.create_task(self.court.adjourned.wait())
        try:
            await asyncio.wait({course, adjourned}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            course.cancel()
            adjourned.cancel()
        with suppress(asyncio.CancelledError):
            await course

    async def _storm(self) -> None:
        """People act, and things go wrong."""
        troubles = {
            name: Trouble(self._cluster.cloud, self._registry, self._doors, self._chance(name)) for name in self._faults
        }
        try:
            async with asyncio.TaskGroup() as tasks:
                mischief = [tasks.create_task(_make(name, trouble)) for name, trouble in troubles.items()]
                tasks.create_task(self._people())
                await asyncio.sleep(self._seconds)
                for task in mischief:
                    task.cancel()
        finally:
            for trouble in troubles.values():
                trouble.end()

    async def _people(self) -> None:
        for act in self._acts:
            await asyncio.sleep(max(0.0, act.at_seconds - self._clock.monotonic()))
            self._log.note("people", str(act))
            await _perform(self._cluster.admin, act)

    async def _calm(self) -> None:
        """Nothing more happens from outside: the world comes to rest, and stays there."""
        self._log.note("calm", "faults and people rest from now on")
        await asyncio.sleep(_SETTLING_SECONDS)
        while self._restarts:
            await asyncio.wait(self._restarts)
        await self._come_to_rest()
        self._judge_rest()
        self._log.note("calm", "the world is at rest")
        self._moved.clear()
        restless = rest.restless_pools(self._world)
        await asyncio.sleep(_WATCH_SECONDS)
        moved = [f"{pool} moved its machines {n} times" for pool, n in sorted(self._moved.items())
                 if pool not in restless]  # fmt: skip
        self.court.find("rest_lasts", "what has come to rest stays at rest", moved)
        if not restless:
            self._judge_rest()

    async def _come_to_rest(self) -> None:
        """Until nothing is left to do and no machine has moved for a while, but no longer than the calm may take.

        A moment in order is not yet rest: who consolidates does so machine after machine, and takes breath in between.
        """
        quiet_seconds = 0.0
        for _ in range(int(CALM_SECONDS / _LOOK_SECONDS)):
            if quiet_seconds >= _QUIET_SECONDS:
                return
            self._moved.clear()
            await asyncio.sleep(_LOOK_SECONDS)
            quiet_seconds = 0.0 if self._moved or self._unrest() else quiet_seconds + _LOOK_SECONDS

    def _unrest(self) -> dict[rest.Rule, list[str]]:
        return rest.unrest(self._world, self._rules)

    def _judge_rest(self) -> None:
        for rule, seen in self._unrest().items():
            self.court.find(rule.__name__, rule.__doc__ or "", seen)

    async def _patrol(self) -> None:
        while True:
            await asyncio.sleep(_PATROL_SECONDS)
            self.court.patrol()

    # What passes the doors

    def _called(self, moment: CallMoment, operation: str, target: str) -> None:
        """Stands inside the cloud, around the instant in which a call takes effect."""
        cloud = self._cluster.cloud
        if moment is CallMoment.BEFORE:
            turn_away(self._doors, operation)
        if operation in _LOOKS:
            return
        effects = sum(cloud.launches_by_token.values()) + sum(cloud.starts_by_token.values())
        if moment is CallMoment.BEFORE:
            self._effects = effects
            return
        launch = operation == "launch"
        machine = cloud.launched_by(target) if launch else cloud.machine(target)
        self._moved[machine.tags.get(labels.TAG_POOL) or machine.tags.get(labels.TAG_TEMPLATE, "")] += 1
        self._log.note("cloud", f"{operation} {machine.id} for {machine.tags.get(labels.TAG_CLAIM)}")
        if effects > self._effects:
            self.court.effected(Effect(operation, machine, target if launch else ""))

    def _asked(self, component: str, method: str, path: str) -> None:
        pod = _pod_to_end(method, path)
        if pod:
            self._world.ending[component, pod] += 1

    def _answered(self, component: str, method: str, path: str, status: int | None) -> None:
        pod = _pod_to_end(method, path)
        if pod:
            self._world.ending[component, pod] -= 1
            if component == NAMES[STRATOS] and status is not None and status < 300:
                self._evictions += path.endswith("/eviction")
                self._log.note("stratos", f"{'evicts' if path.endswith('/eviction') else 'deletes'} pod {pod}")
        if status == 500:
            self.court.stumbled(f"the API server answered 500 to {method} {path} of {component}")

    # Death and resurrection

    def _died(self, life: Life) -> None:
        restart = asyncio.create_task(self._restart(life), name=f"restart of {life.component}")
        self._restarts.add(restart)
        restart.add_done_callback(self._restarts.discard)

    async def _restart(self, life: Life) -> None:
        component = next(part for part in self._cluster.components if part.name == life.component)
        await component.stop()
        await asyncio.sleep(self._down_chance.uniform(*_DOWN_SECONDS))
        await component.start()
        self._log.note("fault", f"{life.component} is back")


async def _make(name: str, trouble: Trouble) -> None:
    await FAULTS[name](trouble)


async def _perform(admin: Client, act: Act) -> None:
    if act.manifest is not None:
        await admin.create(act.kind, act.manifest)
    elif act.change is not None:
        with suppress(NotFound):
            await admin.patch(act.kind, act.key, act.change)
    else:
        with suppress(NotFound):
            await admin.delete(act.kind, act.key)


def _pod_to_end(method: str, path: str) -> str:
    """The pod (namespace/name) whose end a request asks for, if it asks for any."""
    parts = path.split("/")  # "", api, v1, namespaces, NAMESPACE, pods, NAME[, eviction]
    if len(parts) < 7 or parts[5] != "pods":
        return ""
    ends = method == "DELETE" if len(parts) == 7 else (method, parts[7]) == ("POST", "eviction")
    return f"{parts[4]}/{parts[6]}" if ends else ""
