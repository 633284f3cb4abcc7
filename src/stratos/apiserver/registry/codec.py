"""Objects as bytes.

Stored objects carry no ``resourceVersion``: it is the revision of the write that stored them, and is put in when they
are served. That, and naming another served version, is a cut and a paste at the front of the bytes, where `encode`
puts ``apiVersion``, ``kind`` and ``metadata``; nothing is decoded to answer a get, a list or a watch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.storage.contract import Stored

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])
_METADATA = b'"metadata":{'


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_label_decoder = msgspec.json.Decoder(_Labelled)


def encode(obj: Obj) -> bytes:
    """An object as it is stored."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    front = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    return _encoder.encode(front | {key: value for key, value in obj.items() if key not in front})


def encode_json(value: object) -> bytes:
    return _encoder.encode(value)


def decode_json(data: bytes) -> Any:
    return msgspec.json.decode(data)


def served(resource: Resource, value: bytes, revision: int) -> bytes:
    """A stored object as clients of ``resource`` see it. One that a dry run made has no version: revision 0."""
    cut = value.index(_METADATA) + len(_METADATA)
    front = value[:cut]
    if resource.custom:
        front = b'{"apiVersion":"%b","kind":"%b",%b' % (
            resource.group_version.encode(),
            resource.kind.encode(),
            _METADATA,
        )
    if not revision:
        return front + value[cut:]
    return b'%b"resourceVersion":"%d",%b' % (front, revision, value[cut:])


def decode(value: bytes, revision: int) -> Obj:
    """A stored object, decoded, in the version it was stored in."""
    obj: Obj = _decoder.decode(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def decode_as(resource: Resource, stored: Stored) -> Obj:
    """A stored object, decoded, in the version of ``resource``."""
    obj = decode(stored.value, stored.revision)
    obj["apiVersion"] = resource.group_version
    return obj


def labels(value: bytes) -> dict[str, str]:
    """The labels of a stored object, without decoding the rest."""
    return _label_decoder.decode(value).metadata.labels or {}


def timestamp(moment: datetime) -> str:
    """As Kubernetes writes times: whole seconds in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
