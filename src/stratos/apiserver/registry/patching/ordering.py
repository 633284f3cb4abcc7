"""The order of a list that two sides have a say in."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def interleave(wanted: Iterable[Key], present: Sequence[Key]) -> list[Key]:
    """``wanted`` in its order, with the rest of ``present`` woven in where it stood relative to its neighbours."""
    ordered = list(wanted)
    position = {key: index for index, key in enumerate(present)}
    named = set(ordered)
    others = [key for key in present if key not in named]
    result: list[Key] = []
    for key in ordered:
        while others and position[others[0]] < position.get(key, -1):
            result.append(others.pop(0))
        result.append(key)
    return result + others
