"""Label selectors and field selectors: parsed once, then asked many times.

One requirement model serves the query syntax (``app=web,tier in (a,b),!legacy``), the ``LabelSelector`` of manifests
(``matchLabels`` and ``matchExpressions``) and node selector terms, which add ``Gt`` and ``Lt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stratos.base.errors import Invalid


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the value of one key. `NotIn` and `DoesNotExist` hold when the key is absent."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.GT | Operator.LT:
                return value is not None and self._compare(value)

    def _compare(self, value: str) -> bool:
        try:
            seen, bound = int(value), int(next(iter(self.values)))
        except (ValueError, StopIteration):
            return False
        return seen > bound if self.operator is Operator.GT else seen < bound

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={values}"
            case Operator.NOT_IN if len(self.values) == 1:
                return f"{self.key}!={values}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {'in' if self.operator is Operator.IN else 'notin'} ({values})"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.GT | Operator.LT:
                return f"{self.key}{'>' if self.operator is Operator.GT else '<'}{values}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all hold. With none, it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelector()


def from_match_labels(labels: Mapping[str, str]) -> LabelSelector:
    return LabelSelector(tuple(Requirement(k, Operator.IN, frozenset((v,))) for k, v in sorted(labels.items())))


def from_label_selector(selector: Mapping[str, Any]) -> LabelSelector:
    """The ``LabelSelector`` of a manifest as decoded JSON; an empty one selects everything."""
    expressions = tuple(
        Requirement(item["key"], Operator(item["operator"]), frozenset(item.get("values") or ()))
        for item in selector.get("matchExpressions") or ()
    )
    return LabelSelector(from_match_labels(selector.get("matchLabels") or {}).requirements + expressions)


_SET_BASED = re.compile(r"(?P<key>[^\s!=<>(),]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARED = re.compile(r"(?P<key>[^\s!=<>(),]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s!=<>(),]*)")
_PRESENCE = re.compile(r"(?P<not>!?)\s*(?P<key>[^\s!=<>(),]+)")
_COMPARISONS = {
    "=": Operator.IN,
    "==": Operator.IN,
    "!=": Operator.NOT_IN,
    ">": Operator.GT,
    "<": Operator.LT,
}
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def parse_label_selector(text: str) -> LabelSelector:
    """Parse the query syntax of ``labelSelector``. Raises `Invalid` on the first part that makes no sense."""
    return LabelSelector(tuple(_parse_requirement(part) for part in _split_outside_parentheses(text)))


def _parse_requirement(part: str) -> Requirement:
    if match := _SET_BASED.fullmatch(part):
        operator = Operator.IN if match["op"] == "in" else Operator.NOT_IN
        values = frozenset(value.strip() for value in match["values"].split(","))
        requirement = Requirement(match["key"], operator, values)
    elif match := _COMPARED.fullmatch(part):
        requirement = Requirement(match["key"], _COMPARISONS[match["op"]], frozenset((match["value"],)))
    elif match := _PRESENCE.fullmatch(part):
        requirement = Requirement(match["key"], Operator.DOES_NOT_EXIST if match["not"] else Operator.EXISTS)
    else:
        raise Invalid(
            f"unable to parse requirement {part!r} of the label selector",
            hint="write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, separated by commas",
        )
    check_requirement(requirement)
    return requirement


def check_requirement(requirement: Requirement) -> None:
    """Raise `Invalid` when a key or value could never be a label's, or the values do not suit the operator."""
    if not _LABEL_KEY.fullmatch(requirement.key):
        raise Invalid(f"{requirement.key!r} is not a label key")
    for value in requirement.values:
        if not _LABEL_VALUE.fullmatch(value):
            raise Invalid(f"{value!r} is not a label value (key {requirement.key!r})")
    match requirement.operator:
        case Operator.IN | Operator.NOT_IN if not requirement.values:
            raise Invalid(f"operator {requirement.operator} on {requirement.key!r} needs at least one value")
        case Operator.EXISTS | Operator.DOES_NOT_EXIST if requirement.values:
            raise Invalid(f"operator {requirement.operator} on {requirement.key!r} takes no values")
        case Operator.GT | Operator.LT:
            bound = next(iter(requirement.values), "")
            if len(requirement.values) != 1 or not bound.lstrip("-").isdigit():
                raise Invalid(f"operator {requirement.operator} on {requirement.key!r} needs one integer")
        case _:
            pass


def _split_outside_parentheses(text: str) -> Iterable[str]:
    depth, start = 0, 0
    for position, letter in enumerate(text):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[start:position].strip()
            start = position + 1
    if text[start:].strip() or start:
        yield text[start:].strip()


@dataclass(frozen=True, slots=True)
class FieldTerm:
    path: str
    value: str
    equal: bool


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Terms over field paths (``spec.nodeName``); what each path means is the kind's to say."""

    terms: tuple[FieldTerm, ...] = ()

    def __str__(self) -> str:
        return ",".join(f"{term.path}{'=' if term.equal else '!='}{term.value}" for term in self.terms)


_FIELD_TERM = re.compile(r"([A-Za-z0-9_.\-\[\]/]+)\s*(==|=|!=)\s*(.*)")


def parse_field_selector(text: str) -> FieldSelector:
    """Parse the query syntax of ``fieldSelector``. Raises `Invalid` on the first part that makes no sense."""
    terms = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _FIELD_TERM.fullmatch(part)
        if match is None:
            raise Invalid(
                f"invalid field selector: {part!r}", hint="write path=value or path!=value, separated by commas"
            )
        terms.append(FieldTerm(match[1], match[3], match[2] != "!="))
    return FieldSelector(tuple(terms))
