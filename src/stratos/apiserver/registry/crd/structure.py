"""Is this OpenAPI document structural: can every field be typed, pruned and defaulted by walking it once?

The rules are those of the real server, and so are the names of the fields in the complaints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stratos.apiserver.registry.builtin.fields import Problems, forbidden, invalid, not_supported, required
from stratos.apiserver.registry.schema import Schema
from stratos.apiserver.registry.schema.constraints import compile_pattern
from stratos.apiserver.registry.schema.rules import compile_rule
from stratos.base.errors import FieldProblem, Invalid

Source = Mapping[str, Any]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NOT_STRUCTURAL = ("$ref", "$schema", "additionalItems", "definitions", "dependencies", "id", "patternProperties")
_NOT_IN_COMBINATIONS = (
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "x-kubernetes-validations",
)
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_MANAGED_METADATA = {"name", "generateName"}


def check_structure(root: Source, at: str) -> Problems:
    """Everything that keeps ``root`` from being the schema of a kind; ``at`` is the field it stands in."""
    if root.get("type") != "object":
        if root.get("type"):
            yield invalid(f"{at}.type", root["type"], "must be object at the root")
        else:
            yield required(f"{at}.type", "must not be empty at the root")
        return
    if root.get("nullable"):
        yield forbidden(f"{at}.nullable", "nullable cannot be true at the root")
    metadata = (root.get("properties") or {}).get("metadata") or {}
    limited = set(metadata.get("properties") or {}) - _MANAGED_METADATA
    if limited or set(metadata) - {"description", "properties", "type"}:
        yield forbidden(
            f"{at}.properties[metadata]",
            "must not specify anything other than name and generateName, but metadata is implicitly specified",
        )
    yield from _check(root, at)


def _check(source: Source, at: str) -> Problems:
    problems = [*_check_itself(source, at), *_check_children(source, at)]
    yield from problems
    if not problems:
        # Only a schema that works can judge its default.
        yield from _check_default(source, at)


def _check_itself(source: Source, at: str) -> Problems:
    yield from _check_keywords(source, at)
    yield from _check_type(source, at)
    yield from _check_list(source, at)
    yield from _check_values(source, at)
    yield from _check_rules(source, at)


def _check_keywords(source: Source, at: str) -> Problems:
    for keyword in _NOT_STRUCTURAL:
        if source.get(keyword):
            yield forbidden(f"{at}.{keyword}", f"{keyword} is not supported")


def _check_children(source: Source, at: str) -> Problems:
    for name, child in (source.get("properties") or {}).items():
        child_at = f"{at}.properties[{name}]"
        yield from _check_typed(child, child_at, "must not be empty for specified object fields")
        yield from _check(child, child_at)
    if isinstance(extra := source.get("additionalProperties"), Mapping):
        yield from _check_typed(extra, f"{at}.additionalProperties", "must not be empty for specified object fields")
        yield from _check(extra, f"{at}.additionalProperties")
    if isinstance(items := source.get("items"), Mapping):
        yield from _check_typed(items, f"{at}.items", "must not be empty for specified array items")
        yield from _check(items, f"{at}.items")
        yield from _check_keys(source.get("x-kubernetes-list-map-keys") or (), items, at)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, part in enumerate(source.get(keyword) or ()):
            yield from _check_combination(part, f"{at}.{keyword}[{index}]", source)
    if source.get("not"):
        yield from _check_combination(source["not"], f"{at}.not", source)


def _check_typed(source: Source, at: str, complaint: str) -> Problems:
    open_type = source.get("x-kubernetes-int-or-string") or source.get("x-kubernetes-preserve-unknown-fields")
    if not source.get("type") and not open_type:
        yield required(f"{at}.type", complaint)


def _check_type(source: Source, at: str) -> Problems:
    kind = source.get("type")
    if kind and kind not in _TYPES:
        yield not_supported(f"{at}.type", kind, _TYPES)
    if kind and source.get("x-kubernetes-int-or-string"):
        yield invalid(f"{at}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    if source.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{at}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if source.get("x-kubernetes-embedded-resource"):
        if kind != "object":
            yield invalid(f"{at}.type", kind or "", "must be object if x-kubernetes-embedded-resource is true")
        if not source.get("properties") and not source.get("x-kubernetes-preserve-unknown-fields"):
            yield required(f"{at}.properties", "must not be empty if x-kubernetes-embedded-resource is true")
    if source.get("properties") and source.get("additionalProperties"):
        yield forbidden(f"{at}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if kind == "array" and not isinstance(source.get("items"), Mapping):
        yield required(f"{at}.items", "must be specified")


def _check_list(source: Source, at: str) -> Problems:
    list_type, keys = source.get("x-kubernetes-list-type"), source.get("x-kubernetes-list-map-keys") or []
    if list_type and list_type not in ("atomic", "map", "set"):
        yield not_supported(f"{at}.x-kubernetes-list-type", list_type, ("atomic", "map", "set"))
    if list_type and source.get("type") != "array":
        yield invalid(f"{at}.type", source.get("type") or "", "must be array if x-kubernetes-list-type is specified")
    if source.get("x-kubernetes-map-type") not in (None, "atomic", "granular"):
        yield not_supported(f"{at}.x-kubernetes-map-type", source["x-kubernetes-map-type"], ("atomic", "granular"))
    if list_type == "map" and not keys:
        yield required(f"{at}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    if keys and list_type != "map":
        yield invalid(
            f"{at}.x-kubernetes-list-type", list_type or "", "must be map if x-kubernetes-list-map-keys is non-empty"
        )


def _check_keys(keys: Sequence[str], items: Source, at: str) -> Problems:
    for index, key in enumerate(keys):
        field = (items.get("properties") or {}).get(key)
        if field is None:
            yield invalid(
                f"{at}.x-kubernetes-list-map-keys[{index}]", key, "must be the name of a property of the list's items"
            )
        elif key not in (items.get("required") or ()) and "default" not in field:
            yield required(
                f"{at}.items.properties[{key}].default",
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            )


def _check_values(source: Source, at: str) -> Problems:
    if source.get("uniqueItems"):
        yield forbidden(
            f"{at}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        )
    if isinstance(pattern := source.get("pattern"), str):
        try:
            compile_pattern(pattern)
        except re.error as error:
            yield invalid(f"{at}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}")
    if (step := source.get("multipleOf")) is not None and step <= 0:
        yield invalid(f"{at}.multipleOf", step, "must be greater than 0")
    if source.get("enum") == []:
        yield required(f"{at}.enum", "must not be empty")
    for name in source.get("required") or ():
        if not isinstance(name, str):
            yield invalid(f"{at}.required", name, "must be the name of a property")


def _check_combination(part: Source, at: str, owner: Source) -> Problems:
    for keyword in _NOT_IN_COMBINATIONS:
        if part.get(keyword) is not None:
            yield forbidden(f"{at}.{keyword}", "must be undefined to be structural")
    if part.get("type") and not owner.get("x-kubernetes-int-or-string"):
        yield forbidden(f"{at}.type", "must be empty to be structural")
    yield from _check_keywords(part, at)
    yield from _check_values(part, at)
    for name, child in (part.get("properties") or {}).items():
        yield from _check_combination(child, f"{at}.properties[{name}]", {})
    if isinstance(items := part.get("items"), Mapping):
        yield from _check_combination(items, f"{at}.items", {})
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(part.get(keyword) or ()):
            yield from _check_combination(inner, f"{at}.{keyword}[{index}]", owner)
    if part.get("not"):
        yield from _check_combination(part["not"], f"{at}.not", owner)


def _check_rules(source: Source, at: str) -> Problems:
    for index, rule in enumerate(source.get("x-kubernetes-validations") or ()):
        rule_at = f"{at}.x-kubernetes-validations[{index}]"
        expression = rule.get("rule") or ""
        if not expression.strip():
            yield required(f"{rule_at}.rule", "rule is not specified")
            continue
        yield from _check_expression(expression, f"{rule_at}.rule")
        if describe := rule.get("messageExpression"):
            yield from _check_expression(describe, f"{rule_at}.messageExpression")
        if isinstance(message := rule.get("message"), str) and not message.strip():
            yield invalid(f"{rule_at}.message", message, "message must be non-empty if specified")
        if rule.get("optionalOldSelf") and "oldSelf" not in expression:
            yield invalid(f"{rule_at}.optionalOldSelf", True, "may not be set if oldSelf is not used in rule")
        if (reason := rule.get("reason")) and reason not in _REASONS:
            yield not_supported(f"{rule_at}.reason", reason, _REASONS)
        if (path := rule.get("fieldPath")) and not _leads_somewhere(source, path):
            yield invalid(f"{rule_at}.fieldPath", path, "fieldPath must be a valid path")


def _check_expression(expression: str, at: str) -> Problems:
    try:
        compile_rule(expression)
    except Invalid as error:
        yield invalid(at, expression, error.message)


def _leads_somewhere(source: Source, path: str) -> bool:
    steps = re.findall(r"\.([^.\[\]]+)|\['([^']*)'\]", path)
    if not steps or "".join(f".{name}" if name else f"['{key}']" for name, key in steps) != path:
        return False
    for name, key in steps:
        properties, extra = source.get("properties") or {}, source.get("additionalProperties")
        if (name or key) in properties:
            source = properties[name or key]
        elif isinstance(extra, Mapping):
            source = extra
        else:
            return False
    return True


def _check_default(source: Source, at: str) -> Problems:
    default = source.get("default")
    if default is None:
        return
    schema = Schema({"type": "object", "properties": {"default": source}})
    for problem in schema.validate({"default": default}):
        yield FieldProblem(f"{at}.{problem.field}", problem.reason, problem.message)
    for unknown in schema.unknown_fields({"default": default}):
        yield invalid(f"{at}.{unknown}", default, "must be a known field, or it would be pruned")
