"""A plan as people and as programs read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from stratos.base.words import counted
from stratos.catalog.instance_type import HOURS_PER_MONTH
from stratos.cli.plan_file import PlannedMachine, kept_machines
from stratos.cli.wrapping import wrapped
from stratos.planning.disruption.rebalance import Rebalancing
from stratos.planning.estimating.addition import Addition


def addition_to_json(answer: Addition, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "machines": [msgspec.to_builtins(machine) for machine in kept_machines(answer.machines)],
        "on_nodes": dict(answer.on_nodes),
        "by_pools": list(answer.by_pools),
        "waiting": dict(answer.waiting),
        "pods_moved": 0,
        "cost_before_usd_per_hour": round(answer.cost_before_usd_per_hour, 6),
        "cost_added_usd_per_hour": round(answer.cost_added_usd_per_hour, 6),
        "lower_bound_usd_per_hour": round(answer.lower_bound_usd_per_hour, 6),
        "notes": [*notes, *answer.report],
    }


def addition_to_text(answer: Addition, notes: Sequence[str]) -> str:
    lines = [_headline(answer)]
    if answer.machines:
        lines += ["", *_machines(answer)]
    before, added = answer.cost_before_usd_per_hour, answer.cost_added_usd_per_hour
    lines += [
        "",
        f"cost: ${before:.4f}/h for templates' machines now, ${before + added:.4f}/h then"
        f" (${added:+.4f}/h, ${added * HOURS_PER_MONTH:+,.2f} a month)".replace("$+", "+$"),
    ]
    if added > 0:
        lines.append(f"bound: the new machines cannot cost less than ${answer.lower_bound_usd_per_hour:.4f}/h")
    lines.append(f"risk: {_risk(answer)}")
    if answer.waiting:
        lines += ["", f"{counted(len(answer.waiting), 'pod')} would wait:", *_reasons(answer.waiting)]
    lines += _notes((*notes, *answer.report))
    return "\n".join(lines)


def _headline(answer: Addition) -> str:
    parts = [
        (len(answer.on_nodes), "on nodes that are there"),
        (len(answer.by_pools), "on machines of warm pools"),
        (len(answer.on_machines), f"on {counted(len(answer.machines), 'new machine')}"),
        (len(answer.waiting), "nowhere"),
    ]
    total = sum(number for number, _ in parts)
    told = ", ".join(f"{number} {where}" for number, where in parts if number)
    return f"{counted(total, 'pod')} to add: {told}" if total else "no pods to add"


def _machines(answer: Addition) -> Iterator[str]:
    kinds = Counter((each.title, each.price_usd_per_hour) for each in kept_machines(answer.machines))
    pods: Counter[str] = Counter()
    for each in kept_machines(answer.machines):
        pods[each.title] += len(each.pods)
    for (title, price), number in sorted(kinds.items()):
        yield f"  + {number} × {title}, ${price:.4f}/h each, for {counted(pods[title], 'pod')}"


def _risk(answer: Addition) -> str:
    spot = [each for each in answer.machines if each.candidate.offering.capacity_type == "spot"]
    told = ["no running pod moves"]
    if spot:
        told.append(f"{len(spot)} of {counted(len(answer.machines), 'new machine')} may be interrupted: spot")
    alone = Counter(each.candidate.offering.zone for each in answer.machines)
    if len(answer.machines) > 1 and len(alone) == 1:
        told.append(f"all new machines are in one zone, {next(iter(alone))}")
    return "; ".join(told)


def _reasons(waiting: Mapping[str, str]) -> Iterator[str]:
    """Pods that wait for the same reason, together."""
    together: dict[str, list[str]] = {}
    for pod, why in waiting.items():
        together.setdefault(why, []).append(pod)
    for why, pods in together.items():
        more = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
        yield _note(f"{pods[0]}{more}: {why}", "  ")


def rebalancing_to_json(answers: Sequence[Rebalancing]) -> list[dict[str, Any]]:
    return [
        {
            "template": each.template,
            "nodes_before": each.nodes_before,
            "nodes_after": each.nodes_after,
            "cost_before_usd_per_hour": round(each.cost_before_usd_per_hour, 6),
            "cost_after_usd_per_hour": round(each.cost_after_usd_per_hour, 6),
            "saving_percent": round(each.saving_percent, 2),
            "remove": list(each.change.claims) if each.change else [],
            "machines": [msgspec.to_builtins(one) for one in _to_get(each)],
            "pods_moved": len(each.change.pods) if each.change else 0,
            "kept": list(each.kept),
            "untouched": {one.claim: one.message for one in each.untouched},
            "why_not": each.why_not,
        }
        for each in answers
    ]


def rebalancing_to_text(answers: Sequence[Rebalancing]) -> str:
    if not answers:
        return "no template has machines"
    blocks = ["\n".join(_rebalancing(each)) for each in answers]
    if any(each.change is not None for each in answers):
        blocks.append(
            "nothing is changed; the cluster comes closer to this by itself, as each template's disruption allows"
        )
    return "\n\n".join(blocks)


def _rebalancing(answer: Rebalancing) -> Iterator[str]:
    before, after = answer.cost_before_usd_per_hour, answer.cost_after_usd_per_hour
    yield f"template {answer.template}: {counted(answer.nodes_before, 'node')}, ${before:.4f}/h"
    if answer.change is None:
        yield _note(f"nothing to do: {answer.why_not}", "  ")
    else:
        for claim in answer.change.claims:
            yield f"  - {claim}"
        for (title, price), number in sorted(Counter((o.title, o.price_usd_per_hour) for o in _to_get(answer)).items()):
            yield f"  + {number} × {title}, ${price:.4f}/h each"
        yield (
            f"  cost: ${after:.4f}/h for {counted(answer.nodes_after, 'node')}, {answer.saving_percent:.0f} % less"
            f" (${(before - after) * HOURS_PER_MONTH:,.2f} a month)"
        )
        yield f"  risk: {counted(len(answer.change.pods), 'running pod')} would move"
    for each in answer.untouched:
        yield _note(f"{each.claim} stays: {each.message}", "  ")


def _to_get(answer: Rebalancing) -> tuple[PlannedMachine, ...]:
    return kept_machines(answer.change.machines) if answer.change else ()


def _notes(notes: Iterable[str]) -> list[str]:
    told = [_note(note, "note: ") for note in dict.fromkeys(notes)]
    return ["", *told] if told else []


def _note(text: str, first: str) -> str:
    return wrapped(text, first, hanging=2)
