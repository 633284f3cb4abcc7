"""Rules for numbers that may also be written as a share: ``3`` or ``25%``."""

from __future__ import annotations

import re

from stratos.apiserver.registry.builtin.fields import Problems, invalid

_PERCENT = re.compile(r"[0-9]+%")
_NOT_A_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)


def validate_number_or_percent(field: str, value: object, *, percent_max: int | None = None) -> Problems:
    if value is None:
        return
    if isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            yield invalid(field, value, _NOT_A_PERCENT)
        elif percent_max is not None and int(value[:-1]) > percent_max:
            yield invalid(field, value, f"must not be greater than {percent_max}%")
    elif isinstance(value, int) and value < 0:
        yield invalid(field, value, "must be greater than or equal to 0")
