"""An HTTP request as ASGI hands it over, read no further than needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from stratos.apiserver.registry.status import ApiError, bad_request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BODY_SECONDS = 60
_LONGEST_NUMBER = 18  # digits that surely fit into 64 bits
BODY_LIMIT_BYTES = 3 * 1024 * 1024


class Request:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: dict[str, str] = {}
        if scope["query_string"]:
            # The first value counts, as it does for Go's url.Values.Get.
            for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
                self.query.setdefault(key, value)
        self._header_list: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers: dict[bytes, bytes] = dict(self._header_list)
        tls = scope.get("extensions", {}).get("tls") or {}
        self.client_certificates: tuple[str, ...] = tuple(tls.get("client_cert_chain") or ())

    def header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("latin-1")

    def headers_starting(self, prefix: bytes) -> list[tuple[str, str]]:
        """All headers whose names start like this, repeated ones included; the names come without the prefix."""
        return [
            (name[len(prefix) :].decode("latin-1"), value.decode("latin-1"))
            for name, value in self._header_list
            if name.startswith(prefix)
        ]

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        text = self.query.get(name, "false").lower()
        if text in ("0", "f", "false"):
            return False
        if text in ("", "1", "t", "true"):  # ``?watch`` alone means yes
            return True
        raise bad_request(f'{name}: Invalid value: "{self.query[name]}": must be a boolean')

    def number(self, name: str) -> int | None:
        """A whole, non-negative number in the query."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_NUMBER:
            raise bad_request(f'{name}: Invalid value: "{text}": must be a non-negative integer')
        return int(text)

    async def body(self) -> bytes:
        """The whole body. Raises 413 once it is known to be over the limit, and 504 when it does not come."""
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await self._read_body()
        except TimeoutError:
            raise ApiError(504, "Timeout", "the body of the request did not come in time") from None

    async def _read_body(self) -> bytes:
        declared = self._headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > BODY_LIMIT_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise bad_request("the client went away before the whole body was there")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > BODY_LIMIT_BYTES:
                raise _too_large()
            more = message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def wait_until_gone(self) -> None:
        """Return when the client has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT_BYTES} bytes")
