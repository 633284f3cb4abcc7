"""Request bodies in Kubernetes' protobuf, which Go clients send for built-in kinds whatever we would like better.

Only reading is needed: every such client takes JSON for an answer. What each field is called and how it is written
comes from a table distilled from the Go types (``scripts/make_protobuf_fields.py``). Fields that a Go client writes out
although nobody set them (an empty text, a zero) are left out, as they would be in its JSON.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.status import bad_request

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 100

Message = dict[int, tuple[str, str, str]]
"""Fields by number: the JSON name (empty when inlined), the kind of value, and flags.

Flags: ``l`` a list, ``m`` a map with text keys, ``o`` left out when it is empty.
"""


class _Malformed(Exception):
    pass


@cache
def _messages() -> dict[str, Message]:
    packed = (files(__package__) / "protobuf_fields.json.gz").read_bytes()
    return {
        name: {number: (json_name, kind, flags) for number, json_name, kind, flags in fields}
        for name, fields in json.loads(gzip.decompress(packed)).items()
    }


def decode_protobuf(body: bytes) -> Obj:
    """The object in a body. Raises 400 when it is not one, or not of a kind that has a table."""
    if not body.startswith(_MAGIC):
        raise bad_request("the body of the request does not start as Kubernetes protobuf does")
    try:
        api_version, kind, raw = _envelope(body[len(_MAGIC) :])
        name = _message_name(api_version, kind)
        if name not in _messages():
            raise bad_request(f'no kind "{kind}" of version "{api_version}" is known in protobuf; send JSON')
        return {"apiVersion": api_version, "kind": kind, **_message(name, raw, 0)}
    except (_Malformed, IndexError, struct.error, UnicodeDecodeError) as error:
        raise bad_request(f"the body of the request is not valid protobuf: {error}") from error


def _envelope(data: bytes) -> tuple[str, str, bytes]:
    """The ``runtime.Unknown`` around every object: its version, its kind, and its bytes."""
    api_version = kind = ""
    raw = b""
    for number, value in _fields(data):
        if number == 1:
            meta = dict(_fields(_as_bytes(value)))
            api_version, kind = _as_bytes(meta.get(1, b"")).decode(), _as_bytes(meta.get(2, b"")).decode()
        elif number == 2:
            raw = _as_bytes(value)
    return api_version, kind, raw


def _message_name(api_version: str, kind: str) -> str:
    if kind == "DeleteOptions":
        return "meta/v1.DeleteOptions"  # in whatever group it is sent
    group, _, version = api_version.rpartition("/")
    return f"{group.partition('.')[0] or 'core'}/{version}.{kind}"


def _message(name: str, data: bytes, depth: int) -> Obj:
    if depth > _MAX_DEPTH:
        raise _Malformed("nested too deeply")
    fields = _messages()[name]
    obj: Obj = {}
    for number, value in _fields(data):
        if number not in fields:
            continue  # newer than we are
        json_name, kind, flags = fields[number]
        if "m" in flags:
            entry = dict(_fields(_as_bytes(value)))
            key = _as_bytes(entry.get(1, b"")).decode()
            obj.setdefault(json_name, {})[key] = _value(kind, entry.get(2, b""), depth)
        elif "l" in flags:
            obj.setdefault(json_name, []).append(_value(kind, value, depth))
        elif not json_name:
            obj.update(_value(kind, value, depth))
        else:
            decoded = _value(kind, value, depth)
            if not ("o" in flags and _is_empty(decoded)):
                obj[json_name] = decoded
    return obj


def _is_empty(value: object) -> bool:
    return value is None or value == "" or value is False or (value == 0 and not isinstance(value, bool)) or value == {}


def _value(kind: str, value: int | bytes, depth: int) -> Any:
    match kind:
        case "string":
            return _as_bytes(value).decode()
        case "bool":
            return bool(value)
        case "int":
            return _signed(value)
        case "double":
            return struct.unpack("<d", _as_bytes(value))[0]
        case "bytes":
            return base64.b64encode(_as_bytes(value)).decode()
        case "strings":
            return [_as_bytes(item).decode() for _, item in _fields(_as_bytes(value))]
        case "Quantity":
            return _as_bytes(dict(_fields(_as_bytes(value))).get(1, b"")).decode()
        case "IntOrString":
            parts = dict(_fields(_as_bytes(value)))
            return _as_bytes(parts.get(3, b"")).decode() if parts.get(1) else _signed(parts.get(2, 0))
        case "Time" | "MicroTime":
            return _time(dict(_fields(_as_bytes(value))), micro=kind == "MicroTime")
        case "Duration":
            return f"{_signed(dict(_fields(_as_bytes(value))).get(1, 0))}ns"
        case "RawJson1":
            return _raw_json(_as_bytes(dict(_fields(_as_bytes(value))).get(1, b"null")))
        case _:
            return _message(kind, _as_bytes(value), depth + 1)


def _raw_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise _Malformed(f"embedded JSON: {error}") from error


def _time(parts: dict[int, int | bytes], *, micro: bool) -> str | None:
    if not parts:
        return None  # Go's zero time
    since_epoch = timedelta(seconds=_signed(parts.get(1, 0)), microseconds=_signed(parts.get(2, 0)) // 1000)
    try:
        moment = datetime.fromtimestamp(0, UTC) + since_epoch
    except OverflowError as error:
        raise _Malformed(str(error)) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The wire format: numbered fields, each a number or some bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, position = _varint(data, position)
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise _Malformed(f"wire type {wire_type} at byte {position}")
        if position + length > len(data):
            raise _Malformed("it ends in the middle of a field")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise _Malformed("a number is too long")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _Malformed("a number where text or a message belongs")
    return value


def _signed(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise _Malformed("text where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value
