"""``stratos explain``: looks at the cluster once, and prints the story of one thing in it."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from stratos.apis.event import EVENT, Event
from stratos.apis.meta import Kind, KubeObject, Struct
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.base.clock import Clock
from stratos.base.errors import Invalid, NotFound, StratosError
from stratos.cli.connect import connected, set_watch
from stratos.cli.explaining.node import tell_node, tell_template_node, tell_unmanaged_node
from stratos.cli.explaining.nodetemplate import tell_template
from stratos.cli.explaining.pod import tell_pod
from stratos.cli.explaining.pool import tell_pool
from stratos.cli.explaining.scene import Scene
from stratos.cli.explaining.story import Story
from stratos.cli.following import catalog_of, looking
from stratos.controllers.pools.look import Lookout
from stratos.kube.client import Client
from stratos.snapshot.provisioning import ProvisioningSnapshot

_NAMES_SHOWN = 5

_KINDS = {
    "pod": "pod",
    "pods": "pod",
    "po": "pod",
    "node": "node",
    "nodes": "node",
    "no": "node",
    "nodepool": "nodepool",
    "nodepools": "nodepool",
    "np": "nodepool",
    "npool": "nodepool",
    "nodetemplate": "nodetemplate",
    "nodetemplates": "nodetemplate",
    "nt": "nodetemplate",
}


def run_explain(what: str, namespace: str, *, as_json: bool, kubeconfig: Path | None) -> None:
    kind, name = _parse(what)
    story = asyncio.run(_explain(kind, name, namespace, kubeconfig))
    print(json.dumps(story.to_json(), indent=2, ensure_ascii=False) if as_json else story.to_text())


def _parse(what: str) -> tuple[str, str]:
    written, _, name = what.partition("/")
    kind = _KINDS.get(written.lower())
    if kind is None or not name or "/" in name:
        raise Invalid(
            f"{what!r} names nothing that can be explained",
            looked_at=("what can be: pod/NAME, node/NAME, nodepool/NAME, nodetemplate/NAME",),
            hint=f"stratos explain pod/{written if kind is None and not name else 'NAME'}",
        )
    return kind, name


async def _explain(kind: str, name: str, namespace: str, kubeconfig: Path | None) -> Story:
    async with connected(kubeconfig) as client:
        clock = await set_watch(client)
        return await explain(client, clock, kind, name, namespace)


async def explain(client: Client, clock: Clock, kind: str, name: str, namespace: str) -> Story:
    """The story of a ``pod`` (in ``namespace``), a ``node``, a ``nodepool`` or a ``nodetemplate``.

    Raises `NotFound` with close names.
    """
    async with looking(client, clock, await catalog_of(client)) as view:
        lookout = view.pools
        scene = Scene(
            taken_at=clock.now(),
            looks=tuple(lookout.glance(pool) for pool in sorted(lookout.pools, key=_name)),
            waiting=tuple(lookout.waiting()),
            budgets=tuple([budget async for budget in client.list_all(POD_DISRUPTION_BUDGET)]),
            world=view.templates.look(),
            compile_pod=lookout.compile_pod,
        )
        match kind:
            case "pod":
                return await _explain_pod(client, lookout, scene, f"{namespace}/{name}")
            case "node":
                return _explain_node(lookout, scene, name)
            case "nodepool":
                return await _explain_pool(client, lookout, scene, name)
            case _:
                return await _explain_template(client, scene, view.templates.look(), name)


async def _explain_pod(client: Client, lookout: Lookout, scene: Scene, key: str) -> Story:
    pod = lookout.pods.get(key)
    if pod is None:
        raise _no_pod(lookout, key)
    return tell_pod(scene, pod, await _events_of(client, "Pod", pod), await _started_at(client, key))


def _no_pod(lookout: Lookout, key: str) -> NotFound:
    namespace, _, name = key.partition("/")
    elsewhere = sorted(pod.metadata.namespace for pod in lookout.pods if pod.metadata.name == name)
    if elsewhere:
        return NotFound(
            f"there is no pod {name} in namespace {namespace}",
            looked_at=(f"pods of that name are in: {', '.join(elsewhere)}",),
            hint=f"stratos explain pod/{name} -n {elsewhere[0]}",
        )
    names = (pod.metadata.name for pod in lookout.pods if pod.metadata.namespace == namespace)
    return _unknown(f"pod {name} in namespace {namespace}", name, names)


def _explain_node(lookout: Lookout, scene: Scene, name: str) -> Story:
    found = scene.machine_of_node(name)
    if found is not None:
        look, machine = found
        return tell_node(scene, machine, look.pool)
    claim = scene.template_claim_of_node(name)
    on_node = claim.status.node_name if claim is not None else name
    pods = [pod for pod in lookout.pods if on_node and pod.spec.node_name == on_node]
    if claim is not None:
        return tell_template_node(scene, claim, pods)
    node = lookout.nodes.get(name)
    if node is not None:
        return tell_unmanaged_node(node, pods)
    claims = (claim.metadata.name for claim in lookout.claims)
    raise _unknown(f"node {name}", name, (*map(_name, lookout.nodes), *claims))


async def _explain_pool(client: Client, lookout: Lookout, scene: Scene, name: str) -> Story:
    pool = lookout.pools.get(name)
    if pool is None:
        raise _unknown(f"nodepool {name}", name, map(_name, lookout.pools))
    return tell_pool(scene, lookout.look(pool), await _events_of(client, "NodePool", pool))


async def _explain_template(client: Client, scene: Scene, world: ProvisioningSnapshot, name: str) -> Story:
    template = next((each for each in world.templates if each.metadata.name == name), None)
    if template is None:
        raise _unknown(f"nodetemplate {name}", name, map(_name, world.templates))
    return tell_template(scene, world, template, await _events_of(client, "NodeTemplate", template))


def _unknown(what: str, name: str, known: Iterable[str]) -> NotFound:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=_NAMES_SHOWN, cutoff=0.5)
    shown = ", ".join(close or names[:_NAMES_SHOWN]) or "none"
    more = ", …" if not close and len(names) > _NAMES_SHOWN else ""
    return NotFound(f"there is no {what}", looked_at=(f"{'close names' if close else 'there are'}: {shown}{more}",))


def _name(obj: KubeObject) -> str:
    return obj.metadata.name


# Asking the cluster


async def _events_of(client: Client, kind: str, obj: KubeObject) -> tuple[Event, ...]:
    """What was told about the object. Events are a help, not a need: without the right to read them there are none."""
    selector = f"involvedObject.kind={kind},involvedObject.name={obj.metadata.name}"
    try:
        page = await client.list(EVENT, namespace=obj.metadata.namespace or None, field_selector=selector)
    except StratosError:
        return ()
    return tuple(event for event in page.items if event.involved_object.uid in ("", obj.metadata.uid))


class _Times(Struct):
    started_at: datetime | None = None


class _State(Struct):
    running: _Times | None = None
    terminated: _Times | None = None


class _ContainerStatus(Struct):
    state: _State = _State()


class _PodStatus(Struct):
    container_statuses: tuple[_ContainerStatus, ...] | None = None


class _StartedPod(KubeObject):
    """A pod as far as caches leave it out: when its containers started decides nothing."""

    status: _PodStatus = _PodStatus()


_STARTED_POD = Kind(group="", version="v1", plural="pods", kind="Pod", namespaced=True, type=_StartedPod)


async def _started_at(client: Client, key: str) -> datetime | None:
    """When the last of the pod's containers started; None while one of them has not."""
    pod = await client.get(_STARTED_POD, key)
    states = [status.state for status in pod.status.container_statuses or ()]
    times = [(state.running or state.terminated or _Times()).started_at for state in states]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None
