"""How the outcome of a refresh reads, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stratos.catalog.quotes import Change
from stratos.catalog.revision import Revision
from stratos.cli.catalog_refresh import Ending, Outcome
from stratos.cli.catalog_sources import print_table

_SHOWN = 10
_NUMBERS = frozenset({"WAS $/H", "$/H", "KEPT $/H", "CHANGE"})


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    for number, outcome in enumerate(outcomes):
        if number:
            print()
        _print(outcome)
    written = next((outcome for outcome in outcomes if outcome.ending is Ending.WRITTEN), None)
    if written:
        print(f"\nto use them: stratos catalog list --tables {written.files[0].parent}")


def outcomes_as_json(outcomes: Sequence[Outcome]) -> str:
    return json.dumps({"clouds": [_json(outcome) for outcome in outcomes]}, indent=2)


def _print(outcome: Outcome) -> None:
    print(f"{outcome.cloud}: {_headline(outcome)}")
    if outcome.error:
        for line in (*outcome.error.looked_at, *([f"hint: {outcome.error.hint}"] if outcome.error.hint else [])):
            print(f"  {line}")
    if outcome.revision:
        _print_revision(outcome.revision)
    _print_lines("new types", outcome.new_types)
    _print_lines("refused types", outcome.contradictions)
    _print_lines("not refreshed", outcome.gaps)


def _headline(outcome: Outcome) -> str:
    match outcome.ending:
        case Ending.WRITTEN:
            return f"prices of {', '.join(outcome.regions)} written to {outcome.files[0].parent}"
        case Ending.NOTHING_READ:
            return "no price list is open to us; everything stays as it was"
        case Ending.NOT_TRUSTED:
            return "too much of what was read cannot be right; nothing is believed, everything stays as it was"
        case Ending.FAILED:
            return f"{outcome.error.message if outcome.error else ''}; everything stays as it was"


def _print_revision(revision: Revision) -> None:
    print(
        f"  {len(revision.added)} new, {len(revision.changed)} changed, {revision.unchanged} unchanged, "
        f"{len(revision.refused)} refused, {len(revision.not_listed)} not listed and kept"
    )
    if revision.other_products:
        passed_over = ", ".join(f"{count} for {product}" for product, count in revision.other_products.items())
        print(f"  passed over: {passed_over}")
    if revision.unknown_types:
        _print_lines("listed, but of unknown size", revision.unknown_types)
    if revision.changed:
        print("\n  largest changes")
        rows = [
            [f"    {each.key}", f"{each.before_usd_per_hour:.6g}", f"{each.after_usd_per_hour:.6g}", _percent(each)]
            for each in sorted(revision.changed, key=lambda each: (-_size(each), each.key))
        ]
        print_table(["    PRICE", "WAS $/H", "$/H", "CHANGE"], rows[:_SHOWN], right=_NUMBERS)
        _print_rest(len(rows))
    if revision.refused:
        print("\n  refused")
        rows = [
            [f"    {each.key}", f"{each.kept_usd_per_hour:.6g}" if each.kept_usd_per_hour else "", each.reason]
            for each in revision.refused
        ]
        print_table(["    PRICE", "KEPT $/H", "WHY"], rows[:_SHOWN], right=_NUMBERS)
        _print_rest(len(rows))


def _print_lines(what: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    print(f"\n  {what}")
    for line in lines[:_SHOWN]:
        print(f"    {line}")
    _print_rest(len(lines))


def _print_rest(count: int) -> None:
    if count > _SHOWN:
        print(f"    … and {count - _SHOWN} more; --json shows all")


def _size(change: Change) -> float:
    """Halved is as much as doubled."""
    return max(change.factor, 1 / change.factor)


def _percent(change: Change) -> str:
    return f"{change.factor - 1:+.1%}"


def _json(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {
        "cloud": outcome.cloud,
        "regions": list(outcome.regions),
        "ending": outcome.ending,
        "files": [str(file) for file in outcome.files],
        "new_types": list(outcome.new_types),
        "refused_types": list(outcome.contradictions),
        "not_refreshed": list(outcome.gaps),
        "error": outcome.error.explain() if outcome.error else None,
    }
    revision = outcome.revision
    if revision:
        told |= {
            "added": [_json_change(each) for each in revision.added],
            "changed": [_json_change(each) for each in revision.changed],
            "unchanged": revision.unchanged,
            "refused": [
                {
                    "region": each.key.region,
                    "name": each.key.name,
                    "capacity_type": each.key.capacity_type,
                    "listed": str(each.amount),  # text: it may be no number, or a share
                    "kept_usd_per_hour": each.kept_usd_per_hour,
                    "reason": each.reason,
                }
                for each in revision.refused
            ],
            "not_listed": len(revision.not_listed),
            "unknown_types": list(revision.unknown_types),
            "other_products": dict(revision.other_products),
        }
    return told


def _json_change(change: Change) -> dict[str, Any]:
    return {
        "region": change.key.region,
        "name": change.key.name,
        "capacity_type": change.key.capacity_type,
        "before_usd_per_hour": change.before_usd_per_hour,
        "after_usd_per_hour": change.after_usd_per_hour,
    }
