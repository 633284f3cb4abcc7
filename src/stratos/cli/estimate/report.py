"""An estimate as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stratos.base.words import counted
from stratos.catalog.instance_type import HOURS_PER_MONTH
from stratos.cli.wrapping import wrapped
from stratos.planning.estimating.answer import (
    CloudEstimate,
    GroupEstimate,
    RunnerUp,
    WorkloadEstimate,
)
from stratos.planning.estimating.standby import PoolQuote

_SHOWN = 2  # of the others, where people read; programs get all


def to_json(answers: Iterable[CloudEstimate], keeping: Iterable[Sequence[PoolQuote]]) -> dict[str, Any]:
    return {
        "clouds": [
            {
                "cloud": answer.cloud,
                "region": answer.region,
                "zone": answer.zone or None,
                "workloads": [_workload(workload) for workload in answer.workloads if workload.groups],
                "pools": [_pool(quote) for quote in quotes],
                "complete": answer.complete,
                "total_usd_per_hour": _usd(answer.total_usd_per_hour),
                "total_usd_per_month": _usd(answer.total_usd_per_hour * HOURS_PER_MONTH),
                "lower_bound_usd_per_hour": _usd(answer.lower_bound_usd_per_hour),
            }
            for answer, quotes in zip(answers, keeping, strict=True)
        ]
    }


def _pool(quote: PoolQuote) -> dict[str, Any]:
    return {
        "name": quote.name,
        "instance_type": quote.instance_type or None,
        "min_standby": quote.min_standby,
        "pool_size": quote.pool_size,
        "disks": list(quote.disks),
        "disks_usd_per_month": round(quote.disks_usd_per_month, 4),
        "standby_usd_per_month": round(quote.standby_usd_per_month, 4),
        "price_usd_per_hour": _usd(quote.price_usd_per_hour),
        "most_usd_per_hour": _usd(quote.most_usd_per_hour),
        **({"reason": quote.reason} if quote.reason else {}),
    }


def _workload(workload: WorkloadEstimate) -> dict[str, Any]:
    return {
        "kind": workload.kind,
        "namespace": workload.namespace,
        "name": workload.name,
        "groups": [_group(group) for group in workload.groups],
        "notes": list(workload.notes),
        "total_usd_per_hour": _usd(workload.total_usd_per_hour),
    }


def _group(group: GroupEstimate) -> dict[str, Any]:
    placed = group.instance_type is not None
    return {
        "part": group.part,
        "pods": group.pods,
        "instance_type": group.instance_type,
        "count": group.machines,
        "share": round(group.share, 4),
        "capacity_type": group.capacity_type,
        "price_usd_per_hour": group.price_usd_per_hour and _usd(group.price_usd_per_hour),
        "total_usd_per_hour": _usd(group.total_usd_per_hour) if placed else None,
        "strategy": group.strategy,
        "runners_up": [_runner_up(each) for each in group.runners_up],
        "too_small": [_runner_up(each) for each in group.too_small],
        **({} if placed else {"reason": group.reason, "ways_out": list(group.ways_out)}),
    }


def _runner_up(each: RunnerUp) -> dict[str, Any]:
    return {
        "instance_type": each.instance_type,
        "capacity_type": each.capacity_type,
        "price_usd_per_hour": _usd(each.price_usd_per_hour),
        "reason": each.reason,
    }


def _usd(amount: float) -> float:
    return round(amount, 6)


# For people


def to_text(answers: Sequence[CloudEstimate], keeping: Sequence[Sequence[PoolQuote]], skipped: Sequence[str]) -> str:
    asks_for_pods = any(workload.groups for workload in answers[0].workloads)
    blocks = [list(_cloud(answer)) for answer in answers] if asks_for_pods else []
    blocks += [list(_pools(answer, quotes)) for answer, quotes in zip(answers, keeping, strict=True) if quotes]
    if asks_for_pods and len(answers) > 1:
        blocks.append(list(_side_by_side(answers)))
    notes = list(_notes(answers[0], skipped))
    if notes:
        blocks.append(notes)
    return "\n\n".join("\n".join(block) for block in blocks)


def _cloud(answer: CloudEstimate) -> Iterator[str]:
    yield f"{answer.cloud} {answer.zone or answer.region}"
    groups = [(workload, group) for workload in answer.workloads for group in workload.groups]
    header = ("WORKLOAD", "PODS", "MACHINES", "EACH", "$/H", "$/MONTH")
    rows = [_row(workload, group) for workload, group in groups]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    yield "  " + _line(header, widths)
    for row, (_, group) in zip(rows, groups, strict=True):
        yield "  " + _line(row, widths)
        yield from _details(group)
    total = answer.total_usd_per_hour
    left_out = "" if answer.complete else ", without the pods that fit nowhere"
    yield (
        f"  total: ${total:.4f}/h, ${total * HOURS_PER_MONTH:,.2f} a month"
        f" for {counted(answer.machines, 'machine')}{left_out}"
    )
    if total:
        yield f"  bound: no choice of machines holds these pods for less than ${answer.lower_bound_usd_per_hour:.4f}/h"


def _row(workload: WorkloadEstimate, group: GroupEstimate) -> tuple[str, str, str, str, str, str]:
    name = f"{workload.kind.lower()}/{workload.name}" + (f" {group.part}" if group.part else "")
    if group.instance_type is None:
        return name, str(group.pods), "none fits", "", "", ""
    spot = " spot" if group.capacity_type == "spot" else ""
    count = f"{group.share:.2f} of {group.machines}" if group.shares_machines else str(group.machines)
    total = group.total_usd_per_hour
    return (
        name,
        str(group.pods),
        f"{count} × {group.instance_type}{spot}",
        f"{group.price_usd_per_hour:.4f}",
        f"{total:.4f}",
        f"{total * HOURS_PER_MONTH:,.2f}",
    )


def _pools(answer: CloudEstimate, quotes: Sequence[PoolQuote]) -> Iterator[str]:
    """Beside the pods, not among them: what their machines cost while they stand by, and while they run."""
    yield f"{answer.cloud} {answer.region}, warm pools"
    for quote in quotes:
        if quote.reason:
            yield _note(f"nodepool/{quote.name}: no price: {quote.reason}", "  ")
            continue
        yield f"  nodepool/{quote.name}: {quote.min_standby} × {quote.instance_type} stand by"
        kept = f"{' and '.join(quote.disks)} each, ${quote.disks_usd_per_month:,.2f} a month"
        yield _note(f"standing by: ${quote.standby_usd_per_month:,.2f} a month for disks ({kept})")
        yield _note(
            f"running: ${quote.price_usd_per_hour:.4f}/h each, ${quote.most_usd_per_hour:.4f}/h"
            f" with all {quote.pool_size}, by the second"
        )


_TO_THE_RIGHT = (False, True, False, True, True, True)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, _TO_THE_RIGHT, strict=True)
    )
    return "  ".join(cells).rstrip()


def _details(group: GroupEstimate) -> Iterator[str]:
    if group.instance_type is None:
        yield _note(group.reason)
        yield from (_note(way) for way in group.ways_out)
    if group.runners_up:
        yield _note("next: " + "; ".join(_told(each, group) for each in group.runners_up[:_SHOWN]))
    if group.too_small:
        yield _note("too small: " + "; ".join(_told(each, group) for each in group.too_small[:_SHOWN]))


def _told(each: RunnerUp, chosen: GroupEstimate) -> str:
    terms = f" {each.capacity_type}" if each.capacity_type != chosen.capacity_type else ""
    return f"{each.instance_type}{terms} ${each.price_usd_per_hour:.4f}, {each.reason}"


def _side_by_side(answers: Sequence[CloudEstimate]) -> Iterator[str]:
    first = answers[0].total_usd_per_hour
    rows = [("", "$/H", "$/MONTH", f"{answers[0].cloud} = 1")]
    for answer in answers:
        total = answer.total_usd_per_hour
        ratio = f"{total / first:.2f}" if answer.complete and answers[0].complete and first else "not all fits"
        place = f"{answer.cloud} {answer.zone or answer.region}"
        rows.append((place, f"{total:.4f}", f"{total * HOURS_PER_MONTH:,.2f}", ratio))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for place, *numbers in rows:
        yield "  ".join(
            (place.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)))
        )


def _notes(answer: CloudEstimate, skipped: Sequence[str]) -> Iterator[str]:
    for workload in answer.workloads:
        for note in workload.notes:
            yield _note(f"{workload.kind.lower()}/{workload.name}: {note}", "note: ")
    if skipped:
        yield _note(f"no pods in {', '.join(skipped)}", "note: ")


def _note(text: str, first: str = "      ") -> str:
    return wrapped(text, first, hanging=2)
