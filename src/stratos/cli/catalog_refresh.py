"""``stratos catalog refresh``: read price lists anew, keep what can be believed, and write it down as tables."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources.abc import Traversable
from pathlib import Path

from stratos.base.errors import Invalid, NotFound, StratosError, Unavailable
from stratos.catalog.catalog import PRICES_SUFFIX, SHIPPED, TYPES_SUFFIX, clouds
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.revision import Revision, new_types, revise, revised_rows
from stratos.catalog.tables import PriceRow, read_prices, read_types, write_prices, write_types
from stratos.providers.prices.source import KnownRegion, PriceSource, Reading
from stratos.providers.prices.web import open_web
from stratos.wiring.clock import SystemClock
from stratos.wiring.price_lists import CLOUDS, price_source


class Ending(StrEnum):
    WRITTEN = "written"
    NOTHING_READ = "nothing-read"  # no list was open to us
    NOT_TRUSTED = "not-trusted"  # too much of what was read cannot be right
    FAILED = "failed"  # a list could not be read


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one cloud. Unless it was written, everything is as before."""

    cloud: str
    regions: tuple[str, ...]
    ending: Ending
    files: tuple[Path, ...] = ()
    revision: Revision | None = None
    new_types: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()  # types told with another size than they are known to have
    gaps: tuple[str, ...] = ()
    error: StratosError | None = None


def run_refresh(cloud: str | None, regions: Sequence[str], directory: Path, *, as_json: bool) -> int:
    """The exit status: 0 if tables were written and nothing went wrong."""
    from stratos.cli.catalog_refresh_view import outcomes_as_json, print_outcomes

    if cloud is None and regions:
        raise Invalid(f"--region {regions[0]} belongs to no cloud", hint="name the cloud as well: --cloud aws")
    if cloud is not None and cloud not in CLOUDS:
        raise NotFound(f"there are no price lists of {cloud!r}", looked_at=(f"clouds: {', '.join(CLOUDS)}",))
    directory = directory.expanduser()
    _ensure_writable(directory)
    outcomes = asyncio.run(_refresh([cloud] if cloud else CLOUDS, regions, directory, os.environ))
    if as_json:
        print(outcomes_as_json(outcomes))
    else:
        print_outcomes(outcomes)
    return exit_status(outcomes)


def exit_status(outcomes: Sequence[Outcome]) -> int:
    endings = {outcome.ending for outcome in outcomes}
    return 0 if Ending.WRITTEN in endings and endings <= {Ending.WRITTEN, Ending.NOTHING_READ} else 1


async def refresh_cloud(source: PriceSource, regions: Sequence[str], directory: Path) -> Outcome:
    """Start from the tables in ``directory`` or else those shipped, and write there. No region named: all they have.

    Raises `NotFound` for a region that they do not have.
    """
    types, rows = _tables(source.cloud, directory)
    wanted = _wanted(source.cloud, regions, rows)
    try:
        reading = await source.read([_known(region, types, rows) for region in wanted])
    except (Unavailable, Invalid) as error:
        return Outcome(source.cloud, wanted, Ending.FAILED, error=error)
    if not reading.quotes:
        return Outcome(source.cloud, wanted, Ending.NOTHING_READ, gaps=reading.gaps)
    return _judged(source.cloud, wanted, types, rows, reading, directory)


def _judged(
    cloud: str,
    wanted: tuple[str, ...],
    types: Mapping[str, InstanceType],
    rows: Sequence[PriceRow],
    reading: Reading,
    directory: Path,
) -> Outcome:
    told, contradictions = new_types(types, reading.types)
    revision = revise(rows, reading.quotes, {**types, **told}, wanted)
    if not revision.is_trustworthy:
        return Outcome(cloud, wanted, Ending.NOT_TRUSTED, revision=revision, gaps=reading.gaps)
    revised = revised_rows(rows, revision, reading.zones)
    priced = {row.name for row in revised}
    added = {name: type_ for name, type_ in told.items() if name in priced}
    # Types go first: a type without a price is harmless, should we die in between; a price without its type is lost.
    files = (directory / f"{cloud}{TYPES_SUFFIX}", directory / f"{cloud}{PRICES_SUFFIX}")
    for file, table in zip(files, (write_types({**types, **added}.values()), write_prices(revised)), strict=True):
        _replace(file, table)
    return Outcome(
        cloud,
        wanted,
        Ending.WRITTEN,
        files=files,
        revision=revision,
        new_types=tuple(added),
        contradictions=contradictions,
        gaps=reading.gaps,
    )


async def _refresh(
    names: Sequence[str], regions: Sequence[str], directory: Path, env: Mapping[str, str]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with open_web() as web:
        for cloud in names:
            print(f"reading the price lists of {cloud} …", file=sys.stderr)
            source = price_source(cloud, web, SystemClock(), env)
            outcomes.append(await refresh_cloud(source, regions, directory))
    return outcomes


def _tables(cloud: str, directory: Path) -> tuple[dict[str, InstanceType], list[PriceRow]]:
    shelf: Traversable = directory if directory.is_dir() and cloud in clouds(directory) else SHIPPED
    types = read_types((shelf / f"{cloud}{TYPES_SUFFIX}").read_bytes())
    return types, read_prices((shelf / f"{cloud}{PRICES_SUFFIX}").read_bytes())


def _wanted(cloud: str, regions: Sequence[str], rows: Sequence[PriceRow]) -> tuple[str, ...]:
    known = sorted({row.region for row in rows})
    for region in regions:
        if region not in known:
            raise NotFound(
                f"the catalog knows no region {region!r} of {cloud}",
                looked_at=(f"regions: {', '.join(known)}",),
                hint="choose one of these regions",
            )
    return tuple(sorted(set(regions))) or tuple(known)


def _known(region: str, types: Mapping[str, InstanceType], rows: Sequence[PriceRow]) -> KnownRegion:
    return KnownRegion(region, types, {row.name: row for row in rows if row.region == region})


def _ensure_writable(directory: Path) -> None:
    """Lists take minutes to read: what would go wrong at the end is better known at the beginning."""
    nearest = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise Invalid(f"nothing can be written to {directory}", hint="name another directory: --output")


def _replace(file: Path, content: bytes) -> None:
    """All of it or nothing: readers see the file before or the file after."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as temporary:
            try:
                temporary.write(content)
                temporary.flush()
                os.fsync(temporary.fileno())
                Path(temporary.name).chmod(0o644)
                Path(temporary.name).replace(file)
            except BaseException:
                Path(temporary.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}", hint="name another directory: --output") from error
