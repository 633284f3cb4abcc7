"""What stories about NodeTemplates need beside those about pools: templates, workloads, and where their pods run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from controllers.pool_stories import Story
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.event import EVENT
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.apis.pod import POD, Pod
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.base.errors import AlreadyExists

ANY = {"stratos.sh/template": "any"}
"""The selector of pods for the template that `add_template` makes."""


async def add_template(story: Story, name: str = "any", **spec: Any) -> None:
    """A template, and the class that all share. It names no type: that is the template's business."""
    with suppress(AlreadyExists):
        await story.client.create(SIM_NODE_CLASS, {"metadata": {"name": "sim"}, "spec": {}})
    body = {"nodeClassRef": {"kind": "SimNodeClass", "name": "sim"}, **spec}
    await story.client.create(NODE_TEMPLATE, {"metadata": {"name": name}, "spec": body})


async def template(story: Story, name: str = "any") -> NodeTemplate:
    return await story.client.get(NODE_TEMPLATE, name)


async def add_deployment(
    story: Story,
    name: str,
    replicas: int,
    *,
    cpu: str = "500m",
    memory: str = "512Mi",
    gpus: int = 0,
    selector: Mapping[str, str] | None = None,
    **spec: Any,
) -> None:
    """Pods that run for ever. ``spec`` is of the pods."""
    requests = {"cpu": cpu, "memory": memory}
    resources: dict[str, Any] = {"requests": requests}
    if gpus:
        resources["limits"] = {"nvidia.com/gpu": str(gpus)}
    pod = {
        "nodeSelector": dict(ANY if selector is None else selector),
        "containers": [{"name": "main", "image": "app:1", "resources": resources}],
        **spec,
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    await story.client.create(DEPLOYMENT, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def pods(story: Story) -> list[Pod]:
    return [pod async for pod in story.client.list_all(POD)]


async def wait_running(story: Story, number: int, within: float = 900.0, *, every: float = 0.5) -> float:
    """How long it took until so many pods ran."""

    async def all_run() -> bool:
        return sum(pod.status.phase == "Running" for pod in await pods(story)) == number

    return await story.wait(all_run, within, every=every)


async def pod_events(story: Story, reason: str) -> list[tuple[str, str]]:
    """Whom they are about, and what they say; oldest first."""
    found = [event async for event in story.client.list_all(EVENT) if event.involved_object.kind == "Pod"]
    return [(event.involved_object.name, event.message) for event in found if event.reason == reason]


def types_in_use(story: Story) -> Sequence[str]:
    return sorted(machine.instance_type for machine in story.machines())
