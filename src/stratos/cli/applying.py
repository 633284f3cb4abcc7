"""Applying manifests to a cluster, whatever kinds they are of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from stratos.apis.meta import Kind, KubeObject
from stratos.base.errors import Invalid, NotFound, StratosError
from stratos.cli.manifests import Manifest
from stratos.kube.client import Client
from stratos.workloads.discovery import ServedKind, served_kinds

FIELD_MANAGER = "stratos"


@dataclass(frozen=True, slots=True)
class Applied:
    manifest: Manifest
    kind: Kind[KubeObject]
    key: str


@dataclass(frozen=True, slots=True)
class Refused:
    manifest: Manifest
    error: StratosError  # it names the manifest's file and place, and the fields


async def apply_manifests(
    client: Client, manifests: Sequence[Manifest], *, dry_run: bool = False
) -> tuple[Applied, ...]:
    """Apply them in order, on the server's side. Stops at the first that is refused; those before it stay applied."""
    done = []
    async for outcome in apply_each(client, manifests, dry_run=dry_run):
        if isinstance(outcome, Refused):
            raise outcome.error
        done.append(outcome)
    return tuple(done)


async def apply_each(
    client: Client, manifests: Sequence[Manifest], *, dry_run: bool = False
) -> AsyncIterator[Applied | Refused]:
    """Apply them in order, and tell of each as soon as it is known; one that is refused does not hold up the others."""
    served = await served_kinds(client)
    for manifest in manifests:
        kind = _find(served, manifest)
        if kind is None:  # an earlier manifest may have defined it
            served = await served_kinds(client)
            kind = _find(served, manifest)
        if kind is None:
            yield Refused(manifest, _unknown_kind(manifest))
            continue
        try:
            placed = _placed(kind, manifest)
            applied = await client.apply(kind, placed, field_manager=FIELD_MANAGER, force=True, dry_run=dry_run)
        except StratosError as error:
            yield Refused(manifest, _refusal(manifest, error))
        else:
            yield Applied(manifest, kind, applied.metadata.key)


def _find(served: Sequence[ServedKind], manifest: Manifest) -> Kind[KubeObject] | None:
    wanted = (manifest.obj["apiVersion"], manifest.obj["kind"])
    return next((each.kind for each in served if (each.kind.api_version, each.kind.kind) == wanted), None)


def _placed(kind: Kind[KubeObject], manifest: Manifest) -> dict[str, object]:
    obj = manifest.obj
    if kind.namespaced and not obj["metadata"].get("namespace"):
        return obj | {"metadata": obj["metadata"] | {"namespace": "default"}}
    return obj


def _unknown_kind(manifest: Manifest) -> StratosError:
    return NotFound(
        f"{manifest.source}: the cluster serves no {manifest.obj['kind']} in {manifest.obj['apiVersion']}",
        hint="apply its CustomResourceDefinition first; `kubectl api-resources` lists what is served",
    )


def _refusal(manifest: Manifest, error: StratosError) -> StratosError:
    problems = error.problems if isinstance(error, Invalid) else ()
    named = tuple(f"{problem.field}: {problem.message}" for problem in problems if problem.field)
    return Invalid(
        f"{manifest.source}: {manifest.title} was refused",
        problems=problems,
        looked_at=named or (error.message, *error.looked_at),
        hint=error.hint,
    )
