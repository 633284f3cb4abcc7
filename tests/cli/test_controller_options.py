"""The options of `stratos controller`: from flags, the environment and a file, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stratos.base.errors import Invalid
from stratos.cli.controller import run
from stratos.cli.controller.run import RunOptions, process_options
from stratos.cli.main import app
from stratos.kube.kubeconfig import ClusterAccess
from stratos.wiring.installation import Values
from stratos.wiring.installation.controller import config
from stratos.wiring.installation.values import WebhookValues
from stratos.wiring.probes import parse_address

ACCESS = ClusterAccess("https://api.example.com", namespace="stratos-system")


class Options:
    """What the command would run with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._read: list[RunOptions] = []
        monkeypatch.setattr(run, "run_controller", self._read.append)

    def of(self, *arguments: str, env: Mapping[str, str] | None = None) -> RunOptions:
        result = CliRunner().invoke(app, ["controller", *arguments], env=dict(env or {}), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return self._read.pop()


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Options:
    return Options(monkeypatch)


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_file(options: Options, tmp_path: Path) -> None:
    """Files are for all replicas, the environment for a pod, flags for whoever tries something out."""
    config = tmp_path / "config.yaml"
    config.write_text("clusterName: of-the-file\nregion: eu-west-1\nsyncPeriod: 45s\nclusterGPULimit: 4\n")
    environment = {"STRATOS_REGION": "us-west-2", "STRATOS_SYNC_PERIOD": "50s"}

    read = options.of("--config", str(config), "--sync-period=55s", env=environment)

    assert (read.cluster.name, read.region, read.sync_period) == ("of-the-file", "us-west-2", "55s")
    assert read.cluster_gpu_limit == 4


def test_the_names_of_older_environments_are_understood(options: Options) -> None:
    """Deployments of others are taken over as they are."""
    read = options.of(
        env={"CLUSTER_NAME": "old", "STRATOS_AWS_RATE_LIMIT_QPS": "7.5", "STRATOS_AWS_RATE_LIMIT_BURST": "9.0"}
    )

    assert (read.cluster.name, read.qps, read.burst) == ("old", 7.5, 9.0)


def test_documented_defaults_hold(options: Options) -> None:
    """Who leaves something out relies on the documentation."""
    read = options.of()

    assert (read.cluster.name, read.cloud_provider, read.sync_period) == ("default", "aws", "30s")
    assert (read.metrics_bind_address, read.health_probe_bind_address) == (":8080", ":8081")
    assert (read.graceful_shutdown_timeout, read.election) == ("30s", None)


def test_the_settings_of_an_installation_are_options(options: Options, tmp_path: Path) -> None:
    """The pods would not start otherwise, and nobody would have seen it before."""
    values = Values(
        cluster_name="production",
        region="eu-west-1",
        cluster_endpoint="https://private",
        cluster_ca="Y2E=",
        cluster_cidr="10.0.0.0/16",
        interruption_queue="stratos-production",
        standby_node="Remove",
        cluster_cost_limit=12.5,
        cluster_gpu_limit=0,
        webhook=WebhookValues(config_prefix="zz-"),
    )
    file = tmp_path / "config.yaml"
    file.write_text(config(values))

    read = options.of("--config", str(file))

    assert (read.cluster.name, read.cluster.endpoint, read.cluster.service_cidr) == (
        "production",
        "https://private",
        "10.0.0.0/16",
    )
    assert (read.cluster_cost_limit, read.cluster_gpu_limit) == (12.5, 0)
    assert (read.standby_node, read.webhook_config_prefix, read.log_format) == ("Remove", "zz-", "json")
    assert read.election is not None
    assert process_options(read, ACCESS).webhook is not None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("clusterNaem: x", "there is no option 'clusterNaem'"),
        ("- clusterName", "is no configuration"),
        ("a: [", "cannot read the configuration"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(options: Options, tmp_path: Path, content: str, complaint: str) -> None:
    """An option that is skipped in silence is found months later."""
    config = tmp_path / "config.yaml"
    config.write_text(content)

    with pytest.raises(Invalid, match=complaint):
        options.of("--config", str(config))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--sync-period=soon",), "--sync-period: 'soon' is not a duration"),
        (("--sync-period=0s",), "--sync-period: '0s' is not above zero"),
        (("--cluster-name=",), "--cluster-name is not set"),
        (("--leader-elect", "--leader-elect-renew-deadline=15s"), "is not safe"),
        (("--leader-elect", "--leader-elect-lease-duration=1500ms"), "is not safe"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(
    options: Options, arguments: tuple[str, ...], complaint: str
) -> None:
    """The second chance to see it is an incident."""
    read = options.of(*arguments)

    with pytest.raises(Invalid, match=complaint):
        process_options(read, ACCESS)


def test_replicas_meet_where_they_run(options: Options) -> None:
    """Two namespaces would have two leaders."""
    election = process_options(options.of("--leader-elect"), ACCESS).election

    assert election is not None
    assert election.namespace == "stratos-system"
    assert election.times.renew_deadline_seconds < election.times.duration_seconds


@pytest.mark.parametrize(
    ("text", "address"), [(":8080", (None, 8080)), ("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:9", ("::1", 9))]
)
def test_addresses_are_read_as_they_are_written_everywhere(text: str, address: tuple[Any, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["8080", ":http", ":70000", ""])
def test_an_address_without_a_port_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not an address to listen on"):
        parse_address(text)
