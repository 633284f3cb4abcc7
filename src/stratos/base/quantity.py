"""Kubernetes quantities: ``500m``, ``1.5Gi``, ``2e3``.

Planning counts in integers, so that sums are exact: CPU in millicores, everything else in base units, both rounded up
as the scheduler does (apimachinery ``Quantity.MilliValue`` and ``Quantity.Value``).
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

from stratos.base.errors import Invalid

MEBIBYTE, GIBIBYTE = 2**20, 2**30

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)


@lru_cache(maxsize=65536)
def parse_quantity(text: str | int | float) -> Decimal:
    """The exact value of a quantity, in base units. Raises `Invalid` when it is not one."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise Invalid(
            f"{text!r} is not a quantity",
            hint="write a number with an optional suffix, such as 500m, 2, 1.5Gi or 64M",
        )
    number, exponent, suffix = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIXES[suffix or ""]


@lru_cache(maxsize=65536)
def millis(text: str | int | float) -> int:
    """A quantity in thousandths, rounded up: ``millis("1.5") == 1500``."""
    return int((parse_quantity(text) * 1000).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=65536)
def units(text: str | int | float) -> int:
    """A quantity in whole base units (bytes, devices, pods), rounded up: ``units("1Ki") == 1024``."""
    return int(parse_quantity(text).to_integral_value(ROUND_CEILING))


def resource_amount(resource: str, text: str | int | float) -> int:
    """How much of ``resource`` a quantity means: millicores for ``cpu``, base units for all others."""
    return millis(text) if resource == "cpu" else units(text)


def format_amount(resource: str, amount: int) -> str:
    """The shortest exact quantity for an amount from `resource_amount`."""
    if resource == "cpu":
        return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"
    if amount and resource != "pods":
        for suffix in ("Ti", "Gi", "Mi", "Ki"):
            step = int(_SUFFIXES[suffix])
            if amount % step == 0:
                return f"{amount // step}{suffix}"
    return str(amount)
