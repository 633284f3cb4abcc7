"""The CEL rules of custom resources, ``x-kubernetes-validations``.

A rule sees the value it hangs on as ``self`` and, on updates, the former value as ``oldSelf``. The library that runs
the rules takes half a second to import, so it is imported when the first rule is met.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from stratos.apiserver.registry.schema.nodes import Node
from stratos.apiserver.registry.schema.problems import Path, shown, written
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.quantity import parse_quantity

_BOUND_BY_MACRO = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_TYPE_NAMES = frozenset({"bool", "bytes", "double", "duration", "dyn", "int", "list", "map", "null_type"}) | frozenset(
    {"string", "timestamp", "type", "uint"}
)
_NATIVE_FUNCTIONS = _TYPE_NAMES | frozenset(
    {"contains", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours"}
    | {"hasValue", "none", "of", "ofNonZeroValue", "optMap", "optional", "or", "orValue", "value"}
    | {"getMilliseconds", "getMinutes", "getMonth", "getSeconds", "has", "matches", "max", "min", "size", "startsWith"}
)
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"}
    | {"namespace", "null", "package", "return", "true", "var", "void", "while"}
)
_FIELD_PATH_STEP = re.compile(r"\.([^.\[\]]+)|\['([^']*)'\]|\[(\d+)\]")

_FAILURES = (ArithmeticError, Invalid, LookupError, RuntimeError, TypeError, ValueError)
"""What evaluating an expression on the wrong value may raise."""

_NO_OLD_VALUE = object()


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled expression and the library functions it calls."""

    program: Any
    functions: Mapping[str, Callable[..., Any]]
    compares: bool  # it mentions oldSelf: a transition rule

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        import cel

        return self.program.execute(cel.Context(variables=dict(variables), functions=dict(self.functions)))


@lru_cache(maxsize=4096)
def compile_rule(expression: str) -> Rule:
    """Compile an expression; `Invalid` says why it cannot be, in one line."""
    import cel

    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise Invalid(f"compilation failed: {_first_error(str(error))}") from error
    library = _library()
    for name in program.functions():
        if name[0].isalpha() and name not in library and name not in _NATIVE_FUNCTIONS:
            raise Invalid(f"compilation failed: undeclared reference to '{name}'")
    known = {"self", "oldSelf", *_TYPE_NAMES, *_BOUND_BY_MACRO.findall(expression)}
    variables = program.variables()
    for name in variables:
        if name not in known and not any(function.startswith(f"{name}.") for function in library):
            raise Invalid(f"compilation failed: undeclared reference to '{name}'")
    functions = {name: library[name] for name in sorted(library) if name.rsplit(".", 1)[-1] in expression}
    return Rule(program, functions, compares="oldSelf" in variables)


def check_rules(node: Node, obj: Any, old: Any, problems: list[FieldProblem]) -> None:
    """Append what the rules of ``node`` and of everything below it object to."""
    _check(node, obj, _NO_OLD_VALUE if old is None else old, None, problems)


def _check(node: Node, value: Any, old: Any, path: Path, problems: list[FieldProblem]) -> None:
    if value is None:
        return
    if node.rules:
        _check_node(node, value, old, path, problems)
    if type(value) is dict:
        former = old if type(old) is dict else {}
        for key, item in value.items():
            child = node.child(key)
            if child.has_rules:
                _check(child, item, former.get(key, _NO_OLD_VALUE), (path, key), problems)
    elif type(value) is list and node.items is not None and node.items.has_rules:
        # Only in map lists can one tell which item an old one has become.
        former_items = old if type(old) is list and node.list_type == "map" else []
        by_key = {node.key_of(item): item for item in former_items}
        for index, item in enumerate(value):
            _check(node.items, item, by_key.get(node.key_of(item), _NO_OLD_VALUE), (path, index), problems)


