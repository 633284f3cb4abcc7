"""Templates in the syntax of Go's text/template, as far as user data of the founding posts goes.

That is: fields of the data and of variables, ``if``, ``else``, ``range`` with or without variables, comments, trimmed
blanks, comparisons and a few other functions. Whatever else occurs is refused by its name and line: half a template is
a machine that never joins. No maintained library for Python does this without a Go compiler beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from stratos.base.errors import Invalid

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]

_DOT = "."
_ACTION = re.compile(r"(?P<trim>\s*\{\{-\s|\{\{)(?P<inside>.*?)(?P<trim_after>\s-\}\}\s*|\}\})", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<number>-?\d+)|(?P<path>[.$][\w.]*)|(?P<word>[A-Za-z]\w*)"""
    r"""|(?P<mark>:=|[(),]))"""
)
_BLOCKS = ("if", "range")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "not": lambda value: not value,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "len": len,
    "index": lambda of, *keys: reduce(lambda value, key: value[key], keys, of),
}


def render(template: str, data: Mapping[str, Any]) -> str:
    """Raises `Invalid`, with the line, for what is not understood and for what the data does not have."""
    parser = _Parser(list(_pieces(template)))
    block = parser.block(until=())
    return block.render({_DOT: data, "$": data})


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str  # of an action, what is between its braces
    line: int
    is_action: bool


def _pieces(template: str) -> Iterator[_Piece]:
    at = 0
    for found in _ACTION.finditer(template):
        yield _Piece(template[at : found.start()], 0, is_action=False)
        inside = found["inside"].strip()
        if not inside.startswith("/*"):
            line = template.count("\n", 0, found.start("inside")) + 1
            yield _Piece(inside, line, is_action=True)
        at = found.end()
    rest = template[at:]
    if "{{" in rest:
        line = template.count("\n", 0, at + rest.index("{{")) + 1
        raise Invalid(f"line {line} of the template: braces are opened and not closed")
    yield _Piece(rest, 0, is_action=False)


@dataclass(slots=True)
class _Block:
    parts: list[Callable[[Scope], str]] = field(default_factory=list)

    def render(self, scope: Scope) -> str:
        return "".join(part(scope) for part in self.parts)


class _Parser:
    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = pieces
        self._at = 0
        self.ended_by: _Action | None = None

    def block(self, until: tuple[str, ...], opened: _Action | None = None) -> _Block:
        """All up to one of these words, which `ended_by` then holds."""
        block = _Block()
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if not piece.is_action:
                block.parts.append(_text(piece.text))
                continue
            action = _Action(piece.text, piece.line)
            word = action.peek()
            if word in until:
                action.next()
                self.ended_by = action
                return block
            block.parts.append(self._part(action, word))
        if opened is not None:
            raise Invalid(f"line {opened.line} of the template: {{{{{opened.text}}}}} has no end")
        return block

    def _part(self, action: _Action, word: str) -> Callable[[Scope], str]:
        if word not in _BLOCKS:
            value = action.expression()
            action.finish()
            return lambda scope: _shown(value(scope), action.line)
        action.next()
        return self._condition(action) if word == "if" else self._range(action)

    def _condition(self, action: _Action) -> Callable[[Scope], str]:
        condition = action.expression()
        action.finish()
        met = self.block(until=("else", "end"), opened=action)
        otherwise = self._otherwise(action)
        return lambda scope: met.render(scope) if condition(scope) else otherwise.render(scope)

    def _range(self, action: _Action) -> Callable[[Scope], str]:
        names = action.variables()
        values = action.expression()
        action.finish()
        body = self.block(until=("else", "end"), opened=action)
        otherwise = self._otherwise(action)

        def render(scope: Scope) -> str:
            items = _items(values(scope), action.line)
            if not items:
                return otherwise.render(scope)
            given = ({_DOT: value, **dict(zip(names[::-1], (value, key), strict=False))} for key, value in items)
            return "".join(body.render({**scope, **own}) for own in given)

        return render

    def _otherwise(self, opened: _Action) -> _Block:
        """What follows the word that ended the first block: nothing, an else, or another condition."""
        ended_by = self.ended_by
        if ended_by is None:
            raise AssertionError("a block ends with a word")
        if ended_by.word == "end":
            ended_by.finish()
            return _Block()
        if ended_by.peek() == "if":
            ended_by.next()
            return _Block([self._condition(ended_by)])
        ended_by.finish()
        return self.block(until=("end",), opened=opened)


