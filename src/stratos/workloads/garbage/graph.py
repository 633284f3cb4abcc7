"""Who depends on whom, by uid, and what that means for one object.

The graph holds metadata alone, of every object of every kind. `judge` answers for one object at a time; an owner that
the graph does not know is reported, not assumed to be gone, for its watch may merely be behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stratos.apis.meta import Kind, KubeObject, ObjectMeta, OwnerReference

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Item:
    kind: Kind[Any]
    metadata: ObjectMeta

    @property
    def leaving(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def waits_for_dependents(self) -> bool:
        return self.leaving and FOREGROUND in self.metadata.finalizers

    @property
    def orphans_dependents(self) -> bool:
        return self.leaving and ORPHAN in self.metadata.finalizers

    def reference_to(self, uid: str) -> OwnerReference | None:
        return next((each for each in self.metadata.owner_references if each.uid == uid), None)


@dataclass(slots=True)
class Graph:
    _items: dict[str, Item] = field(default_factory=dict)
    _dependents: dict[str, dict[str, None]] = field(default_factory=dict)  # in the order they came

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def put(self, kind: Kind[Any], obj: KubeObject) -> None:
        self.remove(obj.metadata.uid)
        self._items[obj.metadata.uid] = Item(kind, obj.metadata)
        for owner in obj.metadata.owner_references:
            self._dependents.setdefault(owner.uid, {})[obj.metadata.uid] = None

    def remove(self, uid: str) -> None:
        item = self._items.pop(uid, None)
        for owner in item.metadata.owner_references if item else ():
            if (dependents := self._dependents.get(owner.uid)) is not None:
                dependents.pop(uid, None)
                if not dependents:
                    del self._dependents[owner.uid]

    def dependents(self, uid: str) -> tuple[Item, ...]:
        return tuple(self._items[dependent] for dependent in self._dependents.get(uid, ()))

    def blocking(self, uid: str) -> tuple[Item, ...]:
        """The dependents that the owner, deleted in the foreground, has to wait for."""
        return tuple(
            item
            for item in self.dependents(uid)
            if (reference := item.reference_to(uid)) is not None and reference.block_owner_deletion
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with an object. ``drop`` are references to cut; ``delete`` names the propagation to delete it with."""

    delete: str | None = None
    drop: tuple[str, ...] = ()


KEEP = Verdict()


def judge(item: Item, graph: Graph, absent: Mapping[str, bool]) -> Verdict:
    """``absent`` says of each owner that the graph does not hold whether it is really gone."""
    if item.leaving or not item.metadata.owner_references:
        return KEEP
    solid, waiting, gone = False, list[str](), list[str]()
    for reference in item.metadata.owner_references:
        owner = graph.get(reference.uid)
        if owner is None:
            if absent.get(reference.uid, False):
                gone.append(reference.uid)
            else:
                solid = True
        elif owner.waits_for_dependents:
            waiting.append(reference.uid)
        else:
            solid = True
    if solid:
        return Verdict(drop=tuple(gone + waiting))
    if waiting and graph.dependents(item.metadata.uid):
        return Verdict(delete="Foreground")  # its own dependents hold up the owner above just as well
    if ORPHAN in item.metadata.finalizers:
        return Verdict(delete="Orphan")
    return Verdict(delete="Foreground" if FOREGROUND in item.metadata.finalizers else "Background")
