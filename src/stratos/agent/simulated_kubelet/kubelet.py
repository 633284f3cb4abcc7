"""The kubelet of one simulated host, for one boot: it registers the node, keeps it fresh, and runs its pods.

It lives until it is cancelled, which is how its machine goes down: nothing is said then, as when power fails, and the
cluster notices by the heartbeats that stay away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from stratos.agent.simulated_kubelet.device_plugin import with_shared_gpus
from stratos.agent.simulated_kubelet.hooks import PowerOff, Prefetch, Sleep, parse_script
from stratos.agent.simulated_kubelet.images import ImageStore, PullFailed
from stratos.agent.simulated_kubelet.node_report import (
    ConditionBook,
    NetworkPlugin,
    Observation,
    conditions_of,
    host_labels,
    node_object,
    node_status,
)
from stratos.agent.simulated_kubelet.pod_run import PodRoom, PodRun
from stratos.agent.simulated_kubelet.writes import Writes
from stratos.apis import labels
from stratos.apis.lease import LEASE
from stratos.apis.meta import micro_time
from stratos.apis.node import NODE
from stratos.apis.pod import Pod
from stratos.base.clock import Clock
from stratos.kube.recorder import EventRecorder
from stratos.planning.scheduling.requests import effective_requests
from stratos.providers.contract import ImagePullPolicy
from stratos.providers.simulated.host import Host
from stratos.providers.simulated.registry import ImageRegistry
from stratos.providers.simulated.timings import Duration

_LEASE_NAMESPACE = "kube-node-lease"
_LEASE_DURATION_SECONDS = 40
_PULL_ATTEMPTS = 3
_FIRST_PULL_PAUSE_SECONDS = 2.0
_SETTLING_SECONDS = 15.0  # before a host turns itself off: DaemonSet pods have to find it, too


@dataclass(frozen=True, slots=True)
class KubeletOptions:
    lease_seconds: float = 10.0  # between heartbeats
    status_seconds: float = 300.0  # between node status reports, when nothing changes
    network_plugin: NetworkPlugin = NetworkPlugin.CILIUM
    network_up: Duration = field(default_factory=lambda: Duration(1.0, 1.5, 3.0))  # from the kubelet's start
    container_start_seconds: float = 0.3
    tells_events: bool = False  # of pulls, starts and ends: a few writes more for each pod, which only people read


class SimulatedKubelet:
    def __init__(
        self,
        host: Host,
        *,
        writes: Writes,
        registry: ImageRegistry,
        clock: Clock,
        rng: random.Random,
        options: KubeletOptions,
        recorder: EventRecorder | None,
    ) -> None:
        self.node_name = host.bootstrap.node_name or host.hostname
        self._host = with_shared_gpus(host)
        self._writes = writes
        self._registry = registry
        self._clock = clock
        self._rng = rng
        self._options = options
        self._recorder = recorder
        self._images = ImageStore(host.disk, registry)
        self._network_up = asyncio.Event()
        self._images_pulled = _pulling(host)
        self._conditions = ConditionBook()
        self._reporting = asyncio.Lock()
        self._runs: dict[str, PodRun] = {}
        self._run_tasks: dict[str, asyncio.Task[None]] = {}
        self._pod_numbers = 0
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, pods_here: Callable[[], Iterable[Pod]]) -> None:
        """Serve until cancelled. Once the node is registered, ``pods_here`` tells which pods are bound to it."""
        turn_off = await self._run_boot_script() or self._host.bootstrap.power_off_when_ready
        await self._writes.create_or_patch(
            NODE,
            self.node_name,
            node_object(self._host, self.node_name),
            {"metadata": {"labels": host_labels(self._host)}},
        )
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._keep_lease())
            tasks.create_task(self._keep_status())
            tasks.create_task(self._bring_network_up())
            if self._host.first_boot:
                tasks.create_task(self._prepare(turn_off))
            for pod in sorted(pods_here(), key=lambda pod: pod.metadata.key):
                self.pod_changed(pod)
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None  # news of pods may come while the tasks are ending

    # --- pods ---

    def pod_changed(self, pod: Pod) -> None:
        """A pod of this node is new, or is not what it was."""
        if self._tasks is None:
            return  # not registered yet: it will be found then
        run = self._runs.get(pod.metadata.uid)
        if run is not None:
            if pod.metadata.deletion_timestamp:
                run.stop(pod.metadata.deletion_grace_period_seconds)
        elif pod.metadata.deletion_timestamp:
            self._tasks.create_task(self._writes.delete_pod(pod))  # nothing of it runs here
        elif not pod.finished:
            self._begin(pod, self._tasks)

    def pod_removed(self, pod: Pod) -> None:
        """The pod object is gone: whatever of it still runs ends at once."""
        self._runs.pop(pod.metadata.uid, None)
        task = self._run_tasks.pop(pod.metadata.uid, None)
        if task:
            task.cancel()

    def _begin(self, pod: Pod, tasks: asyncio.TaskGroup) -> None:
        if pod.status.phase == "Running" and pod.spec.restart_policy == "Never":
            message = "The machine was stopped while the pod was running, and it must not be started again."
            tasks.create_task(self._refuse(pod, "NodeRestarted", message))
            return
        lacking = self._lacking(pod)
        if lacking:
            tasks.create_task(self._refuse(pod, *lacking))
            return
        self._pod_numbers += 1
        run = PodRun(pod, self._pod_ip(self._pod_numbers), self._room())
        self._runs[pod.metadata.uid] = run
        self._run_tasks[pod.metadata.uid] = tasks.create_task(run.run())

    def _lacking(self, pod: Pod) -> tuple[str, str] | None:
        """Reason and message if the pod does not fit beside those that run: schedulers can be out of date."""
        allocatable = self._host.shape.allocatable
        active = [run.pod for run in self._runs.values() if run.phase not in ("Succeeded", "Failed")]
        for resource, wanted in sorted({**effective_requests(pod.spec), "pods": 1}.items()):
            capacity = allocatable.get(resource)
            if not wanted or capacity is None:
                continue
            used = len(active) if resource == "pods" else sum(_request(each, resource) for each in active)
            if used + wanted > capacity:
                figures = f"requested: {wanted}, used: {used}, capacity: {capacity}"
                return f"OutOf{resource}", f"Node didn't have enough resource: {resource}, {figures}"
        return None

    async def _refuse(self, pod: Pod, reason: str, message: str) -> None:
        await self._writes.patch_pod_status(pod, {"phase": "Failed", "reason": reason, "message": message})

    def _room(self) -> PodRoom:
        return PodRoom(
            host_ip=self._host.private_ip,
            disk=self._host.disk,
            images=self._images,
            writes=self._writes,
            clock=self._clock,
            network_up=self._network_up,
            container_start_seconds=self._options.container_start_seconds,
            recorder=self._recorder,
        )

    def _pod_ip(self, number: int) -> str:
        """Hosts have 10.0.x.y, and their pods 10.(128+x).y.z."""
        _, _, third, fourth = self._host.private_ip.split(".")
        return f"10.{128 + int(third)}.{fourth}.{1 + number % 254}"

    # --- the node ---

    async def _keep_lease(self) -> None:
        key = f"{_LEASE_NAMESPACE}/{self.node_name}"
        spec = {"holderIdentity": self.node_name, "leaseDurationSeconds": _LEASE_DURATION_SECONDS}
        while True:
            renewed = {"renewTime": micro_time(self._clock.now())}
            new: dict[str, Any] = {"metadata": {"name": self.node_name}, "spec": {**spec, **renewed}}
            await self._writes.create_or_patch(LEASE, key, new, {"spec": renewed}, namespace=_LEASE_NAMESPACE)
            await asyncio.sleep(self._options.lease_seconds)

    async def _keep_status(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(self._options.status_seconds)

    async def _bring_network_up(self) -> None:
        await asyncio.sleep(self._options.network_up.draw(self._rng))
        self._network_up.set()
        await self._report()

    async def _report(self) -> None:
        async with self._reporting:
            observed = conditions_of(self._network_up.is_set(), self._options.network_plugin, self._images_pulled)
            status = node_status(self._host, self._conditions.report(observed, self._clock.now()))
            await self._writes.patch(NODE, self.node_name, {"status": status}, subresource="status", strategic=True)

    # --- the first boot ---

    async def _run_boot_script(self) -> bool:
        """Whether the script asks to turn the machine off in the end. As on real hosts, it runs before the kubelet."""
        if not self._host.first_boot:
            return False
        turn_off = False
        for command in parse_script(self._host.bootstrap.extra_script):
            match command:
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                case Prefetch(path, size_bytes):
                    await asyncio.sleep(size_bytes / self._registry.bandwidth_bytes_per_second)
                    self._host.disk.files[path] = size_bytes
                case PowerOff():
                    turn_off = True
        return turn_off

    async def _prepare(self, turn_off: bool) -> None:
        """Have the images on disk and say so; then, if that is wished, turn the machine off."""
        images = self._host.bootstrap.images_to_pull
        failed = [image for image in images if not await self._pull(image)]
        for image in self._host.bootstrap.images_to_try:
            await self._pull(image)
        if self._images_pulled is not None:
            self._images_pulled = (
                Observation(labels.IMAGES_PULLED_CONDITION, False, "PullFailed", f"not pulled: {', '.join(failed)}")
                if failed
                else Observation(labels.IMAGES_PULLED_CONDITION, True, "ImagesPulled", f"{len(images)} images on disk")
            )
            await self._report()
        required = self._host.bootstrap.image_pull_policy is ImagePullPolicy.REQUIRED
        if turn_off and not (failed and required):
            await self._network_up.wait()
            await asyncio.sleep(_SETTLING_SECONDS)
            for run in tuple(self._runs.values()):
                await run.begun.wait()
            await self._report()
            self._host.power_off()

    async def _pull(self, image: str) -> bool:
        for attempt in range(_PULL_ATTEMPTS):
            try:
                await self._images.pull(image)
            except PullFailed:
                await asyncio.sleep(_FIRST_PULL_PAUSE_SECONDS * 2**attempt)
            else:
                return True
        return False


def _pulling(host: Host) -> Observation | None:
    """What is said about the images of a first boot until they are on disk."""
    if not host.first_boot or not (host.bootstrap.images_to_pull or host.bootstrap.images_to_try):
        return None
    return Observation(labels.IMAGES_PULLED_CONDITION, None, "Pulling", "images are being pulled")


def _request(pod: Pod, resource: str) -> int:
    return effective_requests(pod.spec).get(resource, 0)
