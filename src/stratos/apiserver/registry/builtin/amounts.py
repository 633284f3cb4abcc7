"""Amounts of resources: written as text, quantities that parse, not negative, and requests within limits."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from stratos.apiserver.registry.builtin.fields import Problems, invalid, mapping, required
from stratos.apiserver.registry.builtin.names import qualified_name
from stratos.base.errors import Invalid
from stratos.base.quantity import parse_quantity

_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})
_QUANTITY_DETAIL = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def is_extended(resource: str) -> bool:
    """A countable device such as ``nvidia.com/gpu``: whole numbers only, and never overcommitted."""
    return "/" in resource and not resource.startswith(("kubernetes.io/", "requests."))


def quantity(value: object) -> Decimal | None:
    """The amount meant, or nothing when it is no quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return parse_quantity(value)
    except Invalid:
        return None


def spell_amounts(amounts: object) -> None:
    """Write plain numbers as the text they mean, in place: manifests may say ``cpu: 1``, readers expect ``"1"``."""
    found = mapping(amounts)
    for name, value in found.items():
        if isinstance(value, float) and (amount := quantity(value)) is not None:
            found[name] = (
                f"{int((amount * 1000).to_integral_value(ROUND_CEILING))}m" if amount % 1 else str(int(amount))
            )
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = str(value)


def validate_quantity(field: str, value: object) -> Problems:
    amount = quantity(value)
    if amount is None:
        yield invalid(field, value, _QUANTITY_DETAIL)
    elif amount < 0:
        yield invalid(field, value, "must be greater than or equal to 0")


def validate_amounts(amounts: object, field: str) -> Problems:
    """A ``ResourceList`` that any object may carry: the amounts only."""
    for name, value in mapping(amounts).items():
        yield from validate_quantity(f"{field}[{name}]", value)
        if is_extended(name) and (amount := quantity(value)) is not None and amount % 1:
            yield invalid(f"{field}[{name}]", value, "must be an integer")


def validate_container_resources(resources: object, field: str) -> Problems:
    limits, requests = mapping(resources, "limits"), mapping(resources, "requests")
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name in amounts:
            yield from _validate_resource_name(name, f"{field}.{part}[{name}]")
        yield from validate_amounts(amounts, f"{field}.{part}")
    for name in sorted({*limits, *requests}):
        yield from _validate_request_within_limit(name, requests.get(name), limits.get(name), field)


def _validate_resource_name(name: str, field: str) -> Problems:
    if problem := qualified_name(name):
        yield invalid(field, name, problem)
    elif "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        yield invalid(field, name, "must be a standard resource for containers")


def _validate_request_within_limit(name: str, request: object, limit: object, field: str) -> Problems:
    exact = is_extended(name) or name.startswith("hugepages-")
    if limit is None:
        if exact:
            yield required(f"{field}.limits", "Limit must be set for non overcommitable resources")
        return
    asked, allowed = quantity(request), quantity(limit)
    if asked is None or allowed is None:
        return
    if exact and asked != allowed:
        yield invalid(f"{field}.requests", str(request), f"must be equal to {name} limit of {limit}")
    elif asked > allowed:
        yield invalid(f"{field}.requests", str(request), f"must be less than or equal to {name} limit of {limit}")
