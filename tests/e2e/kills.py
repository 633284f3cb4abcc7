"""`stratos controller` killed at the calls it makes: right before one is forwarded, or done and not answered.

A fault point is a call, of AWS or a kind of write to the API, and one of these moments. A `Killer` stands in front of
both with the points it is armed with, kills once at each, and somebody starts the command again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from e2e.aws_world import ON_TEMPLATE, POOL, TEMPLATE, AwsWorld, aws_world
from stratos.apis import labels
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD
from stratos.apiserver.http.app import App
from stratos.providers.contract import MachineState
from stratos.testing.aws import AwsCall, CallMoment, CutOff
from stratos.testing.aws.instances import Instance
from wiring.controller_runs import Run

POOL_SIZE = 2
NOTICE_SECONDS = 20.0
PATIENCE_SECONDS = 120.0  # some rests are longer than others

Scope = dict[str, Any]

_RESOURCE = re.compile(r"/(?:api/v1|apis/[^/]+/[^/]+)/(?:namespaces/[^/]+/)?([^/]+)(?:/[^/]+)?(?:/([^/]+))?")


@dataclass(frozen=True, slots=True, order=True)
class FaultPoint:
    call: str  # ec2:RunInstances, or PATCH nodeclaims/status
    moment: CallMoment

    def __str__(self) -> str:
        return f"{self.moment} {self.call}"


@dataclass(slots=True)
class Killer:
    armed: set[FaultPoint]
    met: set[str] = field(default_factory=set)  # every call that was made
    struck: list[FaultPoint] = field(default_factory=list)
    victim: Run | None = None

    def strike(self, call: str, moment: CallMoment) -> bool:
        """Whether the victim was killed for this."""
        self.met.add(call)
        point = FaultPoint(call, moment)
        if point not in self.armed or self.victim is None or self.victim.process.returncode is not None:
            return False
        self.armed.discard(point)
        self.struck.append(point)
        self.victim.process.kill()
        self.victim = None
        return True

    def at_aws(self, moment: CallMoment, call: AwsCall) -> None:
        if self.strike(call.action, moment):
            raise CutOff


class KillingApi:
    """An ASGI application in front of the API server."""

    def __init__(self, app: App, killer: Killer) -> None:
        self._app = app
        self._killer = killer

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        call = write_kind(scope["method"], scope["path"])
        answer: list[dict[str, Any]] = [
            {"type": "http.response.start", "status": 503, "headers": []},
            {"type": "http.response.body", "body": b""},
        ]
        if not self._killer.strike(call, CallMoment.BEFORE):
            answer.clear()

            async def keep(message: dict[str, Any]) -> None:
                answer.append(message)

            await self._app(scope, receive, cast(Any, keep))
            self._killer.strike(call, CallMoment.AFTER)
        for message in answer:  # nobody is there to read it if there was a kill
            await send(message)


def write_kind(method: str, path: str) -> str:
    """``PATCH nodeclaims/status``: what is written, without names."""
    found = _RESOURCE.fullmatch(path)
    return f"{method} {'/'.join(filter(None, found.groups()))}" if found else f"{method} {path}"


@dataclass(slots=True)
class Outcome:
    """How a story with its kills went."""

    seconds: float = 0.0
    runs: int = 0  # of the command
    launches: int = 0
    starts: int = 0
    wrongs: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Story:
    """What is played while the command is killed."""

    tell: Callable[[AwsWorld, Outcome], Awaitable[None]]
    launches: int | None = None  # how many there must be; None: it depends on how fast things go
    starts: int | None = None


async def play(story: Story, directory: Path, moto_url: str, killer: Killer) -> Outcome:
    """The story from the first machine to the last, with the command started again whenever it was killed."""
    outcome = Outcome()
    began = time.monotonic()
    async with aws_world(directory, moto_url, in_front_of_api=lambda app: cast(App, KillingApi(app, killer))) as world:
        world.aws.faults.hook = killer.at_aws
        async with _kept_running(world, killer, outcome):
            try:
                await story.tell(world, outcome)
            except AssertionError as error:
                outcome.wrongs.append(str(error))
        instances = world.aws.instances
        by_claim = Counter(each.tags.get(labels.TAG_CLAIM, "") for each in instances.by_id.values())
        outcome.wrongs += [f"claim {claim} got {count} machines" for claim, count in by_claim.items() if count > 1]
        outcome.launches, outcome.starts = len(instances.by_id), instances.starts.total()
        if story.launches not in (None, outcome.launches):
            outcome.wrongs.append(f"{outcome.launches} launches instead of {story.launches}")
        if story.starts not in (None, outcome.starts):
            outcome.wrongs.append(f"{outcome.starts} starts instead of {story.starts}")
    outcome.seconds = time.monotonic() - began
    return outcome


async def _pool_and_template(world: AwsWorld, outcome: Outcome) -> None:
    await world.add_class()
    await world.add_pool(poolSize=POOL_SIZE, minStandby=POOL_SIZE, scaleDown={"emptyNodeTTL": "1s"})
    await _settle(world, outcome, "filled")
    await world.add_pod("woken")
    await world.wait_all_running(1, PATIENCE_SECONDS)
    await world.admin.delete(POD, "default/woken")
    await _settle(world, outcome, "scaled down")
    await world.add_template()
    await world.add_pod("fresh", ON_TEMPLATE)
    await world.wait_all_running(1, PATIENCE_SECONDS)
    await world.admin.delete(NODE_TEMPLATE, TEMPLATE)  # its pod is evicted
    await world.admin.delete(NODE_POOL, POOL)
    await world.wait_gone(PATIENCE_SECONDS)


async def _spot(world: AwsWorld, outcome: Outcome) -> None:
    await world.add_class(spotConfig={"instanceTypes": ["m5.large", "m5a.large"]})
    replacement = {"enabled": True, "replacementDelay": "2s"}
    await world.add_pool(poolSize=3, minStandby=1, scaleDown={"emptyNodeTTL": "1s"}, spotReplacement=replacement)
    await world.add_deployment("web", 1)

    async def served_by(machines: list[Instance]) -> bool:
        pods = await world.pods()
        nodes = {machine.hostname for machine in machines}
        return [pod.status.phase for pod in pods] == ["Running"] and pods[0].spec.node_name in nodes

    def spot() -> list[Instance]:
        return [machine for machine in world.machines() if machine.spot]

    await world.wait(lambda: served_by(spot()), "the pod to run on a spot machine", PATIENCE_SECONDS)
    taken = spot()
    for machine in taken:
        await world.aws.interrupt(machine.id, NOTICE_SECONDS)
    await world.wait(
        lambda: served_by([machine for machine in world.machines() if machine not in taken]),
        "the pod to run elsewhere",
        PATIENCE_SECONDS,
    )
    await world.admin.delete(DEPLOYMENT, "default/web")
    await world.admin.delete(NODE_POOL, POOL)
    await world.wait_gone(PATIENCE_SECONDS)
    await world.delete_class(PATIENCE_SECONDS)
    outcome.wrongs += [f"launch template {name} is left" for name in await world.launch_templates()]


STORIES = {
    "pool and template": Story(_pool_and_template, launches=POOL_SIZE + 1, starts=1),
    "spot": Story(_spot),
}


async def _settle(world: AwsWorld, outcome: Outcome, scene: str) -> None:
    """Wait until the pool stands by in full; then the ledger and the cloud must say the same."""

    async def stands_by() -> bool:
        stopped = all(machine.state is MachineState.STOPPED for machine in world.machines())
        return stopped and (await world.pool()).status.standby == POOL_SIZE

    await world.wait(stands_by, f"the pool, {scene}, to stand by", PATIENCE_SECONDS)
    machines = {machine.id for machine in world.machines()}
    claimed = {claim.status.instance_id for claim in await world.claims()}
    outcome.wrongs += [f"{scene}: machine {each} has no claim" for each in sorted(machines - claimed)]
    outcome.wrongs += [f"{scene}: a claim has machine {each!r}, which is gone" for each in sorted(claimed - machines)]


@asynccontextmanager
async def _kept_running(world: AwsWorld, killer: Killer, outcome: Outcome) -> AsyncIterator[None]:
    async def keep() -> None:
        while True:
            async with world.controller() as run:
                outcome.runs += 1
                killer.victim = run
                try:
                    await run.process.wait()
                finally:
                    outcome.log += run.log
            if killer.victim is run:
                outcome.wrongs.append(f"the command ended by itself: {''.join(run.log[-3:])}")
                return

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


def heading() -> str:
    return f"{'killed':<38}{'seconds':>8}{'runs':>6}{'launches':>10}{'starts':>8}  outcome"


def row(name: str, outcome: Outcome) -> str:
    """One line of the matrix, and more if things went wrong."""
    figures = f"{outcome.seconds:>8.1f}{outcome.runs:>6}{outcome.launches:>10}{outcome.starts:>8}"
    return f"{name:<38}{figures}  {'; '.join(outcome.wrongs) or 'nothing lost, nothing doubled'}"
