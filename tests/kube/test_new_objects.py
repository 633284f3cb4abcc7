"""What is asked for is paid for: a lost answer must not lead to a second object."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, TypeVar

import pytest

from kube.embedded import embedded_server
from stratos.apis.meta import Kind, KubeObject
from stratos.apis.namespace import NAMESPACE
from stratos.base.errors import Unavailable
from stratos.base.ids import SeededIds
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.kube.new_objects import NewObjects
from stratos.testing.virtual_time import run

T = TypeVar("T", bound=KubeObject)


class LosesAnswers(Client):
    """A client of a server that does what it is asked, and is cut off before it can say so."""

    losing = False

    async def create(self, kind: Kind[T], obj: T | Mapping[str, Any], **more: Any) -> T:
        answer = await super().create(kind, obj, **more)
        if self.losing:
            raise Unavailable("the connection was reset")
        return answer


def test_an_object_whose_answer_was_lost_is_asked_for_under_its_name_again() -> None:
    """The next plan still wants it, and finds it there."""

    async def main() -> None:
        async with embedded_server() as server:
            client = LosesAnswers(InProcessTransport(server.app))
            cache = Cache(client, NAMESPACE, rng=random.Random(1))
            new = NewObjects(client, NAMESPACE, cache, SeededIds(random.Random(1)))
            before = len((await client.list(NAMESPACE)).items)

            client.losing = True
            with pytest.raises(Unavailable):
                await new.create("ci", lambda name: {"metadata": {"name": name}})
            client.losing = False
            await new.create("ci", lambda name: {"metadata": {"name": name}})

            (created,) = cache.list()
            assert len((await client.list(NAMESPACE)).items) == before + 1
            await new.create("ci", lambda name: {"metadata": {"name": name}})
            assert {each.metadata.name for each in cache.list()} > {created.metadata.name}

    run(main())
