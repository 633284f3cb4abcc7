"""Clusters and installations that cannot work as they are: what is said, and that the hint can be followed.

Other bad input has its own places: node classes in `providers/aws/test_bad_classes.py` and
`controllers/test_node_class_stories.py`, a webhook's certificate in `wiring/test_admission_over_tls.py`, a queue in
`providers/aws/test_aws_interruptions.py`, and the doorman's annotations in `doorman/test_doorman_stories.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stratos.base.errors import Invalid, NotFound
from stratos.cli.following import catalog_of, looking
from stratos.cli.install.install import apply_installation
from stratos.cli.install.uninstall import UninstallOptions, uninstall
from stratos.cli.install.values import read_values
from stratos.cli.pools import list_pools
from stratos.kube.client import Client
from stratos.wiring.clock import SystemClock
from stratos.wiring.installation import installation
from wiring.bare_cluster import bare_cluster
from wiring.controller_runs import controller

NO_REMOVAL = UninstallOptions(
    kubeconfig=None,
    force=False,
    delete_machines=False,
    delete_crds=False,
    webhook_config_prefix="",
    timeout="1s",
)


async def _look(client: Client) -> None:
    async with looking(client, SystemClock(), "aws/us-east-1"):
        raise AssertionError("there is nothing to look at")


@pytest.mark.parametrize("ask", [list_pools, catalog_of, _look])
def test_commands_say_how_to_install_stratos_where_it_is_not(
    tmp_path: Path, ask: Callable[[Client], Awaitable[object]]
) -> None:
    """ "The server could not find the requested resource" makes people look for a broken server."""

    async def story() -> str:
        async with bare_cluster(tmp_path) as cluster:
            with pytest.raises(NotFound, match="knows no NodePools") as told:
                await ask(cluster.admin)
            return told.value.hint or ""

    assert "stratos install" in asyncio.run(story())


def test_taking_off_what_is_not_there_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Silence would leave open whether it was the right cluster."""

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster:
            await uninstall(cluster.admin, NO_REMOVAL)

    asyncio.run(story())
    assert capsys.readouterr().out == "nothing of an installation is there\n"


def test_controllers_without_rights_end_at_once_with_the_right_that_is_missing(tmp_path: Path) -> None:
    """Each loop alone would try for ever, and the pods would wait."""

    values = read_values([], ("clusterName=prod",), create_namespace=True)

    async def story() -> tuple[int, str]:
        async with bare_cluster(tmp_path) as cluster:
            await apply_installation(cluster.admin, installation(values))
            async with controller(cluster.kubeconfig("nobody", ())) as run:
                return await run.wait_ended(), "".join(run.log)

    code, said = asyncio.run(story())
    assert code == 1
    assert 'User "nobody" cannot list resource "nodepools"' in said
    assert "hint: a Role or ClusterRole grants that" in said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("clusterName: [prod", "line 1, column 14"),
        ("- clusterName\n", "holds no values"),
        ("clusterName: prod\nreplicas: 2\n", "there is no value replicas"),
        ("clusterName: prod\nwebhook: true\n", "value webhook: expected"),
        ("clusterName: prod/eu\n", "is no name for a cluster"),
        ("clusterName: prod\nsyncPeriod: 30\n", "value syncPeriod: expected"),
    ],
)
def test_a_file_of_values_that_makes_no_sense_is_told_where(tmp_path: Path, text: str, complaint: str) -> None:
    """Found when it is read, and not by a pod that does not come up."""
    file = tmp_path / "values.yaml"
    file.write_text(text)

    with pytest.raises(Invalid, match=complaint):
        read_values([file], (), create_namespace=True)


def test_a_value_of_a_few_words_is_told_which_there_are() -> None:
    """A hint can be followed."""
    with pytest.raises(Invalid) as told:
        read_values([], ("clusterName=prod", "cloudProvider=azure"), create_namespace=True)
    assert told.value.hint == "choose one of aws, fake"
