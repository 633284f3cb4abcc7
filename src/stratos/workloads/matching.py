"""Find objects by selector, and selectors by object, without trying every pair of them.

Most selectors name a label and its values. That is their anchor: only objects with such a label can match, so both
sides are indexed by it. A selector without one is anchored to its whole namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from stratos.apis.meta import KubeObject
from stratos.base.selectors import LabelSelector, Operator
from stratos.kube.cache import Cache

T = TypeVar("T", bound=KubeObject)

BY_LABEL = "label"
BY_ANCHOR = "anchor"

SelectorOf = Callable[[T], LabelSelector | None]


def label_values(obj: KubeObject) -> Iterable[str]:
    """The `BY_LABEL` index of an object: each of its labels, and its namespace as such."""
    namespace = obj.metadata.namespace
    return (f"{namespace}/", *(f"{namespace}/{key}={value}" for key, value in obj.metadata.labels.items()))


def anchor_values(selector_of: SelectorOf[T]) -> Callable[[T], Iterable[str]]:
    """The `BY_ANCHOR` index of those that select. One without a selector is found by nobody."""

    def values(suitor: T) -> Iterable[str]:
        selector = selector_of(suitor)
        return () if selector is None else _anchors(suitor.metadata.namespace, selector)

    return values


def matching(objects: Cache[T], namespace: str, selector: LabelSelector | None) -> list[T]:
    """What a selector selects; the cache is indexed `BY_LABEL`."""
    if selector is None:
        return []
    return [
        obj
        for value in _anchors(namespace, selector)
        for obj in objects.by_index(BY_LABEL, value)
        if selector.matches(obj.metadata.labels)
    ]


def selecting(suitors: Cache[T], selector_of: SelectorOf[T], obj: KubeObject) -> list[str]:
    """The keys of those whose selector matches the object; their cache is indexed `BY_ANCHOR`."""
    return [
        suitor.metadata.key
        for value in label_values(obj)
        for suitor in suitors.by_index(BY_ANCHOR, value)
        if (selector := selector_of(suitor)) is not None and selector.matches(obj.metadata.labels)
    ]


def _anchors(namespace: str, selector: LabelSelector) -> tuple[str, ...]:
    """An object has one value for a key, so that no object is found under two of these."""
    for requirement in selector.requirements:
        if requirement.operator is Operator.IN:
            return tuple(f"{namespace}/{requirement.key}={value}" for value in sorted(requirement.values))
    return (f"{namespace}/",)