class _Action:
    """What is between two pairs of braces, read token by token."""

    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.line = line
        self.word = ""  # the token read last
        self._tokens = list(self._tokenize())
        self._at = 0

    def _tokenize(self) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(self.text):
            found = _TOKEN.match(self.text, at)
            if found is None or found.lastgroup is None:
                raise _refused(repr(self.text[at:].strip()), self.line)
            yield found.lastgroup, found[found.lastgroup]
            at = found.end()

    def peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise _refused(f"{{{{{self.text}}}}}, which breaks off", self.line)
        kind, self.word = self._tokens[self._at]
        self._at += 1
        return kind, self.word

    def finish(self) -> None:
        if self.peek():
            raise _refused(repr(self.peek()), self.line)

    def variables(self) -> tuple[str, ...]:
        """``$key, $value :=``, if that is how it goes on; by custom a single one is the value."""
        marks = [token for _, token in self._tokens]
        if ":=" not in marks:
            return ()
        names: list[str] = []
        while self.word != ":=":
            kind, token = self.next()
            if kind == "path" and token.startswith("$"):
                names.append(token)
        return tuple(names)

    def expression(self) -> Expression:
        """A value, or a function with its arguments."""
        kind, token = self.next()
        if kind != "word" or token in ("true", "false"):
            return self._value(kind, token)
        function = _FUNCTIONS.get(token)
        if function is None:
            raise _refused(repr(token), self.line)
        arguments = []
        while self.peek() not in ("", ")"):
            arguments.append(self._value(*self.next()))
        return self._called(token, function, arguments)

    def _called(self, name: str, function: Callable[..., Any], arguments: Sequence[Expression]) -> Expression:
        line = self.line

        def call(scope: Scope) -> Any:
            try:
                return function(*(argument(scope) for argument in arguments))
            except (TypeError, LookupError) as error:
                raise Invalid(f"line {line} of the template: {name} does not take these values: {error}") from error

        return call

    def _value(self, kind: str, token: str) -> Expression:
        if kind == "path":
            return self._path(token)
        if kind == "mark" and token == "(":
            inner = self.expression()
            if self.next()[1] != ")":
                raise _refused(repr(self.word), self.line)
            return inner
        if kind == "string":
            text = token[1:-1] if token.startswith("`") else json.loads(token)
            return lambda scope: text
        if kind == "number":
            return lambda scope: int(token)
        if token in ("true", "false"):
            return lambda scope: token == "true"
        raise _refused(repr(token), self.line)

    def _path(self, token: str) -> Expression:
        """``.Field.Field`` of what the dot stands for, or ``$name.Field`` of a variable."""
        root, *names = token.split(".")
        names = [name for name in names if name]

        def look_up(scope: Scope) -> Any:
            value = scope.get(root or _DOT)
            if root and root not in scope:
                raise Invalid(f"line {self.line} of the template: there is no variable {root}")
            for name in names:
                if not isinstance(value, Mapping) or name not in value:
                    has = f"there are {', '.join(f'.{key}' for key in value)}" if isinstance(value, Mapping) else None
                    raise Invalid(f"line {self.line} of the template: there is no .{name}", hint=has)
                value = value[name]
            return value

        return look_up


def _text(text: str) -> Callable[[Scope], str]:
    return lambda scope: text


def _shown(value: Any, line: int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int):
        raise Invalid(f"line {line} of the template: several values at once cannot be printed", hint="range over them")
    return str(value)


def _items(values: Any, line: int) -> list[tuple[Any, Any]]:
    """Keys and values, or places and values. As in Go, keys come in order."""
    if isinstance(values, Mapping):
        return sorted(values.items())
    if isinstance(values, Sequence) and not isinstance(values, str):
        return list(enumerate(values))
    raise Invalid(f"line {line} of the template: range needs several values, not {values!r}")


def _refused(what: str, line: int) -> Invalid:
    return Invalid(
        f"line {line} of the template: {what} is not understood",
        hint="understood are fields, if, else, range, end, comments and " + ", ".join(_FUNCTIONS),
    )
