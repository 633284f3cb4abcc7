"""``stratos estimate``: reads manifests, asks for every place, and prints the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from stratos.apis.nodeclasses import NODE_CLASS_KINDS
from stratos.apis.nodepool import NODE_POOL
from stratos.base.errors import Invalid, NotFound
from stratos.cli.estimate.options import EstimateOptions
from stratos.cli.estimate.report import to_json, to_text
from stratos.cli.estimate.targets import Target, catalog_of, zone_of
from stratos.cli.manifests import Manifest, read_manifests
from stratos.planning.estimating.estimate import Place, estimate
from stratos.planning.estimating.spot import Advice, SpotPrices, read_advice
from stratos.planning.estimating.standby import PoolQuote, WarmPools, read_warm_pools
from stratos.planning.estimating.workloads import Workload, read_workload

_OF_POOLS = frozenset({NODE_POOL.kind, *NODE_CLASS_KINDS})
_ADVISOR = "give the file of the public spot advisor: spot-advisor-data.json"


def run_estimate(
    files: Sequence[Path],
    targets: Sequence[Target],
    options: EstimateOptions,
    *,
    as_json: bool,
    tables: Path | None = None,
) -> None:
    spec = options.template()
    workloads, pools, skipped = _read(files)
    advice = _read_advice(options.spot_advisor) if options.spot_advisor else {}
    answers = []
    keeping: list[tuple[PoolQuote, ...]] = []
    for target in targets:
        catalog = catalog_of(target, tables)
        zone = zone_of(target, catalog)
        if options.states_spot_prices:
            catalog = SpotPrices(spec.spot_price_ratio_estimate, advice).apply(catalog)
        answers.append(estimate(workloads, spec, Place(catalog, zone), mixes_small_pods=options.mixes_small_pods))
        keeping.append(pools.quotes(catalog))
    if not any(keeping) and not any(workload.groups for workload in workloads):
        raise NotFound(
            f"the pools in {', '.join(map(str, files))} are of a cloud that was not asked for",
            looked_at=tuple(f"{target.cloud} {target.region}" for target in targets),
            hint="add --cloud aws: their classes are AWSNodeClasses",
        )
    if as_json:
        print(json.dumps(to_json(answers, keeping), indent=2, ensure_ascii=False))
    else:
        print(to_text(answers, keeping, skipped))


def _read(files: Sequence[Path]) -> tuple[list[Workload], WarmPools, list[str]]:
    """The workloads and the pools in the files, and the titles of what is neither."""
    workloads, skipped = [], []
    manifests = read_manifests(files)
    pools = read_warm_pools([manifest.obj for manifest in manifests])
    for manifest in manifests:
        workload = _workload(manifest)
        if workload is not None:
            workloads.append(workload)
        elif manifest.obj["kind"] not in _OF_POOLS:
            skipped.append(manifest.title)
    if not pools.pools and not any(workload.groups for workload in workloads):
        found = [*skipped, *(workload.title for workload in workloads)]
        raise NotFound(
            f"there are no pods to estimate in {', '.join(map(str, files))}",
            looked_at=(f"found {', '.join(found)}",) if found else (),
            hint="give -f a Deployment, StatefulSet, Job, Pod, RayCluster, JobSet, LeaderWorkerSet or NodePool",
        )
    return workloads, pools, skipped


def _workload(manifest: Manifest) -> Workload | None:
    try:
        return read_workload(manifest.obj)
    except Invalid as error:
        raise Invalid(f"{manifest.source}: {manifest.title}: {error.message}", hint=error.hint) from error


def _read_advice(file: Path) -> dict[str, dict[str, Advice]]:
    try:
        return read_advice(json.loads(file.read_bytes()))
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}", hint=_ADVISOR) from error
    except ValueError as error:
        raise Invalid(f"{file} is not JSON: {error}", hint=_ADVISOR) from error
    except Invalid as error:
        raise Invalid(f"{file}: {error.message}", hint=error.hint) from error
