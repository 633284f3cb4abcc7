"""What there is to tell about a pod, a node, a pool or a template, and how it reads as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from stratos.base.duration import human_duration
from stratos.cli.wrapping import wrapped

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened. ``stage`` is its name for programs, in one word."""

    at: datetime
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    kind: str
    name: str
    headline: str
    steps: tuple[Step, ...] = ()
    reasons: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()  # what was considered and not chosen, and why
    what_if: tuple[str, ...] = ()  # what one constraint less would change
    hint: str = ""
    facts: Mapping[str, Value] = field(default_factory=dict)

    def to_text(self) -> str:
        lines = [wrapped(self.headline), *_table(self.facts)]
        if self.steps:
            lines += ["", *_timeline(self.steps)]
        for title, items in (("why", self.reasons), ("not chosen", self.rejected), ("what if", self.what_if)):
            if items:
                lines += ["", f"{title}:", *(wrapped(item, "  ") for item in items)]
        if self.hint:
            lines += ["", wrapped(f"hint: {self.hint}", hanging=6)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        gaps = (0.0, *(_seconds(one, other) for one, other in pairwise(self.steps)))
        return {
            "kind": self.kind,
            "name": self.name,
            "headline": self.headline,
            "facts": dict(self.facts),
            "steps": [
                {"at": step.at.isoformat(), "seconds": round(gap, 3), "stage": step.stage, "text": step.text}
                for step, gap in zip(self.steps, gaps, strict=True)
            ],
            "reasons": list(self.reasons),
            "rejected": list(self.rejected),
            "what_if": list(self.what_if),
            "hint": self.hint,
        }


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """By the second, as most times in the API are no finer; within one, in the order given, which is that of causes."""
    return tuple(sorted(steps, key=lambda step: step.at.replace(microsecond=0)))


def count(number: int, noun: str) -> str:
    """``1 pod``, ``2 pods``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _timeline(steps: tuple[Step, ...]) -> Iterable[str]:
    """Time of day, seconds since the step before, and what happened; the date when it changes."""
    before: datetime | None = None
    for step in steps:
        if before is None or step.at.date() != before.date():
            yield f"{step.at:%Y-%m-%d} UTC"
        gap = f"+{human_duration(_rounded(before, step.at))}" if before is not None else ""
        yield wrapped(step.text, f"  {step.at:%H:%M:%S} {gap:>7}  ")
        before = step.at


def _rounded(before: datetime, after: datetime) -> float:
    """Between the seconds shown, so that a reader who does the sum gets the same."""
    return max(0.0, (after.replace(microsecond=0) - before.replace(microsecond=0)).total_seconds())


def _seconds(one: Step, other: Step) -> float:
    return max(0.0, (other.at - one.at).total_seconds())


def _table(facts: Mapping[str, Value]) -> Iterable[str]:
    shown = {name.replace("_", " "): value for name, value in facts.items() if value not in (None, "")}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        yield wrapped(str(value), f"  {name:<{width}}  ")
