"""The typed client: verbs of the API over a `Kind`, each answer read into that kind's struct.

Objects are named by their key, ``namespace/name`` or, for cluster-scoped kinds, ``name``: what `ObjectMeta.key`, caches
and controllers speak too. A struct that holds only some of a kind's fields is for reading; to write, send a patch.
Failures are `stratos.base.errors`, their messages naming verb, kind and object. Reads are tried again when the server
could not be reached; everything is tried again when the server asks for patience, except evictions, where a 429 is the
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from stratos.apis.meta import Kind, KubeObject, Struct
from stratos.base.errors import Invalid, StratosError, Throttled, Unavailable
from stratos.kube.codec import Page, WatchLine, decode, decode_page, encode, encode_object
from stratos.kube.failures import Status, error_from_response, error_from_status
from stratos.kube.transport import Response, Transport

T = TypeVar("T", bound=KubeObject)

DEFAULT_PAGE_SIZE: Final = 500
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"

_READ_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0  # what we wait in all for a server that throttles


class PatchType(StrEnum):
    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """Something happened to an object; after DELETED it shows the last state that the watch selected."""

    type: EventType
    object: T


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything up to this resourceVersion has been said. ``initial_events_end`` closes a streaming list."""

    resource_version: str
    initial_events_end: bool = False


class ScaleSpec(Struct):
    replicas: int = 0


class ScaleStatus(Struct):
    replicas: int = 0
    selector: str = ""


class Scale(KubeObject):
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()


