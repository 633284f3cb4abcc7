"""The ASGI application: who asks, whether they may, and which part of the server answers."""

from __future__ import annotations

import logging

from stratos.apiserver.auth.contract import (
    ANONYMOUS,
    Attributes,
    Authenticator,
    Authorizer,
    Credentials,
    User,
    describe_refusal,
)
from stratos.apiserver.http.impersonation import impersonations, requested_user
from stratos.apiserver.http.metrics import RequestMetrics
from stratos.apiserver.http.paths import ResourcePath, parse_resource_path
from stratos.apiserver.http.request import Receive, Request, Scope, Send
from stratos.apiserver.http.resources import ResourceEndpoint, attributes_of, verb_of
from stratos.apiserver.http.response import Answer, refusal
from stratos.apiserver.http.system import SystemEndpoint
from stratos.apiserver.registry.status import ApiError, status_of
from stratos.base.clock import Clock
from stratos.base.errors import StratosError

_log = logging.getLogger(__name__)


class App:
    """Plain ASGI; any server can carry it, and in-process clients call it without one."""

    def __init__(
        self,
        resources: ResourceEndpoint,
        system: SystemEndpoint,
        authenticator: Authenticator,
        authorizer: Authorizer,
        metrics: RequestMetrics,
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._resources = resources
        self._system = system
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"cannot serve {scope['type']} connections")
        request = Request(scope, receive)
        path = parse_resource_path(request.path)
        started = self._clock.monotonic()
        try:
            answer = await self._answer(request, path)
        except Exception as error:
            if not isinstance(error, StratosError):
                _log.exception("%s %s failed", request.method, request.path)
            answer = refusal(status_of(error))
        await answer.send(request, send)
        seconds = self._clock.monotonic() - started
        self._metrics.answered(_verb(request, path), path.plural if path else "", answer.code, seconds)

    async def _answer(self, request: Request, path: ResourcePath | None) -> Answer:
        if path is None and self._system.is_public(request.path):
            return await self._system.answer(request, ANONYMOUS)
        user = self._impersonated(request, self._authenticate(request))
        if path is None:
            self._authorize(Attributes(user, request.method.lower(), path=request.path))
            return await self._system.answer(request, user)
        self._authorize(attributes_of(request, path, user))
        return await self._resources.answer(request, path, user)

    def _authenticate(self, request: Request) -> User:
        scheme, _, token = request.header(b"authorization").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else None
        user = self._authenticator.authenticate(Credentials(bearer or None, request.client_certificates))
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user

    def _impersonated(self, request: Request, user: User) -> User:
        """The user to act as, when the caller asks for that and may."""
        wanted = requested_user(request)
        if wanted is None:
            return user
        for attributes in impersonations(user, wanted):
            self._authorize(attributes)
        return wanted

    def _authorize(self, attributes: Attributes) -> None:
        decision = self._authorizer.authorize(attributes)
        if decision.allowed:
            return
        details = {"name": attributes.name, "group": attributes.group, "kind": attributes.resource}
        raise ApiError(
            403,
            "Forbidden",
            describe_refusal(attributes, decision.reason),
            details={key: value for key, value in details.items() if value},
        )


def _verb(request: Request, path: ResourcePath | None) -> str:
    """For metrics, where a malformed request is still a request."""
    if path is None:
        return request.method.lower()
    try:
        return verb_of(request, path)
    except ApiError:
        return request.method.lower()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
