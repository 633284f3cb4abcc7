"""Plays a scenario on a whole cluster in virtual time: real API and controllers, simulated cloud and hosts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import is_condition_true
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim, NodeState
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import NotReady
from stratos.base.ids import SeededIds
from stratos.base.words import counted
from stratos.cli.applying import apply_manifests
from stratos.cli.demo.scenarios import Scenario, Step, Turn, examples_directory
from stratos.cli.demo.witness import PodRecord, TimelineEntry, Witness
from stratos.cli.manifests import Manifest, read_manifests
from stratos.kube.controller import Manager
from stratos.providers.simulated.registry import ImageRegistry
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.clock import SystemClock
from stratos.wiring.cluster import Cluster, ClusterOptions

# All of these are virtual seconds.
_LONGEST_SECONDS = 2 * 3600.0  # no step of a demo takes as long
_PAUSE_SECONDS = 60.0
_GLANCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened. Times are virtual seconds, but for ``reactions_ms``, which are wall-clock milliseconds."""

    pods: tuple[PodRecord, ...]
    timeline: tuple[TimelineEntry, ...]
    reactions_ms: tuple[float, ...]  # from a pod turning unschedulable to the call of the cloud on its behalf
    nodes_started: int
    nodes_launched: int
    cost_usd: float
    ended_s: float
    spot_saves_usd_per_hour: float = 0.0  # at most, while it ran


def play(scenario: Scenario, *, seed: int) -> Recording:
    """The scenario as written."""
    return run(_play(scenario, scenario.steps, _manifests(scenario), seed=seed))


def play_without_standby(scenario: Scenario, *, seed: int) -> Recording:
    """The same demand on the same cloud when nothing stands by: every machine is launched for it."""
    manifests = [_changed(manifest, "NodePool", minStandby=0) for manifest in _manifests(scenario)]
    manifests = [_changed(manifest, "Deployment", replicas=0) for manifest in manifests]
    steps = (Step(scenario.demand, "demand arrives"),)
    return run(_play(scenario, steps, manifests, seed=seed))


def _manifests(scenario: Scenario) -> list[Manifest]:
    manifests = read_manifests([examples_directory() / scenario.folder])
    return sorted(manifests, key=lambda manifest: manifest.obj["kind"] == "Deployment")  # the pool first


def _changed(manifest: Manifest, kind: str, **spec: object) -> Manifest:
    if manifest.obj["kind"] != kind:
        return manifest
    return Manifest(manifest.obj | {"spec": manifest.obj["spec"] | spec}, manifest.source, manifest.notes)


async def _play(scenario: Scenario, steps: tuple[Step, ...], manifests: list[Manifest], *, seed: int) -> Recording:
    chance = random.Random(seed)
    registry = ImageRegistry({scenario.image: scenario.image_bytes}, load_seconds=scenario.load_seconds)
    cluster = Cluster(
        open_memory(),
        clock=VirtualClock(),
        ids=SeededIds(random.Random(seed)),
        rng=chance,
        options=ClusterOptions(registry=registry),
    )
    async with cluster.running():
        stage = _Stage(cluster, scenario, chance)
        cluster.cloud.fault_hook = stage.witness.cloud_is_called
        async with stage.watched():
            for applied in await apply_manifests(cluster.admin, manifests):
                stage.witness.note(f"{applied.manifest.title} applied")
            await stage.wait_prepared()
            for step in steps:
                await asyncio.sleep(_PAUSE_SECONDS)
                await stage.perform(step)
        witness = stage.witness
        return Recording(
            pods=witness.pods(),
            timeline=witness.timeline(),
            reactions_ms=witness.reactions_ms(),
            nodes_started=sum(cluster.cloud.starts_by_token.values()),
            nodes_launched=sum(cluster.cloud.launches_by_token.values()),
            cost_usd=cluster.cloud.cost().total_usd,
            ended_s=asyncio.get_running_loop().time(),
            spot_saves_usd_per_hour=stage.spot_saves_usd_per_hour,
        )


