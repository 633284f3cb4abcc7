"""Connections to backends that speak HTTP/2: few, shared by many streams."""

from __future__ import annotations

import asyncio

from stratos.doorman.gate import Backend
from stratos.doorman.proxy.http2.connection import Http2Connection
from stratos.doorman.proxy.passage import Unreachable
from stratos.doorman.proxy.upstream import CONNECT_SECONDS, Resolve


class Http2Pool:
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._connections: dict[Backend, list[Http2Connection]] = {}

    async def connection(self, backend: Backend) -> Http2Connection:
        """One with room for another stream. Raises `Unreachable`."""
        for connection in self._connections.get(backend, ()):
            if connection.has_room:
                return connection
        return await self._connect(backend)

    def close(self) -> None:
        for connections in tuple(self._connections.values()):
            for connection in tuple(connections):
                connection.close()

    async def _connect(self, backend: Backend) -> Http2Connection:
        host, port = self._resolve(backend)
        connection = Http2Connection(client_side=True, on_lost=lambda: self._lost(backend, connection))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: connection, host, port)
        except OSError as error:
            raise Unreachable(f"no connection to {host}:{port}: {error}") from error
        self._connections.setdefault(backend, []).append(connection)
        return connection

    def _lost(self, backend: Backend, connection: Http2Connection) -> None:
        connections = self._connections.get(backend, [])
        if connection in connections:
            connections.remove(connection)
        if not connections:
            self._connections.pop(backend, None)
