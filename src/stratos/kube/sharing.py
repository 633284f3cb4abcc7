"""Keep one copy of what many objects say: the replicas of a workload differ in little but their names.

A cache of ten thousand pods shrinks by more than half. Objects are frozen, and nobody may change the maps in them; that
is what makes sharing safe.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TypeVar

import msgspec
from msgspec.structs import force_setattr

from stratos.apis.meta import KubeObject, ObjectMeta, Struct

T = TypeVar("T", bound=KubeObject)

_REMEMBERED = 20_000  # then we start over: what is forgotten is merely shared no more
_OF_ONE_OBJECT = frozenset({"name", "uid", "resource_version"})


class Sharing:
    """Replaces the parts of an object by equal ones seen before."""

    def __init__(self) -> None:
        self._atoms: dict[object, object] = {}
        self._wholes: dict[int, object] = {}
        self._encode = msgspec.json.Encoder().encode

    def share(self, obj: T) -> T:
        """``obj`` itself, leaner. Call it before anybody else has seen the object."""
        if len(self._atoms) > _REMEMBERED or len(self._wholes) > _REMEMBERED:
            self._atoms.clear()
            self._wholes.clear()
        for name in _fields(type(obj)):
            part = getattr(obj, name)
            if isinstance(part, Struct):
                if name == "status":  # observations are alike in their words, the rest of replicas as a whole
                    self._share_atoms(part)
                else:
                    self._share_wholes(part)
        return obj

    def _share_wholes(self, part: Struct) -> None:
        for name in _fields(type(part)):
            value = getattr(part, name)
            if isinstance(value, tuple | dict | Struct):
                if value:
                    self._replace(part, name, value, self._known_whole(value))
            else:
                self._share_atom(part, name, value)

    def _share_atoms(self, part: Struct) -> None:
        for name in _fields(type(part)):
            value = getattr(part, name)
            if isinstance(value, Struct):
                self._share_atoms(value)
            elif isinstance(value, tuple):
                for item in value:
                    if isinstance(item, Struct):
                        self._share_atoms(item)
            else:
                self._share_atom(part, name, value)

    def _share_atom(self, part: Struct, name: str, value: object) -> None:
        # Members of enumerations equal their text, and those of others with the same text; and each exists once anyway.
        if type(value) in (str, datetime):
            self._replace(part, name, value, self._atoms.setdefault(value, value))

    def _known_whole(self, value: object) -> object:
        """Found by the hash of its JSON, so that no second copy serves as a key."""
        known = self._wholes.setdefault(hash(self._encode(value)), value)
        return known if known == value else value

    def _replace(self, part: Struct, name: str, value: object, known: object) -> None:
        if known is not value:
            force_setattr(part, name, known)


@cache
def _fields(type_: type[Struct]) -> tuple[str, ...]:
    """The fields worth a look: all but those that no two objects share."""
    fields = type_.__struct_fields__
    return tuple(name for name in fields if name not in _OF_ONE_OBJECT) if type_ is ObjectMeta else fields
