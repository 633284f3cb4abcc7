"""A cluster kept in a folder: what it is started again with must be what it was stopped with, or a clear refusal."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from stratos.apis.namespace import NAMESPACE
from stratos.base.errors import Conflict, NotFound, StratosError
from stratos.cli.connect import connected
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.wiring.clock import HurriedLoop
from stratos.wiring.kept import kept_cluster

SPEED = 50.0


def hurried_loop() -> asyncio.AbstractEventLoop:
    return HurriedLoop(SPEED)


def test_objects_certificates_and_time_go_on_where_they_stopped(tmp_path: Path) -> None:
    """A kubeconfig that was handed out stays good, and no object comes from the future."""

    async def first() -> tuple[datetime, str]:
        async with kept_cluster(tmp_path, port=0, speed=SPEED) as kept:
            await kept.cluster.admin.create(NAMESPACE, {"metadata": {"name": "team"}})
            await asyncio.sleep(20)
            return kept.clock.now(), kept.kubeconfig.read_text()

    async def second() -> tuple[datetime, str, str]:
        async with kept_cluster(tmp_path, port=0, speed=SPEED) as kept, connected(kept.kubeconfig) as client:
            found = await client.get(NAMESPACE, "team")
            return kept.clock.now(), kept.kubeconfig.read_text(), found.metadata.name

    with asyncio.Runner(loop_factory=hurried_loop) as runner:
        stopped_at, handed_out = runner.run(first())
        started_at, written_anew, found = runner.run(second())

    assert started_at >= stopped_at
    assert found == "team"
    certificates = [line for line in handed_out.splitlines() if "-data:" in line]
    assert certificates and all(line in written_anew for line in certificates)


def test_a_folder_is_held_by_one_cluster_at_a_time(tmp_path: Path) -> None:
    """Two would write over each other's machines."""

    async def twice() -> None:
        async with kept_cluster(tmp_path, port=0):
            with pytest.raises(Conflict, match="is in use by another stratos up, process"):
                async with kept_cluster(tmp_path, port=0):
                    pass
        async with kept_cluster(tmp_path, port=0):
            pass  # let go of, it can be taken again

    asyncio.run(twice())


def _no_database(folder: Path) -> None:
    (folder / "state.db").write_text("this is no database " * 100)


def _no_time(folder: Path) -> None:
    (folder / "clock").write_text("yesterday")


def _no_cloud(folder: Path) -> None:
    (folder / "cloud.json").write_text("[}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_database, "state.db cannot be used"),
        (_no_time, "clock does not hold a time"),
        (_no_cloud, "the saved cloud cannot be read"),
    ],
)
def test_a_spoilt_folder_is_refused_with_the_file_named(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    """Going on from half of what there was would launch everything again."""
    spoil(tmp_path)

    assert said in refusal(tmp_path).message


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A typing error in --data-dir ends in a sentence, not in a traceback."""
    file = tmp_path / "file"
    file.write_text("")

    assert "cannot keep a cluster in" in refusal(file).message


def refusal(folder: Path) -> StratosError:
    async def start() -> None:
        async with kept_cluster(folder, port=0):
            pass

    with pytest.raises(StratosError) as caught:
        asyncio.run(start())
    return caught.value


def test_a_folder_keeps_to_the_catalog_it_began_with(tmp_path: Path) -> None:
    """Its machines are of those types: under another one nobody would know what they cost, or how large they are."""

    async def thrice() -> str:
        async with kept_cluster(tmp_path, port=0, catalog="gcp/us-central1"):
            pass
        with pytest.raises(Conflict, match="sells gcp/us-central1, not aws/us-east-1"):
            async with kept_cluster(tmp_path, port=0, catalog="aws/us-east-1"):
                pass
        async with kept_cluster(tmp_path, port=0) as kept:
            return kept.cluster.cloud.catalog.region

    assert asyncio.run(thrice()) == "us-central1"


def test_a_catalog_that_is_not_shipped_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    """A slip of the pen must not decide about the folder."""

    async def start() -> None:
        with pytest.raises(NotFound, match="no catalog of 'acme'"):
            async with kept_cluster(tmp_path, port=0, catalog="acme/moon"):
                pass

    asyncio.run(start())
    assert not (tmp_path / "catalog").exists()


def test_limits_of_the_whole_cluster_reach_whoever_plans(tmp_path: Path) -> None:
    """A budget that is given at the start and forgotten on the way would be found on the bill."""

    async def limits() -> ClusterLimits:
        async with kept_cluster(tmp_path, port=0, limits=ClusterLimits(cost_usd_per_hour=5, gpus=8)) as kept:
            return kept.cluster.options.provisioning.limits

    assert asyncio.run(limits()) == ClusterLimits(cost_usd_per_hour=5, gpus=8)
