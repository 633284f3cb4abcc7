"""A whole API server in memory and virtual time, and short ways to call it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from stratos.apiserver.admission.chain import build_admission
from stratos.apiserver.auth.authentication import ClientCertificates, RequestAuthenticator
from stratos.apiserver.auth.contract import SYSTEM_MASTERS, User
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.auth.tokens import StaticTokens
from stratos.apiserver.http.request import Message
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.contract import Storage
from stratos.apiserver.storage.memory import open_memory
from stratos.base.clock import Clock
from stratos.base.ids import SeededIds
from stratos.testing import virtual_time

Obj = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
ADMIN, NODE, NOBODY = "admin-token", "node-token", "nobody-token"


@dataclass(slots=True)
class Reply:
    code: int
    body: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def obj(self) -> Any:
        return json.loads(self.body)

    @property
    def warnings(self) -> list[str]:
        return [value.decode() for name, value in self.headers if name == b"warning"]

    def header(self, name: bytes) -> bytes:
        return dict(self.headers).get(name, b"")

    def status(self) -> tuple[int, str, str]:
        """Code, reason and message of a refusal."""
        return self.code, self.obj["reason"], self.obj["message"]


@dataclass(slots=True)
class Api:
    server: ApiServer
    storage: Storage
    token: str = ADMIN
    _streams: list[asyncio.Task[None]] = field(default_factory=list)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        start: list[Message] = []
        chunks: list[bytes] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
            else:
                chunks.append(message.get("body", b""))

        scope = self._scope(method, path, query, content_type, accept, self.token if token is None else token, headers)
        await self.server.app(scope, _receiving(data), send)
        return Reply(start[0]["status"], b"".join(chunks), list(start[0]["headers"]))

    async def get(self, path: str, **query: Any) -> Any:
        reply = await self.call("GET", path, **query)
        assert reply.code == 200, reply.body
        return reply.obj

    async def create(self, path: str, obj: Obj, **query: Any) -> Any:
        reply = await self.call("POST", path, obj, **query)
        assert reply.code == 201, reply.body
        return reply.obj

    async def update(self, path: str, obj: Obj, **query: Any) -> Any:
        reply = await self.call("PUT", path, obj, **query)
        assert reply.code == 200, reply.body
        return reply.obj

    async def patch(self, path: str, patch: object, *, type: str = "merge-patch+json", **query: Any) -> Reply:
        return await self.call("PATCH", path, patch, content_type=f"application/{type}", **query)

    async def delete(self, path: str, options: Obj | None = None, **query: Any) -> Reply:
        return await self.call("DELETE", path, options, **query)

    def watch(self, path: str, *, accept: str = "", **query: Any) -> list[Obj]:
        """Open a watch, and return the list its events are going to appear in."""
        events: list[Obj] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                events.extend(json.loads(line) for line in message["body"].splitlines())

        scope = self._scope("GET", path, {"watch": "true", **query}, "", accept, self.token, None)
        call = asyncio.ensure_future(self.server.app(scope, _receiving(b""), send))
        self._streams.append(call)
        return events

    def hang_up(self) -> None:
        for stream in self._streams:
            stream.cancel()

    def _scope(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        content_type: str,
        accept: str,
        token: str,
        headers: Mapping[str, str] | None,
    ) -> Message:
        named = {"authorization": f"Bearer {token}" if token else "", "content-type": content_type, "accept": accept}
        named |= headers or {}
        return {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": "&".join(f"{key}={quote(str(value))}" for key, value in query.items()).encode(),
            "headers": [(key.encode(), value.encode()) for key, value in named.items() if value],
        }


def _receiving(body: bytes) -> Callable[[], Awaitable[Message]]:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError("the client never hangs up by itself")

    return receive


@asynccontextmanager
async def an_api(
    storage: Storage | None = None,
    *,
    clock: Clock | None = None,
    authority_pem: str | None = None,
    objects: Sequence[Obj] = (),
) -> AsyncGenerator[Api]:
    storage = storage or open_memory()
    observed = ObservedObjects()
    authorizer = RbacAuthorizer(observed)
    ids = SeededIds(random.Random(7))
    users = {
        ADMIN: User("admin", groups=(SYSTEM_MASTERS,)),
        NODE: User("system:node:n1", groups=("system:nodes",)),
        NOBODY: User("nobody"),
    }
    clock = clock or virtual_time.VirtualClock()
    certificates = ClientCertificates(authority_pem, clock) if authority_pem else None
    server = ApiServer(
        storage=storage,
        clock=clock,
        ids=ids,
        authenticator=RequestAuthenticator(tokens=StaticTokens(users), certificates=certificates),
        authorizer=authorizer,
        admission=build_admission(observed, authorizer, ids),
        observed=observed,
    )
    await server.start(objects)
    api = Api(server, storage)
    try:
        yield api
    finally:
        api.hang_up()
        await server.stop()


def with_api(scenario: Callable[[Api], Awaitable[None]]) -> None:
    """Run a scenario against a fresh server, in virtual time."""

    async def run() -> None:
        async with an_api() as api:
            await scenario(api)

    virtual_time.run(run())


async def settle() -> None:
    """Let everything happen that happens now."""
    await asyncio.sleep(0.001)


def a_config_map(name: str = "cm", *, data: Mapping[str, str] | None = None, **labels: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data or {}}


def a_pod(name: str = "web-0", **labels: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "nginx:1"}]},
    }


def a_deployment(name: str = "web", replicas: int = 2) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": a_pod()["spec"]},
        },
    }
