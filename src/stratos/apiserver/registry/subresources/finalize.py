"""The ``finalize`` subresource of namespaces: whoever emptied a namespace lets it go."""

from __future__ import annotations

from stratos.apiserver.registry.metadata import check_envelope
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.status import conflict
from stratos.apiserver.registry.writing import Writer, Written


class Finalizer:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def finalize(self, target: Target, body: object, options: WriteOptions) -> Written:
        """Take over ``spec.finalizers``, and nothing else. The last one to go takes the namespace along."""
        given = check_envelope(target, body)
        expected = given["metadata"].get("resourceVersion") or ""
        wanted = list((given.get("spec") or {}).get("finalizers") or ())

        def finalize(namespace: Obj) -> None:
            if expected and expected != namespace["metadata"]["resourceVersion"]:
                raise conflict(target.resource, target.name)
            namespace.setdefault("spec", {})["finalizers"] = wanted

        return await self._writer.amend(target, finalize, options)
