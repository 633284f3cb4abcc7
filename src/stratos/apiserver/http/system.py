"""Everything outside the resource API: discovery, health, version and metrics."""

from __future__ import annotations

import platform
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from stratos.apiserver.auth.contract import User
from stratos.apiserver.http import discovery
from stratos.apiserver.http.negotiation import Form, negotiate
from stratos.apiserver.http.request import Request
from stratos.apiserver.http.response import Answer, Response, json_response
from stratos.apiserver.registry.openapi import OpenApi
from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.status import method_not_allowed, page_not_found
from stratos.telemetry.metrics import CONTENT_TYPE, render

VERSION: Obj = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+stratos",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}",
}
_HEALTH = ("/healthz", "/livez", "/readyz")
_SWAGGER_PROTOBUF = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_AGGREGATED = b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class SystemEndpoint:
    """``ready`` tells whether the server may be sent requests."""

    def __init__(self, registry: Registry, metrics: CollectorRegistry, ready: Callable[[], bool]) -> None:
        self._registry = registry
        self._metrics = metrics
        self._ready = ready
        self._openapi = OpenApi(VERSION["gitVersion"])
        self._described: int | None = None

    def is_public(self, path: str) -> bool:
        """Health is all that strangers may see."""
        return path.startswith(_HEALTH)

    async def answer(self, request: Request, user: User) -> Answer:
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        match request.path.strip("/").split("/"):
            case ["healthz" | "livez" | "readyz" as probe, *_]:
                return self._health(probe, verbose="verbose" in request.query)
            case ["version"]:
                return json_response(VERSION)
            case ["api"]:
                return self._discover(request, discovery.core_versions(), core=True)
            case ["apis"]:
                return self._discover(request, discovery.group_list(self._registry), core=False)
            case ["api", version]:
                return _found(discovery.resource_list(self._registry, "", version))
            case ["apis", group]:
                return _found(discovery.group(self._registry, group))
            case ["apis", group, version]:
                return _found(discovery.resource_list(self._registry, group, version))
            case ["openapi", "v2"]:
                return self._swagger(request)
            case ["openapi", "v3"]:
                return Response(self._current_openapi().index())
            case ["openapi", "v3", *group_version]:
                return _found(self._current_openapi().document("/".join(group_version)))
            case ["metrics"]:
                return Response(render(self._metrics).encode(), content_type=CONTENT_TYPE.encode())
            case [""]:
                return json_response(
                    {"paths": ["/api", "/apis", *_HEALTH, "/metrics", "/openapi/v2", "/openapi/v3", "/version"]}
                )
        raise page_not_found()

    def _current_openapi(self) -> OpenApi:
        if self._described != self._registry.generation:
            self._described = self._registry.generation
            self._openapi.serve(self._registry.all())
        return self._openapi

    def _swagger(self, request: Request) -> Answer:
        if "proto-openapi.spec.v2" in request.header(b"accept"):
            return Response(self._current_openapi().swagger_protobuf(), content_type=_SWAGGER_PROTOBUF)
        return Response(self._current_openapi().swagger())

    def _discover(self, request: Request, legacy: Obj, *, core: bool) -> Answer:
        if negotiate(request.header(b"accept")) is not Form.DISCOVERY:
            return json_response(legacy)
        answer = json_response(discovery.aggregated(self._registry, core=core))
        answer.content_type = _AGGREGATED
        return answer

    def _health(self, probe: str, *, verbose: bool) -> Answer:
        healthy = probe != "readyz" or self._ready()
        mark = "[+]ping ok\n[+]storage ok\n" if healthy else "[+]ping ok\n[-]storage failed: not started\n"
        verdict = f"{probe} check {'passed' if healthy else 'failed'}\n"
        text = mark + verdict if verbose or not healthy else "ok"
        return Response(text.encode(), 200 if healthy else 500, b"text/plain; charset=utf-8")


def _found(document: Obj | bytes | None) -> Answer:
    if document is None:
        raise page_not_found()
    return Response(document) if isinstance(document, bytes) else json_response(document)
