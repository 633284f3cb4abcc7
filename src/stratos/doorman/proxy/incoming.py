"""A request of HTTP/1.1 as it came, seen as what will be sent on."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web
from multidict import CIMultiDict

from stratos.base.errors import Invalid
from stratos.doorman.proxy.headers import REPLACED, end_to_end, forwarded

BUFFER_BYTES = 64 * 1024
HEADER_BYTES_MAX = 64 * 1024  # of one header: some put whole sessions into cookies
HELD_BODY_BYTES = 384 * 1024
"""The most of a body that is read while its request waits: two buffers, and what was read together with the last."""


def target_of(request: web.BaseRequest) -> str:
    """The path and query as they were written."""
    target = request.raw_path
    if target.startswith("/"):
        return target
    if "://" in target:  # absolute form, as proxies are asked
        return request.rel_url.raw_path_qs
    raise Invalid(f"{target!r} is not a path")


def onward_headers(request: web.BaseRequest, trace: Mapping[str, str], *without: str) -> CIMultiDict[str]:
    """The headers for the backend, those of the trace among them; ``without`` are further ones to leave out."""
    headers = tuple(request.headers.items())
    onward = CIMultiDict(end_to_end(headers, without=(*REPLACED, *trace, *without)))
    host = request.headers.get(hdrs.HOST, "")
    onward.extend(forwarded(headers, client=request.remote or "unknown", host=host))
    onward.extend(trace)
    return onward


def held_bytes(request: web.BaseRequest) -> int:
    """What the body may take up while the request waits."""
    if not request.can_read_body:
        return 0
    return min(request.content_length or HELD_BODY_BYTES, HELD_BODY_BYTES)
