"""Who owns what: a controller adopts orphans its selector matches, and lets go of what it matches no longer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from stratos.apis.meta import KubeObject
from stratos.base.selectors import LabelSelector

T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class Claims(Generic[T]):
    """``owned`` are ours already and stay so; adopting and releasing needs a write each."""

    owned: tuple[T, ...]
    adopt: tuple[T, ...]
    release: tuple[T, ...]


def claim(owner: KubeObject, selector: LabelSelector | None, candidates: Iterable[T]) -> Claims[T]:
    """Sort the objects of the owner's namespace into what is owned, to be adopted and to be released.

    An owner on its way out takes nothing new and releases nothing: what becomes of its dependents is for the garbage
    collector to decide.
    """
    owned, adopt, release = list[T](), list[T](), list[T]()
    leaving = owner.metadata.deletion_timestamp is not None
    for candidate in sorted(candidates, key=lambda each: each.metadata.name):
        matches = selector is not None and selector.matches(candidate.metadata.labels)
        controller = candidate.metadata.controller
        if controller is not None and controller.uid == owner.metadata.uid:
            (owned if matches or leaving else release).append(candidate)
        elif controller is None and matches and not leaving and candidate.metadata.deletion_timestamp is None:
            adopt.append(candidate)
    return Claims(tuple(owned), tuple(adopt), tuple(release))
