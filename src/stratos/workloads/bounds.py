"""How many pods a rollout may add or miss: numbers and percentages, rounded as Kubernetes rounds them."""

from __future__ import annotations

from stratos.base.errors import Invalid


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """A count, or a percentage of ``total`` such as ``25%``. Raises `Invalid` when the text is neither."""
    if isinstance(value, int):
        return value
    number = value.removesuffix("%")
    if not value.endswith("%") or not number.isdigit():
        raise Invalid(f"{value!r} is neither a number nor a percentage", hint="write 3 or 25%")
    hundredths = int(number) * total
    return -(-hundredths // 100) if round_up else hundredths // 100


def surge_and_unavailable(max_surge: int | str, max_unavailable: int | str, desired: int) -> tuple[int, int]:
    """Resolve both bounds. If rounding left no room to move at all, one pod may be unavailable."""
    surge = scaled(max_surge, desired, round_up=True)
    unavailable = scaled(max_unavailable, desired, round_up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)
