"""Go-style durations as manifests write them: ``10m``, ``1h30m``, ``1.5s``."""

from __future__ import annotations

import re
from functools import lru_cache

from stratos.base.errors import Invalid

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


@lru_cache(maxsize=1024)
def parse_duration_seconds(text: str) -> float:
    """Seconds in a duration. Raises `Invalid` when the text is not one."""
    body = text.strip()
    sign = -1.0 if body.startswith("-") else 1.0
    body = body.lstrip("+-")
    if body == "0":
        return 0.0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise Invalid(f"{text!r} is not a duration", hint="write a number and a unit, such as 30s, 10m or 1h30m")
    return sign * sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """The way people write it: ``90.0`` is ``1m30s``, ``0.25`` is ``250ms``."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms" if seconds else "0s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + (f"{rest}s" if rest else "")
    return text or "0s"
