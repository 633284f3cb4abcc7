"""`stratos estimate` of warm pools: what it costs to have machines stand by, before there is any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stratos.catalog.disks import disk_usd_per_month
from stratos.cli.main import app

EXAMPLES = Path(__file__).parents[2] / "examples"

POOL = """
apiVersion: stratos.sh/v1alpha1
kind: NodePool
metadata: {name: ci}
spec:
  poolSize: 4
  minStandby: 3
  template: {nodeClassRef: {kind: AWSNodeClass, name: CLASS}, labels: {stratos.sh/pool: ci}}
"""
CLASS = """
apiVersion: stratos.sh/v1alpha1
kind: AWSNodeClass
metadata: {name: ci}
spec: {instanceType: TYPE, subnetIds: [subnet-1], securityGroupIds: [sg-1], role: node}
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def test_a_pool_is_priced_by_the_disks_that_wait_and_the_machines_that_run() -> None:
    """The founding CI pool: who adopts it must know the bill of an idle month."""
    result = run("-f", EXAMPLES / "ci-runners", "--cloud", "aws", "--json")

    (pool,) = json.loads(result.stdout)["clouds"][0]["pools"]
    assert (pool["instance_type"], pool["min_standby"], pool["pool_size"]) == ("m5.2xlarge", 5, 20)
    assert pool["disks"] == ["200 GiB gp3"]
    assert pool["standby_usd_per_month"] == 5 * 200 * 0.08
    assert pool["most_usd_per_hour"] == pytest.approx(20 * pool["price_usd_per_hour"])


def test_pools_alone_are_answered_without_a_table_of_pods(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL.replace("CLASS", "ci") + "---" + CLASS.replace("TYPE", "m5.large"))

    text = run("-f", file, "--cloud", "aws").stdout

    assert "nodepool/ci: 3 × m5.large stand by" in text
    assert "$4.80 a month for disks (20 GiB gp3 each" in text  # the root disk that nobody asked for
    assert "WORKLOAD" not in text


@pytest.mark.parametrize(
    ("name", "type_", "said"),
    [
        ("other", "m5.large", "AWSNodeClass other is not among the manifests"),
        ("ci", "m5.huge", "aws offers no instance type 'm5.huge' in us-west-2"),
    ],
)
def test_what_has_no_price_says_why(tmp_path: Path, name: str, type_: str, said: str) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL.replace("CLASS", name) + "---" + CLASS.replace("TYPE", type_))

    assert f"no price: {said}" in " ".join(run("-f", file, "--cloud", "aws").stdout.split())


def test_a_pool_asked_for_in_another_cloud_is_an_error_with_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL.replace("CLASS", "ci") + "---" + CLASS.replace("TYPE", "m5.large"))

    result = run("-f", file, "--cloud", "gcp")

    assert result.exception is not None
    assert "add --cloud aws" in str(getattr(result.exception, "hint", ""))


def test_a_pool_that_makes_no_sense_names_object_and_field(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL.replace("poolSize: 4", "poolSize: many"))

    result = run("-f", file, "--cloud", "aws")

    assert result.exception is not None
    assert "nodepool/ci" in str(result.exception)
    assert "poolSize" in str(result.exception)


def test_faster_disks_cost_what_is_beyond_the_free_share() -> None:
    """16,000 IOPS and 1,000 MiB/s on a 500 GiB gp3 disk more than triple its price."""
    assert disk_usd_per_month(500, "gp3") == 40
    assert disk_usd_per_month(500, "gp3", iops=16_000, throughput=1_000) == 40 + 13_000 * 0.005 + 875 * 0.04
