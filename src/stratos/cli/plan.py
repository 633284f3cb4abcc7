"""``stratos plan`` and ``stratos apply``: what a cluster would do about manifests, and then exactly that."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

from stratos.base.errors import Conflict
from stratos.base.ids import SeededIds
from stratos.cli.connect import DATA_DIRECTORY, choose_access, connected, set_watch
from stratos.cli.manifests import Manifest, read_manifests
from stratos.cli.plan_cluster import Planned, apply_plan, plan_cheaper, plan_manifests
from stratos.cli.plan_file import KeptManifest, KeptPlan, new_plan, read_plan, write_plan
from stratos.cli.plan_report import addition_to_json, addition_to_text, rebalancing_to_json, rebalancing_to_text
from stratos.planning.disruption.rebalance import Rebalancing

PLAN_NAME = "plan.json"


def run_plan(files: Sequence[Path], out: Path | None, catalog: str, *, as_json: bool, kubeconfig: Path | None) -> None:
    """Plan for ``files`` and keep the plan; without any, look for a cheaper set of machines for what runs."""
    if not files:
        answers = asyncio.run(_plan_cheaper(catalog, kubeconfig))
        print(
            json.dumps(rebalancing_to_json(answers), indent=2, ensure_ascii=False)
            if as_json
            else rebalancing_to_text(answers)
        )
        return
    file = out or DATA_DIRECTORY.expanduser() / PLAN_NAME
    planned, kept = asyncio.run(_plan(read_manifests(files), catalog, kubeconfig))
    write_plan(file, kept)
    if as_json:
        told = addition_to_json(planned.addition, planned.notes) | {"plan": str(file)}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(addition_to_text(planned.addition, planned.notes))
        print(f"\nnothing is changed yet; to do exactly this: stratos apply{f' {file}' if out else ''}")


def run_apply(file: Path | None, kubeconfig: Path | None) -> None:
    plan = read_plan(file or DATA_DIRECTORY.expanduser() / PLAN_NAME)
    for line in asyncio.run(_apply(plan, kubeconfig)):
        print(line)


async def _plan(manifests: Sequence[Manifest], catalog: str, kubeconfig: Path | None) -> tuple[Planned, KeptPlan]:
    async with connected(kubeconfig) as client:
        clock = await set_watch(client)
        planned = await plan_manifests(client, clock, manifests, catalog=catalog)
        kept = [KeptManifest(manifest.obj, manifest.source) for manifest in manifests]
        where = choose_access(kubeconfig).server
        return planned, new_plan(clock.now(), where, planned.catalog, planned.addition.machines, kept)


async def _plan_cheaper(catalog: str, kubeconfig: Path | None) -> tuple[Rebalancing, ...]:
    async with connected(kubeconfig) as client:
        return await plan_cheaper(client, await set_watch(client), catalog=catalog)


async def _apply(plan: KeptPlan, kubeconfig: Path | None) -> tuple[str, ...]:
    where = choose_access(kubeconfig).server
    if where != plan.cluster:
        raise Conflict(
            "this plan was made for another cluster",
            looked_at=(f"planned for {plan.cluster}", f"asked to apply it to {where}"),
            hint="give --kubeconfig of the cluster it was made for, or plan again",
        )
    async with connected(kubeconfig) as client:
        return await apply_plan(client, await set_watch(client), SeededIds(random.SystemRandom()), plan)