class Client:
    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    # Reading

    async def get(self, kind: Kind[T], key: str) -> T:
        response = await self._call("GET", _path(kind, key), f"get {kind.plural} {key}")
        return decode(kind.type, response.body)

    async def get_raw(self, kind: Kind[Any], key: str) -> dict[str, Any]:
        """The whole object, for those who must hand on every field."""
        response = await self._call("GET", _path(kind, key), f"get {kind.plural} {key}")
        return decode(dict[str, Any], response.body)

    async def list(
        self,
        kind: Kind[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int | None = None,
        continue_token: str = "",
    ) -> Page[T]:
        """One page: everything, unless ``limit`` says otherwise."""
        query = _selectors(label_selector, field_selector)
        if limit is not None:
            query["limit"] = str(limit)
        if continue_token:
            query["continue"] = continue_token
        response = await self._call("GET", kind.path(namespace), _doing("list", kind, namespace), query=query)
        return decode_page(kind, response.body)

    async def list_all(
        self,
        kind: Kind[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = DEFAULT_PAGE_SIZE,
    ) -> AsyncIterator[T]:
        """Every object, read page by page. Raises `Expired` when the reader is slower than the server's memory."""
        token = ""
        while True:
            page = await self.list(
                kind,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=page_size,
                continue_token=token,
            )
            for obj in page.items:
                yield obj
            token = page.metadata.continue_token
            if not token:
                return

    async def watch(
        self,
        kind: Kind[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        send_initial_events: bool = False,
        timeout_seconds: int | None = None,
    ) -> AsyncGenerator[WatchEvent[T] | Bookmark]:
        """What happens from ``resource_version`` on, until the server ends the stream. Close the iterator to hang up.

        With ``send_initial_events`` it begins with all that exists, up to a bookmark that says ``initial_events_end``.
        Raises `Expired` when the server no longer remembers that version, `Unavailable` when the stream breaks.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", **_selectors(label_selector, field_selector)}
        if resource_version:
            query["resourceVersion"] = resource_version
        if send_initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        if timeout_seconds is not None:
            query["timeoutSeconds"] = str(timeout_seconds)
        doing = _doing("watch", kind, namespace)
        headers = {"accept": "application/json"}
        async with self.transport.stream("GET", kind.path(namespace), query=query, headers=headers) as stream:
            if stream.status >= 400:
                body = b"".join([chunk async for chunk in stream.chunks])
                raise error_from_response(Response(stream.status, stream.headers, body), doing)
            async for line in _lines(stream.chunks):
                yield _watch_event(kind, line, doing)

    async def logs(
        self,
        key: str,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        previous: bool = False,
    ) -> str:
        """What a pod's container has printed so far."""
        query = {"previous": "true"} if previous else {}
        if container:
            query["container"] = container
        if tail_lines is not None:
            query["tailLines"] = str(tail_lines)
        if since_seconds is not None:
            query["sinceSeconds"] = str(since_seconds)
        response = await self._call("GET", _pod_path(key, "log"), f"read the log of pod {key}", query=query)
        return response.body.decode(errors="replace")

    # Writing

    async def create(
        self,
        kind: Kind[T],
        obj: T | Mapping[str, Any],
        *,
        namespace: str | None = None,
        field_manager: str = "",
        dry_run: bool = False,
    ) -> T:
        """Create it in ``namespace``, or in the one it names itself."""
        where = namespace or _metadata(obj, "namespace")
        doing = f"create {kind.plural} {_key(where, _metadata(obj, 'name') or _metadata(obj, 'generateName'))}"
        response = await self._call(
            "POST",
            kind.path(where),
            doing,
            query=_write_options(field_manager, dry_run),
            body=encode_object(kind, obj),
        )
        return decode(kind.type, response.body)

    async def update(
        self,
        kind: Kind[T],
        obj: T | Mapping[str, Any],
        *,
        subresource: str | None = None,
        field_manager: str = "",
        dry_run: bool = False,
    ) -> T:
        """Replace the whole object. Only for kinds whose struct holds every field, or for whole dictionaries.

        Raises `Conflict` when it names a resourceVersion that is no longer the newest.
        """
        key = _key(_metadata(obj, "namespace"), _metadata(obj, "name"))
        response = await self._call(
            "PUT",
            _path(kind, key, subresource),
            f"update {kind.plural} {key}",
            query=_write_options(field_manager, dry_run),
            body=encode_object(kind, obj),
        )
        return decode(kind.type, response.body)

    async def patch(
        self,
        kind: Kind[T],
        key: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Struct,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        field_manager: str = "",
        dry_run: bool = False,
    ) -> T:
        """Change some fields. Of a struct only what differs from its defaults is sent: to clear a field, use a dict."""
        response = await self._call(
            "PATCH",
            _path(kind, key, subresource),
            f"patch {kind.plural} {key}",
            query=_write_options(field_manager, dry_run),
            body=encode(patch),
            content_type=type,
        )
        return decode(kind.type, response.body)

    async def apply(
        self,
        kind: Kind[T],
        obj: T | Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> T:
        """Server-side apply: own exactly these fields. Raises `Conflict` when others own one, unless forced."""
        key = _key(_metadata(obj, "namespace"), _metadata(obj, "name"))
        response = await self._call(
            "PATCH",
            _path(kind, key, subresource),
            f"apply {kind.plural} {key}",
            query=_write_options(field_manager, dry_run) | ({"force": "true"} if force else {}),
            body=encode_object(kind, obj),
            content_type=PatchType.APPLY,
        )
        return decode(kind.type, response.body)

    async def delete(
        self,
        kind: Kind[T],
        key: str,
        *,
        grace_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> None:
        """Ask for its deletion. With ``uid`` or ``resource_version``, only if it is still that one, else `Conflict`."""
        options = _delete_options(grace_seconds, propagation, uid, resource_version, dry_run)
        await self._call("DELETE", _path(kind, key), f"delete {kind.plural} {key}", body=encode(options))

    async def delete_collection(
        self,
        kind: Kind[Any],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> None:
        await self._call(
            "DELETE",
            kind.path(namespace),
            _doing("delete all", kind, namespace),
            query=_selectors(label_selector, field_selector),
            body=encode(_delete_options(grace_seconds, propagation, None, None, False)),
        )

    async def evict(self, key: str, *, grace_seconds: int | None = None, dry_run: bool = False) -> None:
        """End a pod politely. Raises `Throttled` while a PodDisruptionBudget forbids it."""
        namespace, name = _split(key)
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": _delete_options(grace_seconds, None, None, None, dry_run),
        }
        path = _pod_path(key, "eviction")
        await self._call("POST", path, f"evict pod {key}", body=encode(eviction), patient=False)

    async def bind(self, key: str, node: str) -> None:
        """Give a pod its node. Raises `Conflict` when it has one."""
        namespace, name = _split(key)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._call("POST", _pod_path(key, "binding"), f"bind pod {key} to {node}", body=encode(binding))

    async def patch_scale(self, kind: Kind[Any], key: str, replicas: int) -> Scale:
        response = await self._call(
            "PATCH",
            _path(kind, key, "scale"),
            f"scale {kind.plural} {key}",
            body=encode({"spec": {"replicas": replicas}}),
            content_type=PatchType.MERGE,
        )
        return decode(Scale, response.body)

    # Anything else the server speaks

    async def request_json(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> Any:
        """Any path, JSON in and out: discovery, reviews, and whatever has no kind of ours."""
        payload = None if body is None else encode(body)
        response = await self._call(method, path, f"{method} {path}", query=query, body=payload)
        return decode(Any, response.body)

    async def _call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        patient: bool = True,
    ) -> Response:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = content_type
        attempt, waited = 0, 0.0
        while True:
            try:
                response = await self.transport.request(method, path, query=query or {}, headers=headers, body=body)
                if response.status < 400:
                    return response
                error = error_from_response(response, doing)
            except Unavailable as unreachable:
                error = Unavailable(f"{doing}: {unreachable.message}", hint=unreachable.hint)
                error.__cause__ = unreachable
            pause = _pause_before_retry(error, method, attempt, patient)
            if pause is None or waited + pause > _PATIENCE_SECONDS:
                raise error
            await asyncio.sleep(pause)
            attempt, waited = attempt + 1, waited + pause


def _pause_before_retry(error: StratosError, method: str, attempt: int, patient: bool) -> float | None:
    """How long to wait before the same request may be sent again, or None if that is not ours to do."""
    pause = _FIRST_PAUSE_SECONDS * 2.0**attempt
    if isinstance(error, Throttled):  # the server has done nothing yet, so any verb is safe to repeat
        return max(error.retry_after_seconds or 0.0, pause) if patient else None
    if isinstance(error, Unavailable) and method == "GET" and attempt + 1 < _READ_ATTEMPTS:
        return pause
    return None


def _watch_event(kind: Kind[T], line: bytes, doing: str) -> WatchEvent[T] | Bookmark:
    event = decode(WatchLine, line)
    if event.type == "BOOKMARK":
        metadata = decode(KubeObject, event.object).metadata
        return Bookmark(metadata.resource_version, metadata.annotations.get(INITIAL_EVENTS_END) == "true")
    if event.type == "ERROR":
        raise error_from_status(decode(Status, event.object), doing)
    return WatchEvent(EventType(event.type), decode(kind.type, event.object))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest: list[bytes] = []
    async for chunk in chunks:
        first, *more = chunk.split(b"\n")
        rest.append(first)
        for line in more:
            yield b"".join(rest)
            rest = [line]


def _path(kind: Kind[Any], key: str, subresource: str | None = None) -> str:
    namespace, name = _split(key)
    if kind.namespaced != bool(namespace):
        wanted = "namespace/name" if kind.namespaced else "a name without a namespace"
        raise Invalid(f"{key!r} cannot be the key of {kind.plural}", hint=f"write {wanted}")
    return kind.path(namespace, name, subresource)


def _pod_path(key: str, subresource: str) -> str:
    namespace, name = _split(key)
    return f"/api/v1/namespaces/{namespace}/pods/{name}/{subresource}"


def _split(key: str) -> tuple[str, str]:
    namespace, _, name = key.rpartition("/")
    if not name or any(letter in "/?#% " for letter in namespace + name):
        raise Invalid(f"{key!r} is not the key of an object", hint="write namespace/name, or name alone")
    return namespace, name


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _doing(verb: str, kind: Kind[Any], namespace: str | None) -> str:
    return f"{verb} {kind.plural} in {namespace}" if namespace else f"{verb} {kind.plural}"


def _metadata(obj: KubeObject | Mapping[str, Any], field: str) -> str:
    if isinstance(obj, KubeObject):
        metadata = obj.metadata
        return {"namespace": metadata.namespace, "name": metadata.name, "generateName": metadata.generate_name}[field]
    value: str = obj.get("metadata", {}).get(field) or ""
    return value


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector} if label_selector else {}
    return query | ({"fieldSelector": field_selector} if field_selector else {})


def _write_options(field_manager: str, dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": field_manager} if field_manager else {}
    return query | ({"dryRun": "All"} if dry_run else {})


def _delete_options(
    grace_seconds: int | None,
    propagation: str | None,
    uid: str | None,
    resource_version: str | None,
    dry_run: bool,
) -> dict[str, Any]:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    if propagation is not None:
        options["propagationPolicy"] = propagation
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    if any(preconditions.values()):
        options["preconditions"] = {name: value for name, value in preconditions.items() if value}
    if dry_run:
        options["dryRun"] = ["All"]
    return options
