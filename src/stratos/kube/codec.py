"""JSON to structs and back. Only the fields a struct names are built; the rest is skipped while parsing.

Servers written in Go print empty lists, maps and times as ``null`` now and then. Structs do not expect that, so that
their types stay simple: an answer that does not decode is decoded once more without its nulls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from stratos.apis.meta import Kind, KubeObject, Struct
from stratos.base.errors import Invalid

S = TypeVar("S")
T = TypeVar("T", bound=KubeObject)


class ListMeta(Struct):
    resource_version: str = ""
    continue_token: str = msgspec.field(default="", name="continue")


class Page(Struct, Generic[T]):
    """One page of a list. ``metadata.continue_token`` asks for the next one."""

    metadata: ListMeta = ListMeta()
    items: tuple[T, ...] = ()


class _RawPage(Struct):
    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] | None = ()


class WatchLine(Struct):
    """One line of a watch, before anybody knows what its object is."""

    type: str
    object: msgspec.Raw


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    """The one decoder of a type: making it costs more than using it."""
    known = _decoders.get(type_)
    if known is None:
        known = _decoders[type_] = msgspec.json.Decoder(type_)
    return known


def decode(type_: type[S], body: bytes | msgspec.Raw) -> S:
    """``body`` as a ``type_``. Raises `Invalid`, naming the field, when it is something else."""
    try:
        value: S = decoder(type_).decode(body)
    except msgspec.ValidationError:
        value = _decode_without_nulls(type_, body)
    except msgspec.DecodeError as error:
        raise Invalid(f"the server's answer is not JSON: {error}") from error
    return value


def _decode_without_nulls(type_: type[S], body: bytes | msgspec.Raw) -> S:
    try:
        value: S = decoder(type_).decode(encode(_without_nulls(msgspec.json.decode(body))))
    except msgspec.ValidationError as error:
        raise Invalid(f"the server's answer does not have the shape of a {type_.__name__}: {error}") from error
    return value


def decode_page(kind: Kind[T], body: bytes) -> Page[T]:
    try:
        page: Page[T] = decoder(Page[kind.type]).decode(body)  # type: ignore[name-defined]
    except msgspec.ValidationError:
        # Some item holds a null: only such items pay for it.
        raw = decode(_RawPage, body)
        items = tuple(decode(kind.type, item) for item in raw.items or ())
        page = Page(metadata=raw.metadata, items=items)
    except msgspec.DecodeError as error:
        raise Invalid(f"the server's list of {kind.plural} is not JSON: {error}") from error
    return page


def encode(body: object) -> bytes:
    return msgspec.json.encode(body)


def encode_object(kind: Kind[Any], obj: KubeObject | Mapping[str, Any]) -> bytes:
    """A whole object to send: it always says what it is."""
    if isinstance(obj, KubeObject):
        return encode(msgspec.structs.replace(obj, api_version=kind.api_version, kind=kind.kind))
    return encode({"apiVersion": kind.api_version, "kind": kind.kind, **obj})


def merge_patch(before: Struct, after: Struct) -> dict[str, Any]:
    """The JSON merge patch that makes the one of the other."""
    return _difference(msgspec.to_builtins(before), msgspec.to_builtins(after))


def _difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = dict.fromkeys(name for name in old if name not in new)
    for name, value in new.items():
        known = old.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            if value != known:
                patch[name] = _difference(known, value)
        elif value != known:
            patch[name] = value
    return patch


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
