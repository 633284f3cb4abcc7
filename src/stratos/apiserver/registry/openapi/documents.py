"""Build the documents on demand and keep them while the kinds they describe stay the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from stratos.apiserver.registry.openapi.paths import group_version_path, paths_of
from stratos.apiserver.registry.openapi.schemas import components
from stratos.apiserver.registry.openapi.swagger import swagger
from stratos.apiserver.registry.resource import Resource

_TITLE = "Kubernetes"


class OpenApi:
    """The documents of the served kinds, as JSON. Tell it the kinds with `serve` whenever they change."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._served: dict[str, tuple[Resource, ...]] = {}
        self._documents: dict[str, bytes] = {}
        self._index: bytes | None = None
        self._swagger: bytes | None = None

    def serve(self, resources: Iterable[Resource]) -> None:
        """Describe these kinds from now on. Group versions whose kinds are the same as before keep their document."""
        served: dict[str, list[Resource]] = {}
        for resource in resources:
            served.setdefault(group_version_path(resource), []).append(resource)
        former = self._served
        self._served = {path: tuple(kinds) for path, kinds in sorted(served.items())}
        unchanged = {path for path, kinds in self._served.items() if _same(kinds, former.get(path, ()))}
        self._documents = {path: document for path, document in self._documents.items() if path in unchanged}
        if len(unchanged) != len(former) or len(unchanged) != len(self._served):
            self._index = self._swagger = None

    def index(self) -> bytes:
        """``/openapi/v3``: where the document of each group version is. The hash lets clients keep a copy."""
        if self._index is None:
            paths = {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash(path)}"} for path in self._served
            }
            self._index = _encoded({"paths": paths})
        return self._index

    def document(self, path: str) -> bytes | None:
        """``/openapi/v3/{path}``, such as ``apis/apps/v1``; None for a group version that is not served."""
        if path not in self._served:
            return None
        if path not in self._documents:
            self._documents[path] = _encoded(self._build(path))
        return self._documents[path]

    def swagger(self) -> bytes:
        """``/openapi/v2``: everything in one document."""
        if self._swagger is None:
            self._swagger = _encoded(swagger(_TITLE, self._version, list(map(self._build, self._served))))
        return self._swagger

    def swagger_protobuf(self) -> bytes:
        """``/openapi/v2`` as Go clients ask for it: the heading alone.

        They look there for kinds that v3 does not describe, and there are none: what they must be told is just that.
        """
        return _text(1, b"2.0") + _text(2, _text(1, _TITLE.encode()) + _text(2, self._version.encode()))

    def _build(self, path: str) -> dict[str, Any]:
        kinds = self._served[path]
        paths: dict[str, Any] = {}
        for resource in kinds:
            paths |= paths_of(resource)
        return {
            "openapi": "3.0.0",
            "info": {"title": _TITLE, "version": self._version},
            "paths": dict(sorted(paths.items())),
            "components": {"schemas": components(kinds)},
        }

    def _hash(self, path: str) -> str:
        document = self.document(path) or b""
        return hashlib.sha256(document).hexdigest()[:32].upper()


def _same(left: tuple[Resource, ...], right: tuple[Resource, ...]) -> bool:
    return len(left) == len(right) and all(one is other for one, other in zip(left, right, strict=True))


def _text(field: int, value: bytes) -> bytes:
    """A short field with a length, in protobuf."""
    return bytes((field << 3 | 2, len(value))) + value


def _encoded(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
