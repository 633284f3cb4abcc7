"""A day that people made up: one pool and a few workloads, for tests that must not depend on what a seed draws."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import Kind
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.sim.scenario import SERVED_BY, Act, Scenario

POOL = "ci"


def a_day(*acts: Act, size: int = 4, standby: int = 1, **spec: Any) -> Scenario:
    """A pool of small machines at once, then ``acts``. Empty nodes are parked after ten seconds."""
    template = {"nodeClassRef": {"kind": "SimNodeClass", "name": POOL}, "labels": {SERVED_BY: POOL}}
    scale_down = {"emptyNodeTTL": "10s", "drainTimeout": "10s"}
    body = {"poolSize": size, "minStandby": standby, "template": template, "scaleDown": scale_down, **spec}
    pool = (_create(0, SIM_NODE_CLASS, POOL, {"instanceType": "m5.large"}), _create(1, NODE_POOL, POOL, body))

    def written(_: random.Random, seconds: float) -> tuple[Act, ...]:
        return tuple(sorted((*pool, *acts), key=lambda act: act.at_seconds))

    return written


def pods(replicas: int, *, at: float = 300, cpu: str = "1500m") -> Act:
    """A Deployment; by default each of its pods fills a machine."""
    container = {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    labels = {"app": "web", SERVED_BY: POOL}
    template = {
        "metadata": {"labels": labels},
        "spec": {"nodeSelector": {SERVED_BY: POOL}, "containers": [container], "terminationGracePeriodSeconds": 5},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return _create(at, DEPLOYMENT, "default/web", spec)


def scaled_to(replicas: int, *, at: float) -> Act:
    return Act(at, DEPLOYMENT, "default/web", change={"spec": {"replicas": replicas}})


def budget(*, at: float = 300, **limit: Any) -> Act:
    return _create(at, POD_DISRUPTION_BUDGET, "default/web", {"selector": {"matchLabels": {"app": "web"}}, **limit})


def pool_deleted(*, at: float) -> Act:
    return Act(at, NODE_POOL, POOL)


def _create(at: float, kind: Kind[Any], key: str, spec: Mapping[str, Any]) -> Act:
    namespace, _, name = key.rpartition("/")
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return Act(at, kind, key, manifest={"metadata": metadata, "spec": dict(spec)})
