"""What all kinds share: metadata, conditions, and the coordinates of a kind in the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Struct(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A frozen record with the API's camelCase names on the wire. Fields that are not named are skipped.

    Records are trees, so the collector of reference cycles need not look at them: with caches full of them it would
    halt the process for a good part of a second.
    """


def micro_time(moment: datetime) -> str:
    """A time as ``MicroTime`` fields want it: always six digits of a second, where others would leave out zeros."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class OwnerReference(Struct):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Struct):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def key(self) -> str:
        """``namespace/name``, or the name alone for a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if one does."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class Condition(Struct):
    """One observation about an object: ``status`` is ``True``, ``False`` or ``Unknown``."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None
    observed_generation: int | None = None


def find_condition(conditions: Sequence[Condition], type_: str) -> Condition | None:
    for condition in conditions:  # asked many times for every machine of every plan: a generator costs three times this
        if condition.type == type_:
            return condition
    return None


def is_condition_true(conditions: Sequence[Condition], type_: str) -> bool:
    condition = find_condition(conditions, type_)
    return condition is not None and condition.status == "True"


def with_condition(
    conditions: Sequence[Condition],
    type_: str,
    status: bool | None,
    *,
    reason: str,
    message: str,
    now: datetime,
    observed_generation: int | None = None,
) -> tuple[Condition, ...]:
    """``conditions`` with one set; its transition time moves only when its status changes. ``None`` is Unknown."""
    wanted = "Unknown" if status is None else str(status)
    seen = find_condition(conditions, type_)
    since = seen.last_transition_time if seen and seen.status == wanted and seen.last_transition_time else now
    new = Condition(
        type=type_,
        status=wanted,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=observed_generation,
    )
    if seen is None:
        return (*conditions, new)
    return tuple(new if condition.type == type_ else condition for condition in conditions)


class KubeObject(Struct):
    """The part every object has. ``api_version`` and ``kind`` may be missing inside lists."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """Where a kind is served, and the type its objects are read into."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    type: type[T]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection (in one namespace, or in all), of one object, or of its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)
