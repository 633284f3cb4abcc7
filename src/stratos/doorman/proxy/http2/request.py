"""A request of HTTP/2 as it came, and headers on their way between bytes and text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stratos.base.errors import Invalid
from stratos.doorman.proxy.headers import REPLACED, end_to_end, forwarded
from stratos.doorman.proxy.http2.connection import HeaderList


def as_text(headers: HeaderList) -> list[tuple[str, str]]:
    """Bytes that are no UTF-8 come out again as they went in."""
    return [(name.decode(errors="surrogateescape"), value.decode(errors="surrogateescape")) for name, value in headers]


def as_bytes(headers: Iterable[tuple[str, str]]) -> HeaderList:
    return [(name.encode(errors="surrogateescape"), value.encode(errors="surrogateescape")) for name, value in headers]


def status_of(headers: HeaderList) -> int:
    return next((int(value) for name, value in headers if name == b":status"), 0)


class Http2Request:
    def __init__(self, headers: HeaderList) -> None:
        text = as_text(headers)
        pseudo = {name: value for name, value in text if name.startswith(":")}
        self.headers = [(name, value) for name, value in text if not name.startswith(":")]
        had = dict(self.headers)
        self.method = pseudo.get(":method", "")
        self.path = pseudo.get(":path", "")
        self.authority = pseudo.get(":authority") or had.get("host", "")
        self.grpc = had.get("content-type", "").startswith("application/grpc")
        self._takes_trailers = "trailers" in had.get("te", "")

    def check(self) -> None:
        """Raises `Invalid` for what has no path: tunnels, and servers as a whole."""
        if not self.path.startswith("/"):
            raise Invalid(f"{self.method} {self.path or self.authority!r} cannot be passed on: it names no path")

    def for_http2(self, client: str, trace: Mapping[str, str]) -> HeaderList:
        pseudo = [(":method", self.method), (":scheme", "http"), (":authority", self.authority), (":path", self.path)]
        trailers = [("te", "trailers")] if self._takes_trailers else []
        return as_bytes([*pseudo, *self._onward(client, trace), *trailers])

    def for_http1(self, client: str, trace: Mapping[str, str]) -> list[tuple[str, str]]:
        """One ``host`` and one ``cookie``, which HTTP/2 may have split."""
        onward = self._onward(client, trace)
        cookie = "; ".join(value for name, value in onward if name == "cookie")
        cookies = [("cookie", cookie)] if cookie else []
        return [("host", self.authority), *((name, value) for name, value in onward if name != "cookie"), *cookies]

    def _onward(self, client: str, trace: Mapping[str, str]) -> list[tuple[str, str]]:
        return [
            *end_to_end(self.headers, without=(*REPLACED, *trace, "host", "expect")),
            *forwarded(self.headers, client=client, host=self.authority),
            *trace.items(),
        ]
