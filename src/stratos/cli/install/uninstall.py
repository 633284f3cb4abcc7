"""Takes Stratos off a cluster. Machines cost money after it is gone, so it does not go before them unless told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratos.apis.crds import CUSTOM_KINDS
from stratos.apis.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from stratos.apis.meta import Kind, find_condition
from stratos.apis.nodeclaim import NODE_CLAIM, ClaimCondition, NodeClaim
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.base.errors import Conflict, NotFound, NotReady
from stratos.base.words import counted
from stratos.cli.connect import connected
from stratos.kube.client import Client
from stratos.wiring.installation import Values
from stratos.wiring.installation.parts import all_parts
from stratos.wiring.installation.values import WebhookValues
from stratos.workloads.discovery import served_kinds

_LOOK_SECONDS = 0.5
_SHOWN = 10
_KEPT = frozenset({"Namespace", "CustomResourceDefinition", "NodeTemplate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UninstallOptions:
    kubeconfig: Path | None
    force: bool  # leave machines behind
    delete_machines: bool
    delete_crds: bool
    webhook_config_prefix: str
    timeout: str


def run_uninstall(options: UninstallOptions) -> None:
    async def run() -> None:
        async with connected(options.kubeconfig) as client:
            await uninstall(client, options)

    asyncio.run(run())


async def uninstall(client: Client, options: UninstallOptions) -> None:
    """Raises `Conflict` when machines would be left behind, and nobody said that they may."""
    if options.delete_machines:
        await _delete_machines(client, parse_duration_seconds(options.timeout))
    claims = await _claims(client)
    if claims and (options.delete_crds or not options.force):
        raise _machines_left(claims, crds=options.delete_crds)
    deleted = await _remove(client, options.webhook_config_prefix)
    for line in deleted or ("nothing of an installation is there",):
        print(line)
    if options.delete_crds:
        for custom in CUSTOM_KINDS:
            await _delete(client, CUSTOM_RESOURCE_DEFINITION, custom.name)
        print("the kinds are gone, and every object of them")
    if claims:
        print(f"{counted(len(claims), 'machine')} left running, which nobody looks after:")
        for claim in claims:
            print(f"  {_line(claim)}")


def _machines_left(claims: Sequence[NodeClaim], *, crds: bool) -> Conflict:
    lines = [_line(claim) for claim in claims[:_SHOWN]]
    if len(claims) > _SHOWN:
        lines.append(f"and {len(claims) - _SHOWN} more")
    what = "the kinds are needed to know of them" if crds else "they would cost money, and nobody would look after them"
    return Conflict(
        f"{counted(len(claims), 'machine')} would be left behind: {what}",
        looked_at=tuple(lines),
        hint="--delete-machines ends them first; --force leaves them running",
    )


def _line(claim: NodeClaim) -> str:
    owner = f"NodePool {claim.spec.pool}" if claim.spec.pool else f"NodeTemplate {claim.spec.template}"
    state = claim.status.state or "not launched yet"
    line = f"{owner}: {claim.status.instance_id or claim.metadata.name} {claim.status.instance_type} {state}".rstrip()
    held = [find_condition(claim.status.conditions, type_) for type_ in (ClaimCondition.DRAINED, ClaimCondition.ENDED)]
    return ", ".join((line, *(each.message for each in held if each is not None and each.status == "False")))


async def _claims(client: Client) -> list[NodeClaim]:
    try:
        return [claim async for claim in client.list_all(NODE_CLAIM)]
    except NotFound:
        return []  # the kinds have been removed already


async def _delete_machines(client: Client, timeout_seconds: float) -> None:
    """The controllers do it, as they do for every pool that is deleted; here it is only waited for."""
    owners: tuple[Kind[Any], ...] = (NODE_POOL, NODE_TEMPLATE)
    for kind in owners:
        for name in [each.metadata.name async for each in client.list_all(kind)]:
            print(f"deleting {kind.kind} {name}")
            await _delete(client, kind, name)
    claims: list[NodeClaim] = []
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                claims = await _claims(client)
                if not claims:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        raise NotReady(
            f"{counted(len(claims), 'machine')} not gone after {format_duration(timeout_seconds)}",
            looked_at=tuple(_line(claim) for claim in claims[:_SHOWN]),
            hint="stratos explain node/NAME says what keeps one; where nothing moves, do the controllers run?"
            " kubectl logs deployment/stratos-controller -n stratos-system",
        ) from error


async def _remove(client: Client, webhook_prefix: str) -> list[str]:
    """Delete what an installation may have brought, last things first; what was deleted, line by line.

    The kinds, the namespace and templates stay: what is in them may be the user's own.
    """
    served = {(each.kind.api_version, each.kind.kind): each.kind for each in await served_kinds(client)}
    values = Values(webhook=WebhookValues(config_prefix=webhook_prefix))
    objects = [obj for part in all_parts(values) for obj in part.objects]
    deleted = []
    for obj in reversed(objects):
        kind = served.get((obj["apiVersion"], obj["kind"]))
        if kind is None or obj["kind"] in _KEPT:
            continue
        metadata = obj["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}" if kind.namespaced else metadata["name"]
        if await _delete(client, kind, key):
            deleted.append(f"{obj['kind'].lower()}/{metadata['name']} deleted")
    return deleted


async def _delete(client: Client, kind: Kind[Any], key: str) -> bool:
    try:
        await client.delete(kind, key, propagation="Background")
    except NotFound:
        return False
    return True
