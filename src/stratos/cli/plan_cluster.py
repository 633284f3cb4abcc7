"""Planning for a cluster from outside, by the planners that its controllers ask, and carrying such a plan out.

Applying makes the plan again and compares: if the answer is another by now, nothing is done. Claims are written before
the workloads, so that the provisioning loop finds machines on their way when the pods come, and asks for no others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from stratos.apis.meta import Kind, KubeObject
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.apis.pod import POD, Pod
from stratos.base.clock import Clock
from stratos.base.errors import Conflict, Invalid, NotFound
from stratos.base.ids import IdSource
from stratos.base.words import counted
from stratos.cli.applying import apply_manifests
from stratos.cli.following import catalog_of, looking
from stratos.cli.manifests import Manifest
from stratos.cli.plan_file import KeptPlan
from stratos.kube.client import Client
from stratos.planning.disruption.rebalance import Rebalancing, plan_rebalancing
from stratos.planning.estimating.addition import Addition, new_pods, plan_addition
from stratos.planning.estimating.workloads import Workload, read_workload
from stratos.planning.provisioning.claims import claim_manifest
from stratos.planning.provisioning.plan import NewMachine
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot
from stratos.wiring.lookout import OutsideView
from stratos.workloads.discovery import ServedKind, served_kinds

_DECIDED = "Planned"
_LOOKS, _LOOK_SECONDS = 50, 0.1  # controllers make the pods of a workload in a moment, or not at all


@dataclass(frozen=True, slots=True)
class Planned:
    addition: Addition
    catalog: str  # what it was planned by, cloud/region
    names: Mapping[str, str] = field(default_factory=dict)  # added pod → what it will be called: ``default/web-*``
    notes: tuple[str, ...] = ()


class _Whole(KubeObject):
    """An object with all that its spec says, whatever kind it is of."""

    spec: dict[str, Any] = {}


async def plan_manifests(client: Client, clock: Clock, manifests: Sequence[Manifest], *, catalog: str = "") -> Planned:
    """What the cluster would do if ``manifests`` were applied. Raises `Invalid` naming the manifest and the field.

    ``catalog`` is what the cluster's cloud sells, ``cloud/region``; empty: as its machines tell.
    """
    served = await served_kinds(client)
    added: list[Pod] = []
    names: dict[str, str] = {}
    notes: list[str] = []
    for manifest in manifests:
        workload = _workload(manifest)
        if workload is not None:
            pods, said = new_pods(workload, await _present(client, served, manifest, workload))
            added += pods
            made = "" if workload.kind == POD.kind else f"{workload.namespace}/{workload.name}-*"
            names |= {pod.metadata.key: made or pod.metadata.key for pod in pods}
            notes += [f"{manifest.title}: {note}" for note in said]
    catalog = catalog or await catalog_of(client)
    async with looking(client, clock, catalog) as view:
        look = _with_templates(view, manifests)
        addition = plan_addition(look, added, served_by_pools=view.pools.at_hand)
    return Planned(addition, catalog, names, tuple(notes))


def _with_templates(view: OutsideView, manifests: Sequence[Manifest]) -> ProvisioningSnapshot:
    """The cluster with the templates that are about to be applied, too. Of a class that comes with them nobody knows
    yet what it reaches: all zones are assumed.
    """
    look = view.templates.look()
    classes = {(manifest.obj["kind"], manifest.obj["metadata"]["name"]) for manifest in manifests}
    templates = {template.metadata.name: template for template in look.templates}
    grounds = dict(look.grounds)
    for manifest in manifests:
        if manifest.obj["kind"] != NODE_TEMPLATE.kind:
            continue
        template = _template(manifest)
        ref, name = template.spec.node_class_ref, template.metadata.name
        templates[name] = template
        comes_along = (ref.kind, ref.name) in classes
        grounds[name] = LaunchGround(look.catalog.zones) if comes_along else view.templates.ground_of(template)
    return replace(look, templates=tuple(templates[name] for name in sorted(templates)), grounds=grounds)


def _template(manifest: Manifest) -> NodeTemplate:
    try:
        return msgspec.convert(manifest.obj, NodeTemplate)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        raise Invalid(f"{manifest.source}: {manifest.title}: {place.strip('.`')}: {problem}") from error


async def plan_cheaper(client: Client, clock: Clock, *, catalog: str = "") -> tuple[Rebalancing, ...]:
    """For each template with machines, whether its pods could be held at less cost, and what it would take."""
    async with looking(client, clock, catalog or await catalog_of(client)) as view:
        return plan_rebalancing(view.disruption.look())


async def apply_plan(client: Client, clock: Clock, ids: IdSource, plan: KeptPlan) -> tuple[str, ...]:
    """Do what was planned, and tell it line by line. Raises `Conflict`, with nothing done, if it no longer holds."""
    manifests = [Manifest(kept.obj, kept.source) for kept in plan.manifests]
    planned = await plan_manifests(client, clock, manifests, catalog=plan.catalog)
    differences = plan.moved_on(planned.addition.machines)
    if differences:
        raise Conflict(
            f"the cluster has moved on since this plan was made at {plan.made_at:%Y-%m-%d %H:%M:%S}; nothing is done",
            looked_at=differences,
            hint="look at a new plan: stratos plan -f FILE",
        )
    workloads = [manifest for manifest in manifests if _workload(manifest) is not None]
    others = [manifest for manifest in manifests if manifest not in workloads]
    told = [f"{each.manifest.title} applied" for each in await apply_manifests(client, others)]
    await apply_manifests(client, workloads, dry_run=True)  # a refusal should come before there are machines to pay for
    claims = [await _ask_for(client, ids, machine, planned.names) for machine in planned.addition.machines]
    told += [
        f"nodeclaim/{claim.metadata.name} asked for: {claim.spec.instance_type} {claim.spec.capacity_type}"
        f" in {claim.spec.zone}"
        for claim in claims
    ]
    told += [f"{each.manifest.title} applied" for each in await apply_manifests(client, workloads)]
    await _name_pods(client, claims)
    cost = planned.addition.cost_added_usd_per_hour
    return (*told, f"{counted(len(claims), 'machine')} asked for, ${cost:.4f}/h")


async def _ask_for(client: Client, ids: IdSource, machine: NewMachine, names: Mapping[str, str]) -> NodeClaim:
    template = await client.get(NODE_TEMPLATE, machine.template)
    pods = tuple(sorted(names.get(pod, pod) for pod in machine.pods))
    decision = msgspec.structs.replace(machine.decision, reason=_DECIDED, pods=pods)
    name = f"{machine.template}-{ids.suffix()}"
    return await client.create(NODE_CLAIM, claim_manifest(name, template, replace(machine, decision=decision)))


async def _name_pods(client: Client, claims: Sequence[NodeClaim]) -> None:
    """Write into the claims which pods they are for, now that these have names: nodes are kept for pods by name.

    Pods that do not come in time get room by the name of their workload, as long as the claim says so.
    """
    wanted = Counter(name for claim in claims for name in _pods_of(claim) if name.endswith("*"))
    found: dict[str, list[str]] = {}
    for _ in range(_LOOKS):
        found = await _nameless(client, wanted)
        if all(len(found[name]) >= number for name, number in wanted.items()):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    for claim in sorted(claims, key=lambda claim: claim.metadata.name):
        pods = [found[name].pop(0) if found.get(name) else name for name in _pods_of(claim)]
        if pods != list(_pods_of(claim)):
            await client.patch(NODE_CLAIM, claim.metadata.name, {"spec": {"decision": {"pods": pods}}})


async def _nameless(client: Client, names: Iterable[str]) -> dict[str, list[str]]:
    """By name the pods without a node, in the order in which the provisioning loop promises them machines."""
    prefixes = sorted((name.removesuffix("*") for name in names), key=len, reverse=True)
    found: dict[str, list[str]] = {f"{prefix}*": [] for prefix in prefixes}
    for namespace in sorted({prefix.partition("/")[0] for prefix in prefixes}):
        keys = [pod.metadata.key async for pod in client.list_all(POD, namespace=namespace) if not pod.spec.node_name]
        for key in sorted(keys):
            prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
            if prefix is not None:
                found[f"{prefix}*"].append(key)
    return found


def _pods_of(claim: NodeClaim) -> tuple[str, ...]:
    return claim.spec.decision.pods if claim.spec.decision is not None else ()


def _workload(manifest: Manifest) -> Workload | None:
    try:
        return read_workload(manifest.obj)
    except Invalid as error:
        raise Invalid(f"{manifest.source}: {manifest.title}: {error.message}", hint=error.hint) from error


async def _present(
    client: Client, served: Sequence[ServedKind], manifest: Manifest, workload: Workload
) -> Workload | None:
    """The same workload as the cluster has it now."""
    wanted = (manifest.obj["apiVersion"], manifest.obj["kind"])
    kind = next((each.kind for each in served if (each.kind.api_version, each.kind.kind) == wanted), None)
    if kind is None:
        return None
    try:
        there = await client.get(_whole(kind), f"{workload.namespace}/{workload.name}")
    except NotFound:
        return None
    metadata = {"name": workload.name, "namespace": workload.namespace}
    annotated = {**metadata, "labels": there.metadata.labels, "annotations": there.metadata.annotations}
    return read_workload({"apiVersion": wanted[0], "kind": wanted[1], "metadata": annotated, "spec": there.spec})


def _whole(kind: Kind[KubeObject]) -> Kind[_Whole]:
    return Kind(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced, _Whole)
