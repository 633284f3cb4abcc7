"""Hold a value against a node and collect what is wrong.

This runs on every write of every kind, so the common case (a field of a plain type) is one comparison, made without a
call; everything else is a short walk down the nodes.
"""

from __future__ import annotations

import json
from typing import Any

from stratos.apiserver.registry.schema.formats import is_integral
from stratos.apiserver.registry.schema.nodes import Node
from stratos.apiserver.registry.schema.problems import (
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    shown,
    written,
    wrong_type,
)
from stratos.base.errors import FieldProblem


def check(node: Node, value: Any, path: Path, problems: list[FieldProblem]) -> None:
    """Append to ``problems`` whatever is wrong with ``value`` or anything inside it."""
    kind = type(value)
    if value is None:
        if not node.nullable:
            problems.append(wrong_type(path, node.type_name, value))
        return
    if node.accepts and kind not in node.accepts and not (node.type_name == "integer" and is_integral(value)):
        problems.append(wrong_type(path, node.type_name, value))
        return
    if node.enum and value not in node.enum:
        problems.append(not_supported(path, value, node.enum))
    for constraint in node.constraints:
        problem = constraint(value, path)
        if problem is not None:
            problems.append(problem)
    if kind is dict:
        _check_object(node, value, path, problems)
    elif kind is list:
        _check_list(node, value, path, problems)
    if node.together or node.alternatives or node.exactly_one or node.refused is not None:
        _check_combinations(node, value, path, problems)


def _check_object(node: Node, value: dict[str, Any], path: Path, problems: list[FieldProblem]) -> None:
    for name in node.required:
        if name not in value or (node.built_in and value[name] is None):
            problems.append(required((path, name)))  # noqa: PERF401 - nearly never reached
    if node.embedded:
        problems.extend(required((path, name)) for name in ("apiVersion", "kind") if not value.get(name))
    fields, additional = node.fields, node.additional
    for key, item in value.items():
        child = fields.get(key) or additional
        if child is None:
            continue
        if type(item) is child.plain_type:
            continue
        if item is None and child is additional:
            _check_null_entry(child, (path, key), problems)
        else:
            check(child, item, (path, key), problems)


def _check_null_entry(node: Node, path: Path, problems: list[FieldProblem]) -> None:
    """A field of a built-in kind that is null might as well be left out; an entry of a list or a map might not."""
    if not node.nullable or (node.built_in and node.accepts):
        problems.append(wrong_type(path, node.type_name, None))


def _check_list(node: Node, value: list[Any], path: Path, problems: list[FieldProblem]) -> None:
    element = node.items
    if element is not None:
        plain_type = element.plain_type
        for index, item in enumerate(value):
            if item is None:
                _check_null_entry(element, (path, index), problems)
            elif type(item) is not plain_type:
                check(element, item, (path, index), problems)
    if node.list_type != "atomic" and not node.built_in:
        _check_repetitions(node, value, path, problems)


def _check_repetitions(node: Node, value: list[Any], path: Path, problems: list[FieldProblem]) -> None:
    """No value twice in a set, no key twice in a map list."""
    seen: set[str] = set()
    for index, item in enumerate(value):
        identity = item
        if node.list_type == "map":
            key = node.key_of(item)
            if key is None:
                continue
            identity = dict(zip(node.map_keys, key, strict=True))
        text = json.dumps(identity, sort_keys=True)
        if text in seen:
            problems.append(duplicate((path, index), identity))
        seen.add(text)


def _check_combinations(node: Node, value: Any, path: Path, problems: list[FieldProblem]) -> None:
    for part in node.together:
        check(part, value, path, problems)
    where = written(path)
    if node.alternatives:
        failures = [_problems_of(option, value, path) for option in node.alternatives]
        if all(failures):
            problems.append(invalid(path, value, f"{shown(where)} must validate at least one schema (anyOf)"))
            problems.extend(_fewest(failures))
    if node.exactly_one:
        failures = [_problems_of(option, value, path) for option in node.exactly_one]
        valid = failures.count([])
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            problems.append(
                invalid(path, value, f"{shown(where)} must validate one and only one schema (oneOf). {found}")
            )
        if not valid:
            problems.extend(_fewest(failures))
    if node.refused is not None and not _problems_of(node.refused, value, path):
        problems.append(invalid(path, value, f"{shown(where)} must not validate the schema (not)"))


def _fewest(failures: list[list[FieldProblem]]) -> list[FieldProblem]:
    """The option that came closest tells best what to change."""
    closest, *_ = sorted(failures, key=len)
    return closest


def _problems_of(node: Node, value: Any, path: Path) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    check(node, value, path, problems)
    return problems
