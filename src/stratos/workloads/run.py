"""All workload controllers at once, over one set of caches."""

from __future__ import annotations

import random

from stratos.base.clock import Clock
from stratos.base.ids import IdSource
from stratos.kube.controller import Manager, Runnable
from stratos.kube.recorder import EventRecorder
from stratos.telemetry.metrics import ControllerMetrics
from stratos.workloads.cronjob.loop import CronJobLoop
from stratos.workloads.daemonset.loop import DaemonSetLoop
from stratos.workloads.deployment.loop import DeploymentLoop
from stratos.workloads.disruptionbudget.loop import DisruptionBudgetLoop
from stratos.workloads.endpoints.loop import EndpointsLoop
from stratos.workloads.garbage.collector import GarbageCollector
from stratos.workloads.job.loop import JobLoop
from stratos.workloads.namespace.loop import NamespaceLoop
from stratos.workloads.nodelifecycle.monitor import NodeMonitorLoop
from stratos.workloads.nodelifecycle.pod_gc import PodGarbageLoop
from stratos.workloads.nodelifecycle.taint_eviction import TaintEvictionLoop
from stratos.workloads.replicaset.loop import ReplicaSetLoop
from stratos.workloads.serviceaccount.loop import NamespaceGiftsLoop
from stratos.workloads.shared import Shared
from stratos.workloads.statefulset.loop import StatefulSetLoop

# All share one recorder, and each is to be known by the name that it has in other clusters.
_OWN_KINDS = ("CronJob", "DaemonSet", "Deployment", "Job", "Node", "ReplicaSet", "StatefulSet")
_SPEAKERS = {kind: f"{kind.lower()}-controller" for kind in _OWN_KINDS} | {"Pod": "taint-eviction-controller"}


def workload_controllers(
    manager: Manager,
    *,
    clock: Clock,
    ids: IdSource,
    rng: random.Random,
    root_certificate: str = "",
    metrics: ControllerMetrics | None = None,
) -> tuple[Runnable, ...]:
    """Make the controllers, add them to ``manager`` together with their event recorder, and return them all.

    The scheduler is not among them: it is started on its own. ``root_certificate`` is the PEM text that pods are given
    to trust the API server by.
    """
    recorder = EventRecorder(manager.client, "controller-manager", clock=clock, ids=ids, speakers=_SPEAKERS)
    shared = Shared(manager, clock=clock, rng=rng, recorder=recorder, metrics=metrics)
    controllers: tuple[Runnable, ...] = (
        recorder,
        DeploymentLoop(shared).controller(),
        ReplicaSetLoop(shared).controller(),
        StatefulSetLoop(shared).controller(),
        DaemonSetLoop(shared).controller(),
        JobLoop(shared).controller(),
        CronJobLoop(shared).controller(),
        DisruptionBudgetLoop(shared).controller(),
        EndpointsLoop(shared).controller(),
        NodeMonitorLoop(shared).controller(),
        TaintEvictionLoop(shared).controller(),
        PodGarbageLoop(shared).controller(),
        NamespaceLoop(shared).controller(),
        NamespaceGiftsLoop(shared, root_certificate).controller(),
    )
    # Last, so that it finds the caches of all the others to share.
    controllers = (*controllers, GarbageCollector(shared))
    manager.add(*controllers)
    return controllers
