"""Decisions that others published, with the prices of their day: `stratos estimate` must come to the same.

Each row of ``decisions.csv`` becomes a manifest and a command line. The type, the number of machines where the source
names it, and the price must come out of the shipped catalog; nothing here is told which type to prefer.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stratos.cli.main import app

ROWS = list(csv.DictReader((Path(__file__).parent / "decisions.csv").read_text().splitlines()))
NONE = "none"

# The rows with spot advice name these savings, and one half for everything else.
SAVINGS = {"r5a.xlarge": 62, "g6.8xlarge": 51, "g6.12xlarge": 51, "p4d.24xlarge": 56}


def a_deployment(row: dict[str, str]) -> dict[str, Any]:
    annotations = {
        "instance-offerings": row["offerings"].replace("|", ","),
        "instance-gpu-skus": row["gpu_skus"].replace("|", ","),
        "instance-max-gpus": row["max_gpus"],
        "instance-max-cost": row["max_cost"],
        "instance-type-regexp": row["regexp"],
    }
    requests = {"cpu": row["pod_cpu"], "memory": f"{row['pod_mem_mib']}Mi"}
    gpus = {"nvidia.com/gpu": row["pod_gpus"]} if row["pod_gpus"] != "0" else {}
    container = {"name": "main", "image": "x", "resources": {"requests": requests | gpus, "limits": gpus}}
    stated = {f"node.elotl.co/{name}": value for name, value in annotations.items() if value}
    return a_manifest(int(row["replicas"]), stated, container)


def a_manifest(replicas: int, annotations: dict[str, str], container: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "golden"},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}},
        },
    }


def the_question(row: dict[str, str], folder: Path) -> list[str]:
    """The command line of a row."""
    manifest, options = a_deployment(row), ["--cloud", row["cloud"], "--region", row["region"]]
    if row["zone"]:
        options += ["--zone", row["zone"]]
    if row["time_slices"] != "1":
        options += ["--gpu-time-slices", row["time_slices"]]
    if "spot = 0.50 x on-demand" in row["price_model"]:
        options += ["--spot-price-ratio", "0.5"]
    if "advisor fixture" in row["price_model"]:
        advice = {name: {"s": saving, "r": 0} for name, saving in SAVINGS.items()}
        file = folder / "advisor.json"
        file.write_text(json.dumps({"spot_advisor": {row["region"]: {"Linux": advice}}}))
        options += ["--spot-advisor", str(file)]
    if "nominal capacity" in row["price_model"]:  # the shape of a shared node, which is what the machine has in all
        options += ["--bin-packing-node-cpu", row["pod_cpu"], "--bin-packing-node-memory", f"{row['pod_mem_mib']}Mi"]
        manifest = a_manifest(1, {}, {"name": "main", "resources": {"requests": {"cpu": "100m"}}})
    file = folder / "manifest.json"
    file.write_text(json.dumps(manifest))
    return ["estimate", "-f", str(file), *options, "--json"]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_b09_b52_every_published_decision_is_reproduced(row: dict[str, str], tmp_path: Path) -> None:
    """Who moves here from the tool that made these decisions must not pay more, nor get other machines."""
    result = CliRunner().invoke(app, the_question(row, tmp_path))
    assert result.exception is None, result.exception
    (cloud,) = json.loads(result.stdout)["clouds"]
    ((group,),) = (workload["groups"] for workload in cloud["workloads"])

    *_, choice = row["document_choice"].split(" -> ")
    best, *others = choice.split(" > ")
    assert (group["instance_type"] or NONE) == best
    assert [each["instance_type"] for each in group["runners_up"]][: len(others)] == others
    if best != NONE:
        assert group["count"] == int(row["document_nodes"] or 1)
        assert group["price_usd_per_hour"] == pytest.approx(float(row["table_usd_hr"]), abs=1e-6)
