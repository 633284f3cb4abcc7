"""How a built-in kind is described: short to write, complete as a `Resource`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stratos.apiserver.registry.builtin.columns import AGE, NAME
from stratos.apiserver.registry.builtin.fields import Problems
from stratos.apiserver.registry.builtin.names import NameRule, dns_subdomain, validate_metadata
from stratos.apiserver.registry.resource import Column, Obj, Resource, ScalePaths
from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.base.errors import FieldProblem


def _no_rule(_: Obj) -> Problems:
    yield from ()


def _no_update_rule(_new: Obj, _old: Obj) -> Problems:
    yield from ()


def _no_default(_: Obj) -> None:
    return None


def plural_of(kind: str) -> str:
    """The plural in URLs: ``pods``, ``networkpolicies``, ``ingresses``."""
    lower = kind.lower()
    if lower.endswith("s") and not lower.endswith("endpoints"):
        return f"{lower}es"
    if lower.endswith("y"):
        return f"{lower[:-1]}ies"
    return lower if lower.endswith("endpoints") else f"{lower}s"


def field_at(path: str) -> Callable[[Obj], str]:
    """The value of a selectable field as text; an absent one is empty."""
    keys = path.split(".")

    def value(obj: Obj) -> str:
        found: object = obj
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, bool):
            return str(found).lower()
        return "" if found is None else str(found)

    return value


def kind(
    group_version: str,
    name: str,
    *,
    namespaced: bool = True,
    short_names: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    subresources: Iterable[str] = (),
    scale: ScalePaths | None = None,
    columns: tuple[Column, ...] = (NAME, AGE),
    selectable: Iterable[str] = (),
    selectable_as: Mapping[str, str] | None = None,
    name_rule: NameRule = dns_subdomain,
    default: Callable[[Obj], None] = _no_default,
    validate: Callable[[Obj], Problems] = _no_rule,
    validate_update: Callable[[Obj, Obj], Problems] = _no_update_rule,
    created_with_status: bool = False,
) -> Resource:
    """One built-in kind. ``validate`` need not look at the metadata: its common rules are added here.

    ``selectable_as`` is for the few field selectors that are called differently from the field.
    """
    group, _, version = group_version.rpartition("/")

    def validate_all(obj: Obj) -> tuple[FieldProblem, ...]:
        return (*validate_metadata(obj, name_rule), *validate(obj))

    return Resource(
        group=group,
        version=version,
        kind=name,
        plural=plural_of(name),
        namespaced=namespaced,
        schema=load_builtin_schema(group, version, name),
        singular=name.lower(),
        short_names=short_names,
        categories=categories,
        subresources=frozenset(subresources),
        scale=scale,
        columns=columns,
        selectable={
            label: field_at(path)
            for label, path in ({path: path for path in selectable} | dict(selectable_as or {})).items()
        },
        default=default,
        validate=validate_all,
        validate_update=lambda new, old: tuple(validate_update(new, old)),
        created_with_status=created_with_status,
    )
