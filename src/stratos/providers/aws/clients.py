"""The way to AWS: its official SDK, which blocks, in threads beside the loop.

One `AwsClients` serves one region. It calls what `permissions.ACTIONS` lists and nothing else, and raises errors of
the contract.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from stratos.base.errors import Unauthorized
from stratos.providers.aws.errors import translated
from stratos.providers.aws.permissions import ACTIONS

T = TypeVar("T")

_THREADS = 32  # calls under way at once; those beyond wait
_CONFIG = Config(
    # One attempt: who repeats a call must know whether it may be repeated (the contract's tokens) and must wait for its
    # turn (`RateLimited`, which also slows down when AWS says so). The SDK's own retries know neither.
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=60,  # a fleet looks for a machine for a while
    max_pool_connections=_THREADS,
)


class AwsClients:
    def __init__(self, *, region: str, endpoint_url: str | None = None) -> None:
        """``endpoint_url`` stands in for all services; without it, the SDK finds each as its environment says."""
        self.region = region
        self._endpoint_url = endpoint_url
        self._session: Any = None
        self._clients: dict[str, Any] = {}  # by service
        self._making = threading.Lock()  # sessions are not safe to be used from two threads, clients are
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="aws")

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one call."""
        answer: dict[str, Any] = await self._ask(
            service, operation, lambda client: getattr(client, operation)(**parameters)
        )
        return answer

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[dict[str, Any]]:
        """All that a listing has under ``items``, page by page."""

        def collect(client: Any) -> list[dict[str, Any]]:
            return [item for page in client.get_paginator(operation).paginate(**parameters) for item in page[items]]

        return await self._ask(service, operation, collect)

    def close(self) -> None:
        """Calls that wait for a thread are given up; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, service: str, operation: str, ask: Callable[[Any], T]) -> T:
        if (service, operation) not in ACTIONS:
            raise LookupError(f"{service} {operation} is missing from the table of permissions")

        def work() -> T:
            client = None
            try:
                client = self._client(service)
                return ask(client)
            except Exception as error:  # the SDK lets errors of the libraries below it through, too
                told = translated(error, service=service, operation=operation, region=self.region)
                if isinstance(told, Unauthorized):
                    self._start_over(service, client)
                raise told from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _client(self, service: str) -> Any:
        with self._making:
            if self._session is None:
                self._session = boto3.Session(region_name=self.region)
            if service not in self._clients:
                self._clients[service] = self._session.client(service, endpoint_url=self._endpoint_url, config=_CONFIG)
            return self._clients[service]

    def _start_over(self, service: str, client: Any) -> None:
        """Read credentials anew for the next call. The SDK renews those of roles, not those in files."""
        with self._making:
            if self._clients.get(service) is client:
                self._session = None
                self._clients.clear()
