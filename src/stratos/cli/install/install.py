"""Puts Stratos on a cluster, or a newer one in the place of an older: kinds first, then whatever needs them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stratos.apis.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import is_condition_true
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.base.errors import NotFound, NotReady
from stratos.cli.applying import Refused, apply_each
from stratos.cli.connect import connected
from stratos.cli.install.values import read_values
from stratos.cli.manifests import Manifest
from stratos.kube.client import Client
from stratos.providers.aws.permissions import iam_policy
from stratos.wiring.installation import Values, installation
from stratos.wiring.installation.upgrade import rewrite_stored
from stratos.wiring.installation.yaml_text import manifests_yaml

_LOOK_SECONDS = 0.25
_FIRST = frozenset({"Namespace", "CustomResourceDefinition"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOptions:
    values: Sequence[Path]
    settings: Sequence[str]
    kubeconfig: Path | None
    dry_run: bool
    print_iam_policy: bool
    wait: bool
    timeout: str


def run_install(options: InstallOptions) -> None:
    values = read_values(options.values, options.settings, create_namespace=True)
    if options.print_iam_policy:
        policy = iam_policy(values.cluster_name, partition=partition_of(values.region))
        print(msgspec.json.format(msgspec.json.encode(policy), indent=2).decode())
    elif options.dry_run:
        print(manifests_yaml(installation(values)), end="")
    else:
        asyncio.run(_install(options, values))


def partition_of(region: str) -> str:
    """The part of AWS that a region is in, as names of resources begin with it."""
    special = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in special.items() if region.startswith(prefix)), "aws")


async def _install(options: InstallOptions, values: Values) -> None:
    objects = installation(values)
    async with connected(options.kubeconfig) as client:
        await apply_installation(client, objects)
        if options.wait:
            await _wait_running(client, objects, parse_duration_seconds(options.timeout))
    print("Stratos is installed. Next: a node class and a NodePool or a NodeTemplate, as in examples/.")


async def apply_installation(client: Client, objects: Sequence[dict[str, Any]]) -> None:
    """Raises `NotReady` when some objects were refused, after it has told of each."""
    refused = await _apply(client, [obj for obj in objects if obj["kind"] in _FIRST])
    names = [obj["metadata"]["name"] for obj in objects if obj["kind"] == "CustomResourceDefinition"]
    await _wait_served(client, names)
    for kind in await rewrite_stored(client):
        if kind.rewritten:
            print(f"{kind.kind}: {len(kind.rewritten)} stored in the present form")
        for name, reason in kind.refused:
            print(f"{kind.kind} {name} stays stored as it was: {reason}", file=sys.stderr)
    refused += await _apply(client, [obj for obj in objects if obj["kind"] not in _FIRST])
    if refused:
        raise NotReady(f"{refused} of {len(objects)} objects were refused; the others are applied")


async def _apply(client: Client, objects: Sequence[dict[str, Any]]) -> int:
    """How many were refused."""
    refused = 0
    async for outcome in apply_each(client, [Manifest(obj, "installation") for obj in objects]):
        if isinstance(outcome, Refused):
            refused += 1
            print(outcome.error.explain(), file=sys.stderr)
        else:
            print(f"{outcome.manifest.title} applied")
    return refused


async def _wait_served(client: Client, names: Sequence[str]) -> None:
    async def waiting_for() -> list[str]:
        definitions = {each.metadata.name: each async for each in client.list_all(CUSTOM_RESOURCE_DEFINITION)}
        return [
            name
            for name in names
            if name not in definitions or not is_condition_true(definitions[name].status.conditions, "Established")
        ]

    await _wait(waiting_for, 60.0)


async def _wait_running(client: Client, objects: Sequence[dict[str, Any]], timeout_seconds: float) -> None:
    """Until the Deployments are there in full; their pods' own words are told when that takes too long."""
    wanted = [obj for obj in objects if obj["kind"] == "Deployment"]

    async def waiting_for() -> list[str]:
        late = []
        for obj in wanted:
            metadata = obj["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            try:
                deployment = await client.get(DEPLOYMENT, key)
            except NotFound:
                late.append(f"deployment {key} is gone")
                continue
            status = deployment.status
            replicas = obj["spec"]["replicas"]
            if (
                status.observed_generation < deployment.metadata.generation
                or min(status.updated_replicas, status.available_replicas) < replicas
            ):
                late.append(f"deployment {key}: {status.available_replicas} of {replicas} pods are available")
        return late

    await _wait(waiting_for, timeout_seconds)


async def _wait(waiting_for: Callable[[], Awaitable[list[str]]], timeout_seconds: float) -> None:
    late: list[str] = []
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                late = await waiting_for()
                if not late:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        raise NotReady(
            f"not there after {format_duration(timeout_seconds)}",
            looked_at=tuple(late),
            hint="kubectl describe pods -n stratos-system says why; everything is applied, and may yet come up",
        ) from error
