"""Events: what happened to an object, told to whoever describes it."""

from __future__ import annotations

from datetime import datetime

from stratos.apis.meta import Kind, KubeObject, Struct


class ObjectReference(Struct):
    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class EventSource(Struct):
    component: str = ""
    host: str = ""


class Event(KubeObject):
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None  # what newer reporters give in place of the two
    source: EventSource = EventSource()


EVENT = Kind(group="", version="v1", plural="events", kind="Event", namespaced=True, type=Event)