class _Stage:
    """Moves demand, and waits until the cluster has followed."""

    def __init__(self, cluster: Cluster, scenario: Scenario, chance: random.Random) -> None:
        client = cluster.admin
        self.spot_saves_usd_per_hour = 0.0
        self._client = client
        self._cloud = cluster.cloud
        self._scenario = scenario
        self._manager = Manager(client, rng=chance)
        self._pools = self._manager.cache(NODE_POOL)
        self._claims = self._manager.cache(NODE_CLAIM)
        self._pods = self._manager.cache(POD, namespace="default")
        self._deployments = self._manager.cache(DEPLOYMENT)
        self.witness = Witness(self._pods, self._claims, wall_seconds=SystemClock().monotonic)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The witness sees what happens inside the block."""
        watching = asyncio.create_task(self._manager.run(), name="witness")
        try:
            await self._manager.wait_synced()
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def wait_prepared(self) -> None:
        """The pool stands by as its manifest says, and what was wanted from the start serves."""
        await self._wait_until("the pool to stand by", self._is_pool_ready)
        await self._wait_until("the first replicas to serve", self._is_demand_met)
        self.witness.note(f"pool {self._scenario.pool} is ready")

    async def perform(self, step: Step) -> None:
        match step.turn:
            case Turn.DEMAND:
                await self._change_demand(step)
            case Turn.SPOT_TAKES_OVER:
                self.witness.note(step.story)
                await self._wait_until("spot machines to take over", self._is_all_on_spot)
                self._note_savings()
            case Turn.TAKEN_BACK:
                claim = min(self._spot_claims(), key=lambda claim: claim.metadata.name)
                self.witness.note(f"{step.story}: {claim.metadata.name}, in two minutes")
                self._cloud.interrupt(claim.status.instance_id)
                gone = claim.metadata.name
                await self._wait_until("it to be gone", lambda: self._claims.get(gone) is None)
                await self._wait_until("its pods to serve", lambda: self._is_demand_met(step.replicas))

    def _spot_claims(self) -> list[NodeClaim]:
        return [claim for claim in self._claims if claim.is_spot and claim.status.state is NodeState.RUNNING]

    def _is_all_on_spot(self) -> bool:
        nodes = {claim.status.node_name for claim in self._spot_claims()}
        settled = all(claim.spec.departure is None for claim in self._claims)
        return settled and self._is_demand_met() and all(pod.spec.node_name in nodes for pod in self._pods)

    def _note_savings(self) -> None:
        pool = self._pools.get(self._scenario.pool)
        saved = (pool.status.spot_savings_usd_per_hour if pool is not None else None) or 0.0
        self.spot_saves_usd_per_hour = max(saved, self.spot_saves_usd_per_hour)
        self.witness.note(f"saved by {counted(len(self._spot_claims()), 'spot machine')}: ${saved:.4f}/h")

    async def _change_demand(self, step: Step) -> None:
        name = self._scenario.deployment.split("/")[1]
        self.witness.note(f"{step.story}: {name} scaled to {step.replicas}")
        await self._client.patch_scale(DEPLOYMENT, self._scenario.deployment, step.replicas)
        await self._wait_until(f"{step.replicas} replicas to serve", lambda: self._is_demand_met(step.replicas))
        if step.replicas == 0:
            await self._wait_until("idle machines to be parked", self._is_all_parked)

    def _is_pool_ready(self) -> bool:
        pool = self._pools.get(self._scenario.pool)
        return pool is not None and is_condition_true(pool.status.conditions, "Ready")

    def _is_demand_met(self, replicas: int | None = None) -> bool:
        deployment = self._deployments.get(self._scenario.deployment)
        if deployment is None:
            return False
        wanted = deployment.spec.replicas if replicas is None else replicas
        pods = self._pods.list()
        return len(pods) == wanted and all(is_condition_true(pod.status.conditions, "Ready") for pod in pods)

    def _is_all_parked(self) -> bool:
        return all(claim.status.state is NodeState.STANDBY for claim in self._claims)

    async def _wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                while not holds():  # noqa: ASYNC110 (it looks at several caches, and virtual time costs nothing)
                    await asyncio.sleep(_GLANCE_SECONDS)
        except TimeoutError:
            pods = tuple(f"{pod.metadata.key} is {pod.status.phase}" for pod in self._pods.list())
            raise NotReady(f"the demo waited {_LONGEST_SECONDS:g} virtual seconds for {what}", looked_at=pods) from None
