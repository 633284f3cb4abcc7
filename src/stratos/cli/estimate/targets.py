"""Where to estimate: clouds, their regions, and zones, in the order they were named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stratos.base.errors import Invalid, NotFound
from stratos.catalog.catalog import DEFAULT_REGIONS, Catalog, clouds, load_catalog, read_catalog, regions
from stratos.cli.catalog_sources import clouds_in


@dataclass(frozen=True, slots=True)
class Target:
    cloud: str
    region: str = ""  # empty: the cloud's default
    zone: str = ""  # empty: whichever is cheapest


def read_targets(named: Sequence[tuple[str, str]]) -> tuple[Target, ...]:
    """From options in their order: a region belongs to the cloud before it, a zone to the region before it.

    A second region after the same cloud is a place of its own, and so is a second zone. A region before any cloud
    stands for itself, as no two clouds have one of the same name. Raises `Invalid` and `NotFound`.
    """
    targets: list[Target] = []
    for option, value in named:
        last = targets[-1] if targets else None
        match option:
            case "cloud":
                targets.append(Target(_known_cloud(value)))
            case "region":
                if last is None:
                    targets.append(Target(_cloud_of(value), value))
                elif last.region:
                    targets.append(Target(last.cloud, value))
                else:
                    targets[-1] = replace(last, region=value)
            case _:
                if last is None:
                    raise Invalid(f"zone {value!r} belongs to no cloud", hint="name --cloud and --region before --zone")
                if last.zone:
                    targets.append(replace(last, zone=value))
                else:
                    targets[-1] = replace(last, zone=value)
    return tuple(
        replace(target, region=target.region or DEFAULT_REGIONS[target.cloud])
        for target in targets or [Target(cloud) for cloud in clouds()]
    )


def catalog_of(target: Target, tables: Path | None = None) -> Catalog:
    """What is sold there, in all zones: by the tables, if they have the cloud. Raises `NotFound` and `Invalid`."""
    if tables is not None and target.cloud in clouds_in(tables):
        return read_catalog(target.cloud, target.region, tables)
    return load_catalog(target.cloud, target.region)


def zone_of(target: Target, catalog: Catalog) -> str:
    """The zone by its full name, which may have been given by what comes after the region's; empty for all."""
    names = (target.zone, f"{target.region}{target.zone}", f"{target.region}-{target.zone}")
    found = next((zone for zone in catalog.zones if zone in names), "")
    if target.zone and not found:
        raise NotFound(
            f"{target.region} of {target.cloud} has no zone {target.zone!r}",
            looked_at=(f"zones: {', '.join(catalog.zones)}",),
            hint="name one of these, or leave --zone out",
        )
    return found


def _known_cloud(name: str) -> str:
    if name not in clouds():
        raise NotFound(
            f"there is no catalog of cloud {name!r}",
            looked_at=(f"clouds: {', '.join(clouds())}",),
            hint="choose one of these",
        )
    return name


def _cloud_of(region: str) -> str:
    known = {name: cloud for cloud in clouds() for name in regions(cloud)}
    if region not in known:
        close = difflib.get_close_matches(region, known, n=3)
        raise NotFound(
            f"no cloud has a region {region!r}",
            hint=f"did you mean {' or '.join(close)}?" if close else "name the cloud, too: --cloud aws --region …",
        )
    return known[region]
