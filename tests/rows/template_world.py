"""Pods that select no template, and what stories about templates look at: who runs where, and for how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.pool_stories import Story
from controllers.template_stories import pods
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.job import JOB
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.pod import POD, Pod

LUNA = {"elotl-luna": "true"}
"""What marks pods for machines where it was Luna that made them."""

SPARING = KubeletOptions(lease_seconds=20)
"""Half the usual heartbeats, for stories that take hours."""


def a_pod_spec(
    *,
    cpu: str = "100m",
    memory: str = "128Mi",
    gpus: int = 0,
    seconds: float | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A pod that runs for ``seconds``, or for ever."""
    resources: dict[str, Any] = {"requests": {"cpu": cpu, "memory": memory}}
    if gpus:
        resources["limits"] = {"nvidia.com/gpu": str(gpus)}
    container: dict[str, Any] = {"name": "main", "image": "app:1", "resources": resources}
    if seconds is not None:
        container["command"] = ["sleep", f"{seconds:g}"]
    return {"restartPolicy": "Never", "containers": [container], **spec}


async def add_pod(
    story: Story,
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> None:
    """``spec`` is as `a_pod_spec` takes it."""
    metadata = {"name": name, "namespace": "default", "labels": labels or {}, "annotations": annotations or {}}
    await story.client.create(POD, {"metadata": metadata, "spec": a_pod_spec(**spec)})


async def add_job(
    story: Story, name: str, *, completions: int = 1, parallelism: int = 1, retries: int = 6, **spec: Any
) -> None:
    """A Job whose pods are as `a_pod_spec` makes them."""
    body = {
        "completions": completions,
        "parallelism": parallelism,
        "backoffLimit": retries,
        "template": {"metadata": {"labels": {"app": name}}, "spec": a_pod_spec(**spec)},
    }
    await story.client.create(JOB, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def job_is_done(story: Story, name: str) -> bool:
    job = await story.client.get(JOB, f"default/{name}")
    return job.status.completion_time is not None


async def node_of(story: Story, pod: str) -> Node:
    """The node that the pod is bound to."""
    return await story.client.get(NODE, (await story.pod(pod)).spec.node_name or "")


async def running(story: Story) -> dict[str, str]:
    """The pods that run, and on which node."""
    return {pod.metadata.name: pod.spec.node_name or "" for pod in await pods(story) if is_running(pod)}


def is_running(pod: Pod) -> bool:
    return pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None


async def wait_no_machines(story: Story, within: float = 3600.0) -> float:
    async def none_left() -> bool:
        return not await story.claims() and not story.machines()

    return await story.wait(none_left, within, every=5)


def price(claims: list[NodeClaim]) -> float:
    """What the machines cost, in US dollars per hour."""
    return sum(claim.spec.price_usd_per_hour or 0.0 for claim in claims)