def _check_node(node: Node, value: Any, old: Any, path: Path, problems: list[FieldProblem]) -> None:
    current = _as_cel(node, value)
    former = old if old is _NO_OLD_VALUE else _as_cel(node, old)
    for source in node.rules:
        rule = compile_rule(source["rule"])
        variables = {"self": current}
        if source.get("optionalOldSelf"):
            variables["oldSelf"] = _optional(former)
        elif former is not _NO_OLD_VALUE:
            variables["oldSelf"] = former
        elif rule.compares:
            continue
        try:
            passed = rule.evaluate(variables)
        except _FAILURES as error:
            detail = f"rule evaluation error: {_first_error(str(error))} evaluating rule: {_message(source, {})}"
            problems.append(_problem(source, node, path, detail))
            continue
        if passed is not True:
            problems.append(_problem(source, node, path, _message(source, variables)))


def _optional(former: Any) -> Any:
    from cel import OptionalValue

    return OptionalValue.none() if former is _NO_OLD_VALUE else OptionalValue.of(former)


def _message(source: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    expression = source.get("messageExpression")
    if expression and variables:
        try:
            message = compile_rule(expression).evaluate(variables)
        except _FAILURES:
            message = None  # a broken message must not hide that the rule failed
        if isinstance(message, str) and message.strip():
            return message
    return source.get("message") or f"failed rule: {source['rule'].strip()}"


def _problem(source: Mapping[str, Any], node: Node, path: Path, detail: str) -> FieldProblem:
    for name, key, index in _FIELD_PATH_STEP.findall(source.get("fieldPath") or ""):
        path = (path, int(index) if index else name or key)
    quoted = shown(node.type_name)
    reason = source.get("reason") or "FieldValueInvalid"
    message = {
        "FieldValueForbidden": f"Forbidden: {detail}",
        "FieldValueRequired": f"Required value: {detail}",
        "FieldValueDuplicate": f"Duplicate value: {quoted}",
    }.get(reason, f"Invalid value: {quoted}: {detail}")
    return FieldProblem(written(path) or "<nil>", reason, message)


def _first_error(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "unknown error"


def _as_cel(node: Node, value: Any) -> Any:
    """The value as CEL sees it: numbers are doubles, times are times, and awkward field names are escaped."""
    if type(value) is dict:
        fields = node.fields
        return {_escaped(key) if key in fields else key: _as_cel(node.child(key), item) for key, item in value.items()}
    if type(value) is list:
        element = node.element
        return [_as_cel(element, item) for item in value]
    if type(value) is int and node.type_name == "number":
        return float(value)
    if type(value) is float and node.type_name == "integer":
        return int(value)
    if type(value) is str:
        return _from_text(node.source.get("format"), value)
    return value


def _from_text(name: str | None, text: str) -> Any:
    if name in ("date-time", "datetime"):
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    if name == "duration":
        return timedelta(seconds=parse_duration_seconds(text))
    return text


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    escaped = name.replace("__", "__underscores__")
    return escaped.replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")


@lru_cache(maxsize=1)
def _library() -> dict[str, Callable[..., Any]]:
    """The functions Kubernetes adds to CEL. A quantity stays its own text: only what compares it needs to know more."""
    from cel.stdlib import STDLIB_FUNCTIONS

    return {
        **STDLIB_FUNCTIONS,
        "isSorted": lambda items: all(left <= right for left, right in pairwise(items)),
        "find": lambda text, pattern: _found(re.search(pattern, text)),
        "findAll": lambda text, pattern: [match.group() for match in re.finditer(pattern, text)],
        "quantity": _quantity,
        "isQuantity": _is_quantity,
        "isGreaterThan": lambda left, right: parse_quantity(left) > parse_quantity(right),
        "isLessThan": lambda left, right: parse_quantity(left) < parse_quantity(right),
        "compareTo": _compared,
        "asApproximateFloat": lambda text: float(parse_quantity(text)),
        "asInteger": lambda text: int(parse_quantity(text)),
    }


def _found(match: re.Match[str] | None) -> str:
    return match.group() if match else ""


def _quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except Invalid:
        return False
    return True


def _compared(left: str, right: str) -> int:
    difference = parse_quantity(left) - parse_quantity(right)
    return (difference > 0) - (difference < 0)
