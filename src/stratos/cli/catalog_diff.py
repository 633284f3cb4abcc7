"""``stratos catalog diff``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stratos.base.errors import Invalid, NotFound
from stratos.catalog.catalog import PRICES_SUFFIX, SHIPPED, clouds
from stratos.catalog.comparison import Comparison, Priced, Repriced, compare_prices
from stratos.catalog.tables import PriceRow, read_prices
from stratos.cli.catalog_sources import print_table

_SHIPPED = "shipped"
_NUMBERS = frozenset({"$/H", "WAS $/H", "CHANGE"})


def run_diff(before: str, after: str, *, limit: int, as_json: bool) -> None:
    if before == after == _SHIPPED:
        raise Invalid("shipped prices do not differ from themselves", hint="name a file in place of one of the two")
    difference = compare_prices(_read(before, other=after), _read(after, other=before))
    if as_json:
        print(json.dumps(_json(difference), indent=2))
        return
    print(
        f"{len(difference.added)} added, {len(difference.gone)} gone, {len(difference.changed)} with another price, "
        f"{difference.unchanged} the same"
    )
    _print_priced("added", difference.added, limit)
    _print_priced("gone", difference.gone, limit)
    _print_changed(difference.changed, limit)


def _read(name: str, *, other: str) -> list[PriceRow]:
    if name == _SHIPPED:
        cloud = Path(other).name.removesuffix(PRICES_SUFFIX)
        if cloud not in clouds():
            raise Invalid(
                f"nothing tells which cloud {other} is of",
                looked_at=(f"clouds: {', '.join(clouds())}",),
                hint=f"call it by its cloud, such as aws{PRICES_SUFFIX}",
            )
        return read_prices((SHIPPED / f"{cloud}{PRICES_SUFFIX}").read_bytes())
    try:
        return read_prices(Path(name).read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {name}", hint="or write shipped for the prices that came along") from error
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror}") from error
    except Invalid as error:
        raise Invalid(f"{name}: {error.message}", looked_at=error.looked_at, hint=error.hint) from error


def _print_priced(what: str, priced: Sequence[Priced], limit: int) -> None:
    if not priced:
        return
    print(f"\n{what}")
    rows = [
        [f"  {each.region}", each.name, str(each.capacity_type), _price(each.price.usd_per_hour)] for each in priced
    ]
    print_table(["  REGION", "NAME", "TERMS", "$/H"], rows[:limit], right=_NUMBERS)
    _print_rest(len(rows) - limit)


def _print_changed(changed: Sequence[Repriced], limit: int) -> None:
    """Those that changed most come first."""
    if not changed:
        return
    print("\nwith another price")
    rows = [
        [
            f"  {each.region}",
            each.name,
            str(each.capacity_type),
            _price(each.before.usd_per_hour),
            _price(each.after.usd_per_hour),
            f"{each.share:+.1%}",
        ]
        for each in sorted(changed, key=lambda each: -abs(each.share))
    ]
    print_table(["  REGION", "NAME", "TERMS", "WAS $/H", "$/H", "CHANGE"], rows[:limit], right=_NUMBERS)
    _print_rest(len(rows) - limit)


def _print_rest(left: int) -> None:
    if left > 0:
        print(f"  … and {left} more")


def _price(usd_per_hour: float) -> str:
    return f"{usd_per_hour:.6g}"


def _json(difference: Comparison) -> dict[str, Any]:
    return {
        "added": [_json_priced(each) for each in difference.added],
        "gone": [_json_priced(each) for each in difference.gone],
        "changed": [
            {
                "region": each.region,
                "name": each.name,
                "capacity_type": each.capacity_type,
                "before_usd_per_hour": each.before.usd_per_hour,
                "after_usd_per_hour": each.after.usd_per_hour,
            }
            for each in difference.changed
        ],
        "unchanged": difference.unchanged,
    }


def _json_priced(each: Priced) -> dict[str, Any]:
    return {
        "region": each.region,
        "name": each.name,
        "capacity_type": each.capacity_type,
        "price_usd_per_hour": each.price.usd_per_hour,
    }
