"""Applying manifests to a cluster, whatever kinds they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratos.apis.meta import Kind, KubeObject
from stratos.base.errors import NotFound
from stratos.cli.manifests import Manifest
from stratos.kube.client import Client
from stratos.workloads.discovery import ServedKind, served_kinds

FIELD_MANAGER = "stratos"


@dataclass(frozen=True, slots=True)
class Applied:
    manifest: Manifest
    kind: Kind[KubeObject]
    key: str


async def apply_manifests(client: Client, manifests: Sequence[Manifest]) -> tuple[Applied, ...]:
    """Apply them in order, on the server's side. Stops at the first that is refused; those before it stay applied."""
    served = await served_kinds(client)
    done = []
    for manifest in manifests:
        kind = _find(served, manifest)
        if kind is None:  # an earlier manifest may have defined it
            served = await served_kinds(client)
            kind = _find(served, manifest)
        if kind is None:
            raise NotFound(
                f"{manifest.source}: the cluster serves no {manifest.obj['kind']} in {manifest.obj['apiVersion']}",
                hint="apply its CustomResourceDefinition first; `kubectl api-resources` lists what is served",
            )
        obj = manifest.obj
        if kind.namespaced and not obj["metadata"].get("namespace"):
            obj = obj | {"metadata": obj["metadata"] | {"namespace": "default"}}
        applied = await client.apply(kind, obj, field_manager=FIELD_MANAGER, force=True)
        done.append(Applied(manifest, kind, applied.metadata.key))
    return tuple(done)


def _find(served: Sequence[ServedKind], manifest: Manifest) -> Kind[KubeObject] | None:
    wanted = (manifest.obj["apiVersion"], manifest.obj["kind"])
    return next((each.kind for each in served if (each.kind.api_version, each.kind.kind) == wanted), None)
