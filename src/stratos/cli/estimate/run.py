"""``stratos estimate``: reads manifests, asks for every place, and prints the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from stratos.base.errors import Invalid, NotFound
from stratos.cli.estimate.options import EstimateOptions
from stratos.cli.estimate.report import to_json, to_text
from stratos.cli.estimate.targets import Target, catalog_of, zone_of
from stratos.cli.manifests import Manifest, read_manifests
from stratos.planning.estimating.estimate import Place, estimate
from stratos.planning.estimating.spot import Advice, SpotPrices, read_advice
from stratos.planning.estimating.workloads import Workload, read_workload

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
    workloads, skipped = _read(files)
    advice = _read_advice(options.spot_advisor) if options.spot_advisor else {}
    answers = []
    for target in targets:
        catalog = catalog_of(target, tables)
        zone = zone_of(target, catalog)
        if options.states_spot_prices:
            catalog = SpotPrices(spec.spot_price_ratio_estimate, advice).apply(catalog)
        answers.append(estimate(workloads, spec, Place(catalog, zone), mixes_small_pods=options.mixes_small_pods))
    print(json.dumps(to_json(answers), indent=2, ensure_ascii=False) if as_json else to_text(answers, skipped))


def _read(files: Sequence[Path]) -> tuple[list[Workload], list[str]]:
    """The workloads in the files, and the titles of what runs no pods."""
    workloads, skipped = [], []
    for manifest in read_manifests(files):
        workload = _workload(manifest)
        if workload is None:
            skipped.append(manifest.title)
        else:
            workloads.append(workload)
    if not any(workload.groups for workload in workloads):
        found = [*skipped, *(workload.title for workload in workloads)]
        raise NotFound(
            f"there are no pods to estimate in {', '.join(map(str, files))}",
            looked_at=(f"found {', '.join(found)}",) if found else (),
            hint="give -f a Deployment, StatefulSet, Job, Pod, RayCluster, JobSet or LeaderWorkerSet",
        )
    return workloads, skipped


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
