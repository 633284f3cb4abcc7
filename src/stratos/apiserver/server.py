"""The embedded API server, assembled: one object that serves a store's objects over HTTP.

It runs in virtual time as well as under a real server: it opens no socket and starts no thread of its own. Who may do
what, and what is admitted, is decided by what it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from stratos.apiserver.admission.contract import Admission
from stratos.apiserver.auth.bootstrap import bootstrap_objects
from stratos.apiserver.auth.contract import Authenticator, Authorizer
from stratos.apiserver.auth.tokens import ServiceAccountTokens
from stratos.apiserver.http.app import App
from stratos.apiserver.http.metrics import RequestMetrics
from stratos.apiserver.http.resources import ResourceEndpoint
from stratos.apiserver.http.subresources import SubresourceEndpoint
from stratos.apiserver.http.system import SystemEndpoint
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.bootstrap import create_missing, observe_deciding_kinds
from stratos.apiserver.registry.builtin import builtin_resources
from stratos.apiserver.registry.crd import definition_kind
from stratos.apiserver.registry.custom_kinds import DEFINITIONS, CustomKinds, DefinitionStatus
from stratos.apiserver.registry.deleting import Deleter
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.reviews import Reviews, review_resources
from stratos.apiserver.registry.subresources.binding import Binder
from stratos.apiserver.registry.subresources.eviction import Evictor
from stratos.apiserver.registry.subresources.finalize import Finalizer
from stratos.apiserver.registry.subresources.logs import PodLogs
from stratos.apiserver.registry.subresources.scale import Scaler
from stratos.apiserver.registry.subresources.tokens import TokenRequests
from stratos.apiserver.registry.watching import Watcher
from stratos.apiserver.registry.writing import Writer
from stratos.apiserver.storage.contract import Storage
from stratos.base.clock import Clock
from stratos.base.ids import IdSource


class ApiServer:
    """``app`` is the ASGI application; `start` before the first request, `stop` after the last.

    ``observed`` is what authorisation and admission look at; the server keeps it current. ``service_account_tokens`` is
    None where service accounts get no tokens.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        authenticator: Authenticator,
        authorizer: Authorizer,
        admission: Admission,
        observed: ObservedObjects,
        service_account_tokens: ServiceAccountTokens | None = None,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        self._storage = storage
        self._observed = observed
        self._ready = False
        self.registry = Registry((*builtin_resources(), definition_kind(), *review_resources()))
        definitions = DefinitionStatus(self.registry, clock)
        reader = Reader(storage)
        self._writer = writer = Writer(storage, clock, ids, admission, {DEFINITIONS: definitions.complete})
        deleter = Deleter(storage, reader, clock, admission, {DEFINITIONS: definitions.complete})
        self._custom_kinds = CustomKinds(self.registry, storage, reader, writer, deleter)
        subresources = SubresourceEndpoint(
            Scaler(reader, writer, admission),
            Evictor(self.registry, reader, writer, deleter, clock, admission),
            Binder(writer, clock, admission),
            PodLogs(storage, reader, clock),
            TokenRequests(reader, service_account_tokens),
            Finalizer(writer),
        )
        watcher = Watcher(storage)
        reviews = Reviews(authenticator, authorizer, clock)
        resources = ResourceEndpoint(self.registry, reader, watcher, writer, deleter, subresources, reviews, clock)
        request_metrics = RequestMetrics(metrics or CollectorRegistry())
        system = SystemEndpoint(self.registry, request_metrics.registry, lambda: self._ready)
        self.app = App(resources, system, authenticator, authorizer, request_metrics, clock)

    async def start(self, objects: Sequence[Obj] = ()) -> None:
        """Load what is stored, and create what every cluster has, and ``objects``, where it is missing."""
        await observe_deciding_kinds(self.registry, self._storage, self._observed)
        await self._custom_kinds.start()
        await create_missing(self.registry, self._storage, self._writer, [*bootstrap_objects(), *objects])
        self._ready = True

    async def stop(self) -> None:
        """Let writes under way finish, end all watches, and close the store."""
        self._ready = False
        await self._custom_kinds.stop()
        await self._storage.close()
