"""`stratos explain` on a whole cluster in virtual time: what it tells must be what happened there."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stratos.apis.node import NODE
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import NotFound
from stratos.base.ids import SeededIds
from stratos.cli.applying import apply_manifests
from stratos.cli.explain import explain
from stratos.cli.explaining.story import Story
from stratos.cli.manifests import read_manifests
from stratos.kube.client import Client
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.cluster import Cluster

POOL = Path(__file__).parents[2] / "examples" / "ci-runners" / "pool.yaml"
PREPARING_SECONDS = 900.0


def in_prepared_cluster(play: Callable[[Client, Callable[[str], Awaitable[Story]]], Awaitable[None]]) -> None:
    """Run ``play`` once the pool has all its standby machines; it is given a client and a way to ask for stories."""

    async def main() -> None:
        clock = VirtualClock()
        cluster = Cluster(open_memory(), clock=clock, ids=SeededIds(random.Random(1)), rng=random.Random(1))

        async def ask(what: str) -> Story:
            kind, _, name = what.partition("/")
            return await explain(cluster.admin, clock, kind, name, "default")

        async with cluster.running():
            await apply_manifests(cluster.admin, read_manifests([POOL]))
            await asyncio.sleep(PREPARING_SECONDS)
            await play(cluster.admin, ask)

    run(main())


async def create_pod(client: Client, name: str, *, cpu: str = "1", disk: str = "", command: Sequence[str] = ()) -> None:
    """For the pool; with a ``command`` it ends when that does."""
    container: dict[str, Any] = {"name": "main", "image": "agent", "resources": {"requests": {"cpu": cpu}}}
    if command:
        container["command"] = list(command)
    selector = {"stratos.sh/pool": "ci-runners", **({"disk": disk} if disk else {})}
    spec = {
        "nodeSelector": selector,
        "containers": [container],
        "restartPolicy": "Never" if command else "Always",
    }
    await client.create(POD, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


def stages(story: Story) -> list[str]:
    return [step.stage for step in story.steps]


def test_a_pod_that_woke_a_machine_tells_each_stage_on_the_way() -> None:
    """This is the promise of a warm pool, and where its seconds went."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "job")
        await asyncio.sleep(120)
        story = await ask("pod/job")

        expected = ["created", "unschedulable", "decided", "started", "node-ready", "bound", "running"]
        assert [stage for stage in stages(story) if stage in expected] == expected
        assert story.facts["path"] == "warm"
        assert 10 < float(story.facts["pending_seconds"] or 0) < 60
        assert any(reason.startswith("ScaleUp: ") for reason in story.reasons)
        seconds = [step["seconds"] for step in story.to_json()["steps"]]
        assert sum(seconds) == pytest.approx(float(story.facts["pending_seconds"] or 0), abs=2.5)

    in_prepared_cluster(play)


def test_a_pod_that_found_room_says_that_no_machine_was_started_for_it() -> None:
    """Or its reader would look for a cause that is not there."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "first")
        await asyncio.sleep(120)
        await create_pod(client, "second")
        await asyncio.sleep(60)
        story = await ask("pod/second")

        assert story.facts["path"] == "running"
        assert "unschedulable" not in stages(story)
        assert "no machine was brought into service for this pod" in story.to_text()

    in_prepared_cluster(play)


def test_a_pod_that_has_ended_says_when_and_how() -> None:
    """The story of a job is told most often when it is over."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "job", command=["sleep", "60"])
        await asyncio.sleep(300)
        story = await ask("pod/job")

        assert "ended (Succeeded)" in story.headline
        assert story.facts["path"] == "warm"
        assert stages(story)[-1] == "ended"

    in_prepared_cluster(play)


def test_a_pod_that_no_pool_can_serve_gets_a_hint_that_can_be_followed() -> None:
    """The hint is put to the test: once the label is on the pool, the same pod runs."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "lost", disk="ssd")
        await asyncio.sleep(30)
        before = await ask("pod/lost")
        assert "no pool can serve it" in before.headline
        assert before.rejected == ("pool ci-runners: the pod selects disk=ssd, its nodes carry no label disk",)
        assert before.hint.startswith("add disk=ssd to the pool's spec.template.labels")

        await client.patch(NODE_POOL, "ci-runners", {"spec": {"template": {"labels": {"disk": "ssd"}}}})
        await asyncio.sleep(300)
        after = await ask("pod/lost")
        assert "runs on" in after.headline

    in_prepared_cluster(play)


def test_a_pool_says_what_it_has_what_it_decided_and_for_whom_it_does_not_act() -> None:
    """Who asks after a pool wants to know whether it, or something else, is to blame."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "big", cpu="20")
        await asyncio.sleep(30)
        story = await ask("nodepool/ci-runners")

        assert story.facts["standby"] == 5
        assert story.facts["usd_per_hour"] == 0
        assert any("Replenish" in step.text for step in story.steps)
        assert [line for line in story.rejected if "default/big" in line and "20 cpu" in line]
        assert story.hint.startswith("for default/big: ask for less cpu")

    in_prepared_cluster(play)


def test_a_node_in_use_says_what_runs_there_and_what_would_park_it() -> None:
    """Each running machine costs money: its reason to run, and the end of it, must be findable."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "job")
        await asyncio.sleep(120)
        node = (await client.get(POD, "default/job")).spec.node_name
        busy = await ask(f"node/{node}")
        assert busy.facts["running"] == "default/job"
        assert any("once it has been empty for 10m" in reason for reason in busy.reasons)

        await client.delete(POD, "default/job")
        await asyncio.sleep(120)
        idle = await ask(f"node/{node}")
        assert any("returns to standby at" in reason for reason in idle.reasons)
        assert "empty" in stages(idle)

        await asyncio.sleep(900)
        parked = await ask(f"node/{node}")
        assert "standing by, stopped" in parked.headline
        assert any("ScaleDown" in reason for reason in parked.reasons)

    in_prepared_cluster(play)


def test_a_node_of_nobody_is_said_to_be_left_alone() -> None:
    """Stratos shares clusters with nodes it did not make."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await client.create(NODE, {"metadata": {"name": "bare-metal"}})
        await asyncio.sleep(1)

        assert "belongs to no NodePool" in (await ask("node/bare-metal")).headline

    in_prepared_cluster(play)


def test_unknown_names_are_answered_with_close_ones() -> None:
    """Names of pods and machines end in letters that nobody remembers."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await create_pod(client, "nightly-build")
        for what, close in (("pod/nigthly-build", "nightly-build"), ("nodepool/ci-runner", "ci-runners")):
            with pytest.raises(NotFound) as caught:
                await ask(what)
            assert f"close names: {close}" in caught.value.explain()

    in_prepared_cluster(play)


def test_a_pod_of_another_namespace_is_pointed_to() -> None:
    """To forget -n is the commonest slip."""

    async def play(client: Client, ask: Callable[[str], Awaitable[Story]]) -> None:
        await client.create(
            POD,
            {
                "metadata": {"name": "agent", "namespace": "kube-system"},
                "spec": {"containers": [{"name": "main", "image": "agent"}]},
            },
        )
        with pytest.raises(NotFound) as caught:
            await ask("pod/agent")

        assert caught.value.hint == "stratos explain pod/agent -n kube-system"

    in_prepared_cluster(play)
