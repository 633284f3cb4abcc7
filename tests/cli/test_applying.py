"""Manifests of all kinds go to the cluster in order; what it refuses is told by file, document and field."""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import Invalid
from stratos.base.ids import SeededIds
from stratos.cli.applying import Applied, Refused, apply_each, apply_manifests
from stratos.cli.manifests import Manifest, read_manifests
from stratos.kube.client import Client
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.api import ADMIN, EmbeddedApi

GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n"
BAD = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n"
STRANGE = "apiVersion: strange.io/v1\nkind: Widget\nmetadata: {name: w}\n"
WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.strange.io}
spec:
  group: strange.io
  scope: Cluster
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


def with_client(question: Callable[[Client], Awaitable[None]]) -> None:
    """Ask a cluster that has nothing but its API."""

    async def main() -> None:
        ids = SeededIds(random.Random(1))
        api = EmbeddedApi(open_memory(), clock=VirtualClock(), ids=ids)
        await api.start()
        await question(api.client(ADMIN))
        await api.stop()

    run(main())


def manifests(folder: Path, *documents: str) -> tuple[Manifest, ...]:
    file = folder / "all.yaml"
    file.write_text("---\n".join(documents))
    return read_manifests([file])


def test_one_that_is_refused_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """`stratos up` shows what is wrong and runs on with the rest."""

    async def question(client: Client) -> None:
        outcomes = [outcome async for outcome in apply_each(client, manifests(tmp_path, BAD, GOOD))]

        refused, applied = outcomes
        assert isinstance(refused, Refused) and isinstance(applied, Applied)
        assert refused.error.message == f"{tmp_path}/all.yaml, document 1: service/bad was refused"
        assert any(line.startswith("spec.ports[0].port: ") for line in refused.error.looked_at)
        assert applied.key == "default/good"

    with_client(question)


def test_whoever_wants_all_or_nothing_more_is_stopped_at_the_first(tmp_path: Path) -> None:
    """A demonstration on half of its manifests would show nothing."""

    async def question(client: Client) -> None:
        with pytest.raises(Invalid, match="service/bad was refused"):
            await apply_manifests(client, manifests(tmp_path, BAD, GOOD))

    with_client(question)


def test_kinds_may_be_defined_by_the_manifests_before_them(tmp_path: Path) -> None:
    """Definitions and their objects come in one file often enough."""

    async def question(client: Client) -> None:
        [without] = [outcome async for outcome in apply_each(client, manifests(tmp_path, STRANGE))]
        assert isinstance(without, Refused)
        assert "the cluster serves no Widget in strange.io/v1" in without.error.message

        applied = await apply_manifests(client, manifests(tmp_path, WIDGETS, STRANGE))
        assert [each.key for each in applied] == ["widgets.strange.io", "w"]

    with_client(question)
