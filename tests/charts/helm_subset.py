"""As much of Helm as our own chart uses: values, conditions, and the handful of functions in its templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*\}\}")


class HelmFailure(Exception):
    """What the template itself refuses to render."""


def render_chart(chart: Path, values: Mapping[str, Any], *, namespace: str) -> list[dict[str, Any]]:
    """The objects that `helm template` prints, without the kinds."""
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    scope = {
        "Values": merged(defaults, values),
        "Chart": {"AppVersion": about["appVersion"]},
        "Release": {"Namespace": namespace},
    }
    objects: list[dict[str, Any]] = []
    for template in sorted((chart / "templates").glob("*.yaml")):
        text = render(template.read_text(), scope)
        objects += [obj for obj in yaml.safe_load_all(text) if obj]
    return objects


def merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """With what the user says over the defaults; null takes a name away."""
    result = dict(defaults)
    for name, value in values.items():
        if value is None:
            result.pop(name, None)
            continue
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if both else value
    return result


def render(text: str, scope: Mapping[str, Any]) -> str:
    return "".join(_block(_tokens(text), scope, shown=True))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Texts and actions in turn; an action that begins with a dash eats the white space before it."""
    position = 0
    for found in _ACTION.finditer(text):
        before = text[position : found.start()]
        yield "text", before.rstrip() if found[1] else before
        yield "action", found[2]
        position = found.end()
    yield "text", text[position:]


def _block(tokens: Iterator[tuple[str, str]], scope: Mapping[str, Any], *, shown: bool) -> Iterator[str]:
    for kind, token in tokens:
        if kind == "text":
            if shown:
                yield token
        elif token == "end":
            return
        elif token.startswith(("if ", "with ")):
            word, _, condition = token.partition(" ")
            value = _value(condition, scope) if shown else None
            inner = {**scope, ".": value} if word == "with" else scope
            yield from _block(tokens, inner, shown=shown and bool(value))
        elif shown:
            yield _printed(_value(token, scope))


def _value(pipeline: str, scope: Mapping[str, Any]) -> Any:
    first, *rest = (part.strip() for part in _split(pipeline, "|"))
    value = _call(first, scope)
    for step in rest:
        value = _call(step, scope, value)
    return value


def _call(call: str, scope: Mapping[str, Any], *piped: Any) -> Any:
    words = list(_split(call, " "))
    if len(words) == 1 and not piped:
        return _operand(words[0], scope)
    name, *arguments = words
    values = [*(_operand(word, scope) for word in arguments), *piped]
    match name, values:
        case "quote", [value]:
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case "toYaml", [value]:
            return yaml.safe_dump(value, sort_keys=True, width=10_000).rstrip("\n")
        case "nindent", [spaces, text]:
            return "".join(f"\n{' ' * spaces}{line}" for line in text.splitlines())
        case "default", [usual, value]:
            return value or usual
        case "eq", [one, other]:
            return one == other
        case "ne", [one, other]:
            return one != other
        case "not", [value]:
            return not value
        case "kindIs", ["invalid", value]:
            return value is None
        case "last", [values]:
            return values[-1]
        case "splitList", [separator, text]:
            return text.split(separator)
        case "required", [message, value]:
            if not value:
                raise HelmFailure(message)
            return value
        case "fail", [message]:
            raise HelmFailure(message)
        case "include" | "print" | "sha256sum", _:
            return "a checksum"
    raise NotImplementedError(f"the chart uses {name}, which its test does not know")


def _operand(word: str, scope: Mapping[str, Any]) -> Any:
    if word.startswith("("):
        return _value(word[1:-1], scope)
    if word.startswith('"'):
        return word[1:-1]
    if word.isdecimal():
        return int(word)
    if word == ".":
        return scope.get(".", scope)
    value: Any = scope
    for name in word.removeprefix("$").lstrip(".").split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _split(text: str, separator: str) -> Iterator[str]:
    """At separators outside quotes and parentheses."""
    depth, quoted, part = 0, False, ""
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == separator and not quoted and not depth:
            if part:
                yield part
            part = ""
        else:
            part += letter
    if part:
        yield part


def _printed(value: Any) -> str:
    """As Go prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
