"""The options of ``stratos estimate``. They are many, and all that is imported here is imported by every command."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

_ORDER = "the order of options"
_TARGET_OPTIONS = ("cloud", "region", "zone")


class OrderedCommand(TyperCommand):
    """Remembers in which order clouds, regions and zones were named, for a region belongs to the cloud before it.

    Luna's options may stand for themselves, as its configuration or as command lines spell them.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = list(_with_luna_spelled_out(args))
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[_ORDER] = [option.name for option in order if option.name in _TARGET_OPTIONS]
        return super().parse_args(ctx, args)


def _with_luna_spelled_out(args: list[str]) -> Iterator[str]:
    """``--binPackingNodeCpu 4`` and ``--bin-packing-node-cpu=4`` as ``--option binPackingNodeCpu=4``."""
    from stratos.cli.estimate.options import luna_option

    rest = iter(args)
    for argument in rest:
        flag, equals, value = argument.partition("=")
        name = luna_option(flag) if flag.startswith("--") else None
        if name is None:
            yield argument
        else:
            yield from ("--option", f"{name}={value}" if equals else "=".join((name, *islice(rest, 1))))


def estimate(
    ctx: typer.Context,
    file: Annotated[
        list[Path], typer.Option("--file", "-f", help="Manifests: files, folders, or - for standard input.")
    ],
    cloud: Annotated[
        list[str] | None, typer.Option(help="aws, gcp, azure or oci, as often as you like. Default: all of them.")
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="Of the cloud named before it.")] = None,
    zone: Annotated[list[str] | None, typer.Option(help="Of the region named before it. Default: all.")] = None,
    pricing: Annotated[
        str, typer.Option(help="on-demand, spot or both, for pods that do not say it themselves.")
    ] = "on-demand",
    strategy: Annotated[
        str,
        typer.Option(
            help="thresholds: large pods get the cheapest type each, small ones share. optimal: the cheapest mix."
        ),
    ] = "thresholds",
    spot_advisor: Annotated[
        Path | None, typer.Option(help="Spot prices from a file of the public spot advisor's form.")
    ] = None,
    spot_price_ratio: Annotated[
        str | None, typer.Option(help="Spot prices as this share of on-demand. Default: the catalog's, else 0.5.")
    ] = None,
    gpu_time_slices: Annotated[str | None, typer.Option(help="Pods that share one GPU.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "--set",
            help="KEY=VALUE: any option of Luna by its name, such as binPackingNodeCpu=4; or --bin-packing-node-cpu 4.",
        ),
    ] = None,
    arch: Annotated[
        str, typer.Option(help="amd64, arm64 or both, separated by a comma: what your images run on.")
    ] = "amd64",
    tables: Annotated[
        Path | None,
        typer.Option(help="Prices from a directory that `stratos catalog refresh` wrote. Default: those shipped."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """What would these manifests cost? The cheapest machines on every cloud, and why the others lost."""
    from stratos.cli.estimate.options import EstimateOptions
    from stratos.cli.estimate.run import run_estimate
    from stratos.cli.estimate.targets import read_targets

    shortcuts = {
        "spotPriceRatioEstimate": spot_price_ratio,
        "nvidiaGPUTimeSlices": gpu_time_slices,
    }
    options = EstimateOptions(
        pricing=pricing,
        strategy=strategy,
        architectures=arch,
        spot_advisor=spot_advisor,
        settings=(*(f"{name}={value}" for name, value in shortcuts.items() if value is not None), *(option or ())),
    )
    values = {"cloud": iter(cloud or ()), "region": iter(region or ()), "zone": iter(zone or ())}
    targets = read_targets([(name, next(values[name])) for name in ctx.meta[_ORDER]])
    run_estimate(file, targets, options, as_json=json_output, tables=tables)
