"""The embedded API server, assembled: one object that serves a store's objects over HTTP.

It runs in virtual time as well as under a real server: it opens no socket and starts no thread of its own. Who may do
what, and what is admitted, is decided by what it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from stratos.apiserver.admission.contract import Admission
from stratos.apiserver.auth.contract import Authenticator, Authorizer
from stratos.apiserver.http.app import App
from stratos.apiserver.http.resources import ResourceEndpoint
from stratos.apiserver.http.system import SystemEndpoint
from stratos.apiserver.registry.deleting import Deleter
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.resource import Resource
from stratos.apiserver.registry.watching import Watcher
from stratos.apiserver.registry.writing import Writer
from stratos.apiserver.storage.contract import Storage
from stratos.base.clock import Clock
from stratos.base.ids import IdSource


class ApiServer:
    """``app`` is the ASGI application; `start` before the first request, `stop` after the last."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        resources: Sequence[Resource],
        authenticator: Authenticator,
        authorizer: Authorizer,
        admission: Admission,
        bookmark_seconds: float = 60.0,
    ) -> None:
        self._storage = storage
        self._started = False
        self.registry = Registry(resources)
        reader = Reader(storage)
        endpoint = ResourceEndpoint(
            self.registry,
            reader,
            Watcher(storage, bookmark_seconds),
            Writer(storage, clock, ids, admission),
            Deleter(storage, reader, clock, admission),
            clock,
        )
        system = SystemEndpoint(self.registry, lambda: self._started)
        self.app = App(endpoint, system, authenticator, authorizer)

    async def start(self) -> None:
        self._started = True

    async def stop(self) -> None:
        """Let writes under way finish, end all watches, and close the store."""
        self._started = False
        await self._storage.close()
