"""What a part of Stratos asked an API server for, in the words of RBAC, and what it was granted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from stratos.apiserver.http.paths import parse_resource_path
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport
from stratos.wiring.installation.rights import Rights, Rule

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
AT_HOME = "stratos-system"


class Use(NamedTuple):
    """One verb on one kind of resource. ``home``: in the namespace of Stratos itself."""

    home: bool
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}{' at home' if self.home else ''}"


@dataclass(slots=True)
class WatchedTransport:
    """A `Transport` in front of another that notes what passes, and what came back as forbidden."""

    behind: Transport
    uses: set[Use] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        self._note(method, path, query)
        answer = await self.behind.request(method, path, query=query, headers=headers, body=body)
        self._judge(answer.status, method, path)
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[StreamResponse]:
        self._note(method, path, query)
        async with self.behind.stream(method, path, query=query, headers=headers) as answer:
            self._judge(answer.status, method, path)
            yield answer

    async def close(self) -> None:
        await self.behind.close()

    def _judge(self, status: int, method: str, path: str) -> None:
        if status in (401, 403):
            self.refused.append(f"{method} {path}")

    def _note(self, method: str, path: str, query: Mapping[str, str]) -> None:
        asked = parse_resource_path(path)
        if asked is None:
            return
        verb = _VERBS[method]
        if verb == "get" and not asked.name:
            verb = "watch" if query.get("watch") else "list"
        resource = f"{asked.plural}/{asked.subresource}" if asked.subresource else asked.plural
        self.uses.add(Use(asked.namespace == AT_HOME, asked.group, resource, verb))


def granted(rights: Rights) -> set[Use]:
    return {*_granted(rights.everywhere, home=False), *_granted(rights.at_home, home=True)}


def _granted(rules: Iterable[Rule], *, home: bool) -> Iterable[Use]:
    return (
        Use(home, rule.group, resource, verb) for rule in rules for resource in rule.resources for verb in rule.verbs
    )
