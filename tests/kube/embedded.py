"""The embedded API server with its doors open, and a client that reaches it in process."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from stratos.apiserver.admission.contract import AdmissionRequest
from stratos.apiserver.auth.contract import SYSTEM_MASTERS, Attributes, Credentials, Decision, User
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.memory import open_memory
from stratos.base.clock import Clock
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.testing.virtual_time import VirtualClock


class EverybodyMayDoAnything:
    def authenticate(self, credentials: Credentials) -> User | None:
        return User("test", groups=(SYSTEM_MASTERS,))

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(True)

    def rules_for(self, user: User, namespace: str) -> Sequence[Mapping[str, Any]]:
        return ()

    async def mutate(self, request: AdmissionRequest) -> None:
        return None

    async def validate(self, request: AdmissionRequest) -> None:
        return None


@asynccontextmanager
async def embedded_server(clock: Clock | None = None) -> AsyncIterator[ApiServer]:
    anybody = EverybodyMayDoAnything()
    server = ApiServer(
        storage=open_memory(),
        clock=clock or VirtualClock(),
        ids=SeededIds(random.Random(3)),
        authenticator=anybody,
        authorizer=anybody,
        admission=anybody,
        observed=ObservedObjects(),
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def embedded_client() -> AsyncIterator[Client]:
    async with embedded_server() as server:
        transport = InProcessTransport(server.app)
        yield Client(transport)
        await transport.close()


def a_pod(name: str, *, namespace: str = "default", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "example.com/app:1"}]},
    }
