"""What the founding use case of CI runners gains, as `stratos demo` measures and shows it."""

from __future__ import annotations

import json

import pytest

from stratos.cli.demo import run_demo
from stratos.cli.demo.report import PUBLISHED_NODE_SECONDS


def test_a47_agents_on_warm_machines_run_long_before_cold_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Warm and cold are the same pods on the same simulated cloud, one with machines that stand by."""
    status = run_demo("ci", seed=1, as_json=True)

    shown = json.loads(capsys.readouterr().out)
    summary = shown["summary"]
    assert status == 0
    # The first agent is wanted before a machine stands by; the two pipelines after it find five machines each.
    assert [pod["path"] for pod in shown["pods"]] == ["cold"] + ["warm"] * 10
    assert summary["warm_p50_s"] <= summary["warm_p99_s"] <= 30
    assert summary["cold_p50_s"] >= 2 * summary["warm_p99_s"]
    assert summary["warm_p99_s"] < min(PUBLISHED_NODE_SECONDS.values())
    assert summary["unplaced_pods"] == 0
    assert summary["cost_usd"] > 0


def test_a47_the_table_sets_them_beside_what_others_publish(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row says whether it was measured here or is somebody's claim."""
    run_demo("ci", seed=1, as_json=False)

    shown = capsys.readouterr().out
    for row in ("warm, measured here", "cold launch, measured here", *PUBLISHED_NODE_SECONDS):
        assert row in shown
