"""Which headers travel on, and what the doorman adds to them.

Names are compared in lower case, as HTTP/2 writes them. Trailers of HTTP/1.1 end here, so nothing announces them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

Headers = Iterable[tuple[str, str]]

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    )
)
FORWARDED_FOR = "x-forwarded-for"
FORWARDED_HOST = "x-forwarded-host"
FORWARDED_PROTO = "x-forwarded-proto"


def end_to_end(headers: Headers, without: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Those meant for the other end, not for this hop. ``without`` are further ones to leave out."""
    headers = tuple(headers)
    named = {
        word.strip().lower() for name, value in headers if name.lower() == "connection" for word in value.split(",")
    }
    for name, value in headers:
        lower = name.lower()
        if lower not in _HOP_BY_HOP and lower not in named and lower not in without:
            yield name, value


def forwarded(headers: Headers, *, client: str, host: str) -> Iterator[tuple[str, str]]:
    """Who asked, and for what. A proxy before us knows host and scheme better; its list of clients gets ours added."""
    had = {name.lower(): value for name, value in headers}
    earlier = had.get(FORWARDED_FOR)
    yield FORWARDED_FOR, f"{earlier}, {client}" if earlier else client
    yield FORWARDED_HOST, had.get(FORWARDED_HOST, host)
    yield FORWARDED_PROTO, had.get(FORWARDED_PROTO, "http")


REPLACED = (FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO)
"""What `forwarded` says anew."""
