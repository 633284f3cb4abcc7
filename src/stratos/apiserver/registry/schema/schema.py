"""A compiled schema and what can be asked of it: is this object valid, what is missing, what is too much?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.schema.nodes import NO_DEFAULT, Definitions, Node, Source
from stratos.apiserver.registry.schema.problems import Path, written
from stratos.apiserver.registry.schema.rules import check_rules
from stratos.apiserver.registry.schema.validation import check
from stratos.base.errors import FieldProblem


class Schema:
    """One structural schema; ``source`` is the OpenAPI v3 document it came from.

    Nothing happens until it is used. ``definitions`` holds what its ``$ref`` name.
    """

    __slots__ = ("root", "source")

    def __init__(self, source: Mapping[str, Any], definitions: Definitions | None = None) -> None:
        self.source: Source = source
        self.root: Node = (definitions or Definitions({})).node(source)

    def validate(self, obj: Any, old: Any = None) -> tuple[FieldProblem, ...]:
        """Everything wrong with ``obj``. Rules that compare run when there is an ``old`` object.

        CEL rules are asked only of objects of the right shape: they may rely on it.
        """
        problems: list[FieldProblem] = []
        check(self.root, obj, None, problems)
        if not problems and self.root.has_rules:
            check_rules(self.root, obj, old, problems)
        return tuple(problems)

    def default(self, obj: Any) -> None:
        """Fill in, in place, what the schema has a default for."""
        if self.root.has_defaults:
            _default(self.root, obj)

    def prune(self, obj: Any) -> list[str]:
        """Remove, in place, the fields the schema does not know, and say which they were."""
        unknown: list[str] = []
        _prune(self.root, obj, None, unknown, remove=True)
        return unknown

    def unknown_fields(self, obj: Any) -> list[str]:
        """The paths of the fields `prune` would remove."""
        unknown: list[str] = []
        _prune(self.root, obj, None, unknown, remove=False)
        return unknown


def _default(node: Node, value: Any) -> None:
    if type(value) is dict:
        for key, field in node.fields.items():
            # A null that may not be null is as good as missing when there is something to put in its place.
            missing = key not in value or (value[key] is None and not field.nullable)
            if missing and field.default is not NO_DEFAULT:
                value[key] = copy_json(field.default)
            if field.has_defaults and key in value:
                _default(field, value[key])
        if node.additional is not None and node.additional.has_defaults:
            for key, item in value.items():
                if key not in node.fields:
                    _default(node.additional, item)
    elif type(value) is list and node.items is not None and node.items.has_defaults:
        for item in value:
            _default(node.items, item)


def _prune(node: Node, value: Any, path: Path, unknown: list[str], *, remove: bool) -> None:
    if type(value) is dict:
        fields = node.fields
        if node.closed and not value.keys() <= fields.keys():
            extra = [key for key in value if key not in fields]
            unknown.extend(written((path, key)) for key in extra)
            if remove:
                for key in extra:
                    del value[key]
        if remove and node.built_in and None in value.values():
            for key in [key for key, item in value.items() if item is None]:
                del value[key]
        additional = node.additional
        for key, item in value.items():
            if type(item) is dict or type(item) is list:
                child = fields.get(key) or additional
                if child is not None:
                    _prune(child, item, (path, key), unknown, remove=remove)
    elif type(value) is list and node.items is not None:
        for index, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                _prune(node.items, item, (path, index), unknown, remove=remove)
