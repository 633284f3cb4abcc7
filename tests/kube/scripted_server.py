"""A tiny API server for one collection whose streams do what a test tells them: break, expire, lag or fall silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Obj = dict[str, Any]


class ScriptedServer:
    """Serves ``/api/v1/pods``. Tests change ``objects`` through `put` and `remove` and break ``streams`` at will."""

    def __init__(self, *, streaming_lists: str = "served") -> None:
        self.objects: dict[str, Obj] = {}
        self.revision = 1
        self.oldest_remembered = 0
        self.history: list[tuple[int, str, Obj]] = []
        self.requests: list[str] = []
        self.streaming_lists = streaming_lists  # served, refused or ignored
        self.failing_requests = 0
        self.ends_streams = True
        self.has_lagged = False
        self.stale_lists: list[tuple[int, dict[str, Obj]]] = []
        self.streams: list[asyncio.Queue[bytes | None]] = []
        self._uids = 0

    # What tests do

    def put(self, name: str, **labels: str) -> Obj:
        self.revision += 1
        old = self.objects.get(name)
        if old is None:
            self._uids += 1
        uid = old["metadata"]["uid"] if old else f"uid-{self._uids}"
        metadata = {"name": name, "namespace": "default", "uid": uid, "labels": labels}
        obj = {"metadata": {**metadata, "resourceVersion": str(self.revision)}}
        self.objects[name] = obj
        self._publish("MODIFIED" if old else "ADDED", obj)
        return obj

    def remove(self, name: str) -> None:
        obj = self.objects.pop(name, None)
        if obj is not None:
            self.revision += 1
            last = {"metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
            self._publish("DELETED", last)

    def bookmark(self) -> None:
        for stream in self.streams:
            stream.put_nowait(_line("BOOKMARK", {"metadata": {"resourceVersion": str(self.revision)}}))

    def break_streams(self) -> None:
        streams, self.streams = self.streams, []
        for stream in streams:
            stream.put_nowait(None)

    def expire_streams(self) -> None:
        """Say 410 on every open stream and forget the past."""
        self.oldest_remembered = self.revision
        streams, self.streams = self.streams, []
        for stream in streams:
            stream.put_nowait(_line("ERROR", {"code": 410, "reason": "Expired", "message": "too old"}))
            stream.put_nowait(None)

    def forget(self) -> None:
        self.oldest_remembered = self.revision

    # What clients see

    async def app(self, scope: Message, receive: Receive, send: Send) -> None:
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        self.requests.append(f"{scope['method']} {scope['path']} {scope['query_string'].decode()}".strip())
        if self.failing_requests:
            self.failing_requests -= 1
            await _answer(send, 503, {"message": "try again", "reason": "ServiceUnavailable", "code": 503})
        elif "watch" not in query:
            await self._list(query, send)
        elif query.get("sendInitialEvents") and self.streaming_lists == "refused":
            await _answer(send, 422, {"message": "sendInitialEvents is forbidden", "reason": "Invalid", "code": 422})
        elif (since := int(query.get("resourceVersion", "0"))) and since < self.oldest_remembered:
            await _answer(send, 410, {"message": "too old resource version", "reason": "Expired", "code": 410})
        else:
            await self._watch(query, since, receive, send)

    async def _list(self, query: dict[str, str], send: Send) -> None:
        revision, objects = self._state()
        names = sorted(objects)
        start = int(query.get("continue", "0"))
        end = start + int(query.get("limit", "500"))
        metadata = {"resourceVersion": str(revision), "continue": str(end) if end < len(names) else ""}
        await _answer(send, 200, {"metadata": metadata, "items": [objects[name] for name in names[start:end]]})

    async def _watch(self, query: dict[str, str], since: int, receive: Receive, send: Send) -> None:
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        if query.get("sendInitialEvents"):
            revision, objects = self._state()
            for name in sorted(objects):
                stream.put_nowait(_line("ADDED", objects[name]))
            if self.streaming_lists == "served":
                end = {"resourceVersion": str(revision), "annotations": {"k8s.io/initial-events-end": "true"}}
                stream.put_nowait(_line("BOOKMARK", {"metadata": end}))
            since = revision
        for at, type_, obj in self.history:
            if at > since:
                stream.put_nowait(_line(type_, obj))
        self.streams.append(stream)
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        hang_up = asyncio.ensure_future(receive())
        timeout = float(query.get("timeoutSeconds", "3600")) if self.ends_streams else None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    chunk = asyncio.ensure_future(stream.get())
                    await asyncio.wait({chunk, hang_up}, return_when=asyncio.FIRST_COMPLETED)
                    if not chunk.done():
                        chunk.cancel()
                        return
                    if (line := chunk.result()) is None:
                        raise ConnectionResetError
                    await send({"type": "http.response.body", "body": line, "more_body": True})
        except TimeoutError:
            await send({"type": "http.response.body", "body": b""})
        finally:
            hang_up.cancel()
            if stream in self.streams:
                self.streams.remove(stream)

    def _state(self) -> tuple[int, dict[str, Obj]]:
        return self.stale_lists.pop(0) if self.stale_lists else (self.revision, self.objects)

    def _publish(self, type_: str, obj: Obj) -> None:
        self.history.append((self.revision, type_, obj))
        for stream in self.streams:
            stream.put_nowait(_line(type_, obj))


def _line(type_: str, obj: Obj) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


async def _answer(send: Send, status: int, body: object) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
