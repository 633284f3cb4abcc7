"""The webhook as a web application: reviews of pods and templates, and whether it is ready for them.

It is ready while the manager it was added to runs. Otherwise it answers nothing, so that pods pass unmodified rather
than wait for nodes that nobody makes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.controllers.webhook.registration import PODS_PATH, TEMPLATES_PATH
from stratos.controllers.webhook.reviews import Review, Verdict, review_pod, review_template
from stratos.kube.controller import Manager
from stratos.providers.contract import Provider
from stratos.telemetry.logs import get_logger

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Reviewer = Callable[[Review], Verdict]

_BODY_BYTES_MAX = 4 * 1024 * 1024

log = get_logger(__name__)


class AdmissionWebhook:
    """An ASGI application, and a part of ``manager`` that says when it may be asked.

    ``provider`` is asked for the types there are, and for nothing else. ``somebody_leads``: whether there is anybody
    who makes nodes, in this process or in another.
    """

    name = "admission webhook"

    def __init__(
        self, manager: Manager, provider: Provider, *, somebody_leads: Callable[[], bool] = lambda: True
    ) -> None:
        self._templates = manager.cache(NODE_TEMPLATE)
        self._reviewers: Mapping[str, _Reviewer] = {
            PODS_PATH: lambda review: review_pod(review, self._templates.list(), provider.catalog),
            TEMPLATES_PATH: lambda review: review_template(review, self._templates.list()),
        }
        self._somebody_leads = somebody_leads
        self._running = False
        manager.add(self)

    @property
    def ready(self) -> bool:
        return self._running and self._templates.synced and self._somebody_leads()

    async def run(self) -> None:
        self._running = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._running = False

    async def __call__(self, scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        path = scope["path"]
        if path == "/healthz":
            await _answer(send, 200, b"ok")
        elif path == "/readyz":
            await _answer(send, *((200, b"ok") if self.ready else (503, b"the manager is not running")))
        elif path not in self._reviewers:
            await _answer(send, 404, b"not found")
        elif not self.ready:
            await _answer(send, 503, b"the manager is not running")
        else:
            await _answer(send, *self._review(self._reviewers[path], await _read(receive)))

    def _review(self, reviewer: _Reviewer, body: bytes) -> tuple[int, bytes]:
        try:
            review = json.loads(body)
            verdict = reviewer(review["request"])
        except (ValueError, LookupError, TypeError, msgspec.ValidationError) as error:
            log.warning("an admission review makes no sense", reason=str(error))
            return 400, f"the review makes no sense: {error}".encode()
        answer = {"apiVersion": review.get("apiVersion"), "kind": "AdmissionReview", "response": verdict}
        return 200, json.dumps(answer).encode()


async def _read(receive: _Receive) -> bytes:
    body: bytes = b""
    while len(body) <= _BODY_BYTES_MAX:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
    return b""


async def _answer(send: _Send, status: int, body: bytes) -> None:
    kind = b"application/json" if body.startswith(b"{") else b"text/plain; charset=utf-8"
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})
