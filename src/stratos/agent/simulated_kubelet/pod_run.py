"""One pod on one simulated host, from its admission to its end.

Init containers run in order, then the main ones together; images are pulled, ends are answered by the restart policy
with growing pauses, and every change is told to the API server. Deletion is graceful: the containers stop, and then the
pod object goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stratos.agent.simulated_kubelet.behaviour import Behaviour, behaviour_of
from stratos.agent.simulated_kubelet.images import ImageStore, PullFailed
from stratos.agent.simulated_kubelet.pod_status import (
    ContainerRecord,
    PodRecord,
    Running,
    Terminated,
    Waiting,
    pod_status,
)
from stratos.agent.simulated_kubelet.writes import Writes
from stratos.apis.pod import POD, Container, Pod
from stratos.base.clock import Clock
from stratos.base.errors import Invalid
from stratos.kube.backoff import Backoff
from stratos.kube.recorder import EventRecorder
from stratos.providers.simulated.host import HostDisk
from stratos.telemetry.events import NORMAL, WARNING

_RESTARTS = Backoff(first_seconds=10, max_seconds=300)
_PULLS = Backoff(first_seconds=10, max_seconds=300)
_STEADY_SECONDS = 600.0  # a container that ran this long starts over with short pauses
_DEFAULT_GRACE_SECONDS = 30.0
_KILLED, _TERMINATED = 137, 143  # the exit codes of SIGKILL and SIGTERM


@dataclass(frozen=True, slots=True)
class PodRoom:
    """What a pod finds on its host."""

    host_ip: str
    disk: HostDisk
    images: ImageStore
    writes: Writes
    clock: Clock
    network_up: asyncio.Event
    container_start_seconds: float
    recorder: EventRecorder | None  # of what happens to pods; None where nobody reads it


class PodRun:
    """`run` it once; `stop` asks it to end. It is over when `run` returns."""

    def __init__(self, pod: Pod, pod_ip: str, room: PodRoom) -> None:
        self.pod = pod
        self.begun = asyncio.Event()  # no longer pending
        self._room = room
        self._pod_ip = pod_ip
        self._stopping = asyncio.Event()
        self._grace_seconds = _DEFAULT_GRACE_SECONDS
        self._telling = asyncio.Lock()
        self._told: dict[str, Any] = {}
        self._record = self._new_record(room.clock.now())

    def stop(self, grace_seconds: float | None) -> None:
        """End within the grace, then delete the pod object."""
        self._grace_seconds = _DEFAULT_GRACE_SECONDS if grace_seconds is None else grace_seconds
        self._stopping.set()

    @property
    def phase(self) -> str:
        return self._record.phase

    async def run(self) -> None:
        containers = asyncio.ensure_future(self._run_containers())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((containers, stopping), return_when=asyncio.FIRST_COMPLETED)
            if containers.done():
                containers.result()
            if not self._stopping.is_set() and self._record.phase not in ("Succeeded", "Failed"):
                raise AssertionError(f"the containers of pod {self.pod.metadata.key} are over, and the pod is not")
            await stopping
            await self._end(containers)
        finally:
            containers.cancel()
            stopping.cancel()

    # --- containers ---

    async def _run_containers(self) -> None:
        """Return when every container is over. Sidecars end with the main containers."""
        spec = self.pod.spec
        sidecars: list[asyncio.Task[None]] = []
        try:
            await self._tell()
            if not spec.host_network:
                await self._room.network_up.wait()
            self._record.pod_ip = self._room.host_ip if spec.host_network else self._pod_ip
            records = iter(self._record.containers)
            for container in spec.init_containers or ():
                record = next(records)
                if record.sidecar:
                    sidecars.append(asyncio.ensure_future(self._run_container(container, record, "Always")))
                    continue
                await self._run_container(container, record, "Never" if spec.restart_policy == "Never" else "OnFailure")
                if not record.succeeded:
                    return
            async with asyncio.TaskGroup() as tasks:
                for container, record in zip(spec.containers, records, strict=True):
                    tasks.create_task(self._run_container(container, record, spec.restart_policy))
        finally:
            for sidecar in sidecars:
                sidecar.cancel()

    async def _run_container(self, container: Container, record: ContainerRecord, restart_policy: str) -> None:
        failures = 0
        while True:
            await self._provide_image(container, record)
            run = await self._run_once(container, record)
            lasted = (run.finished_at - run.started_at).total_seconds()
            failures = 1 if lasted >= _STEADY_SECONDS else failures + 1
            if restart_policy == "Never" or (restart_policy == "OnFailure" and run.exit_code == 0):
                record.over = True
                await self._tell()
                return
            pause = _RESTARTS.seconds(failures)
            message = f"back-off {pause:.0f}s restarting failed container={container.name}"
            if run.exit_code:
                self._say(
                    "BackOff",
                    f"Back-off restarting failed container {container.name} in pod "
                    f"{self.pod.metadata.name}_{self.pod.metadata.namespace}({self.pod.metadata.uid})",
                    warning=True,
                )
            record.last, record.state = run, Waiting("CrashLoopBackOff", message)
            await self._tell()
            await asyncio.sleep(pause)
            record.restarts += 1

    async def _provide_image(self, container: Container, record: ContainerRecord) -> None:
        failures = 0
        while True:
            pulled = self._room.images.must_pull(container)
            if pulled:
                self._say("Pulling", f'Pulling image "{container.image}"')
            try:
                await self._room.images.provide(container)
            except PullFailed as failed:
                self._say("Failed", f'Failed to pull image "{container.image}": {failed.message}', warning=True)
                self._say("Failed", f"Error: {failed.reason}", warning=True)
                record.state = Waiting(failed.reason, failed.message)
                await self._tell()
                failures += 1
                pause = _PULLS.seconds(failures)
                await asyncio.sleep(pause / 2)
                message = f'Back-off pulling image "{container.image}"'
                self._say("BackOff", message)
                record.state = Waiting("ImagePullBackOff", message)
                await self._tell()
                await asyncio.sleep(pause / 2)
            else:
                image = f'image "{container.image}"'
                told = f"Successfully pulled {image}" if pulled else f"Container {image} already present on machine"
                self._say("Pulled", told)
                return

    async def _run_once(self, container: Container, record: ContainerRecord) -> Terminated:
        await asyncio.sleep(self._room.container_start_seconds)
        behaviour = self._behaviour(container, record)
        self._say("Created", f"Created container: {container.name}")
        self._say("Started", f"Started container {container.name}")
        started_at = self._room.clock.now()
        record.state = Running(started_at)
        record.ready = behaviour.ready_after_seconds == 0
        await self._tell()
        if behaviour.output:
            await self._room.writes.append_log(
                self.pod.metadata.key, container.name, behaviour.output, restarted=record.restarts > 0
            )
        try:
            await self._live(record, behaviour)
        finally:
            record.ready = False
        if behaviour.fills_cache and behaviour.exit_code == 0:
            self._room.disk.files[behaviour.fills_cache] = 0
        ended = Terminated(behaviour.exit_code, started_at, self._room.clock.now())
        record.state = ended
        return ended

    async def _live(self, record: ContainerRecord, behaviour: Behaviour) -> None:
        """Pass the time that the container runs; in it, it becomes ready."""
        loading = behaviour.ready_after_seconds
        left = behaviour.run_seconds
        if loading and (left is None or loading < left):
            await asyncio.sleep(loading)
            record.ready = True
            await self._tell()
            left = None if left is None else left - loading
        if left is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(left)

    def _behaviour(self, container: Container, record: ContainerRecord) -> Behaviour:
        try:
            return behaviour_of(
                container,
                self.pod.metadata.annotations,
                self._room.disk.files.keys(),
                init=record.init,
                load_seconds=self._room.images.load_seconds(container.image),
            )
        except Invalid as error:
            # As a container whose command cannot be run: it fails at once and says why.
            return Behaviour(run_seconds=0.0, exit_code=128, output=f"{error.message}\n")

    # --- the end ---

    async def _end(self, containers: asyncio.Future[None]) -> None:
        """Stop what runs, say how it ended, and take the pod off the API server."""
        self.begun.set()
        containers.cancel()
        await asyncio.wait((containers,))
        running = [record for record in self._record.containers if isinstance(record.state, Running)]
        if running:
            for record in running:
                self._say("Killing", f"Stopping container {record.name}")
            wanted = max(self._stop_seconds(record) for record in running)
            await asyncio.sleep(min(wanted, self._grace_seconds))
            exit_code = _TERMINATED if wanted <= self._grace_seconds else _KILLED
            now = self._room.clock.now()
            for record in running:
                assert isinstance(record.state, Running)
                record.state = Terminated(exit_code, record.state.started_at, now)
                record.ready, record.over = False, True
            await self._tell()
        await self._room.writes.delete_pod(self.pod)

    def _stop_seconds(self, record: ContainerRecord) -> float:
        named = next(each for each in self._all_containers() if each.name == record.name)
        return self._behaviour(named, record).stop_seconds

    # --- telling ---

    async def _tell(self) -> None:
        """Have the API server know the status of now. Whoever comes late finds it told already."""
        async with self._telling:
            status = pod_status(self._record, self._room.clock.now())
            if status != self._told:
                await self._room.writes.patch_pod_status(self.pod, status)
                self._told = status
                if status["phase"] != "Pending":
                    self.begun.set()

    def _say(self, reason: str, message: str, *, warning: bool = False) -> None:
        """As an Event about the pod."""
        if self._room.recorder is not None:
            self._room.recorder.record(POD, self.pod, WARNING if warning else NORMAL, reason, message)

    def _all_containers(self) -> tuple[Container, ...]:
        return (*(self.pod.spec.init_containers or ()), *self.pod.spec.containers)

    def _new_record(self, now: datetime) -> PodRecord:
        """Nothing has started. A pod that ran here before the machine was stopped counts its restarts on."""
        ran_before = self.pod.status.phase == "Running"
        before = {status.name: status.restart_count + ran_before for status in self.pod.status.container_statuses or ()}
        init_count = len(self.pod.spec.init_containers or ())
        records = [
            ContainerRecord(
                name=container.name,
                image=container.image,
                id_prefix=f"{self.pod.metadata.uid}-{container.name}",
                init=index < init_count,
                sidecar=index < init_count and container.restart_policy == "Always",
                state=Waiting("PodInitializing" if init_count and index >= init_count else "ContainerCreating"),
                restarts=before.get(container.name, 0),
            )
            for index, container in enumerate(self._all_containers())
        ]
        return PodRecord(
            host_ip=self._room.host_ip,
            started_at=self.pod.status.start_time or now,
            containers=records,
        )
