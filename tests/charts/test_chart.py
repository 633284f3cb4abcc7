"""The Helm chart is made from the functions that `stratos install` uses, and says the same for the same values."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from charts.helm_subset import HelmFailure, render_chart
from stratos.cli.install.values import read_values
from stratos.wiring.installation import installation

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "stratos"
EVERYTHING: Mapping[str, Any] = {
    "clusterName": "production",
    "region": "eu-central-1",
    "replicaCount": 3,
    "clusterGPULimit": 0,
    "clusterCostLimit": 12.5,
    "image": {"tag": "9.9"},
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"name": "warm", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}},
    "extraEnv": [{"name": "AWS_ENDPOINT_URL", "value": "http://moto"}],
    "extraArgs": ["--log-level=debug"],
    "metricsBindAddress": "127.0.0.1:9999",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "critical", "operator": "Exists"}],
    "affinity": {"nodeAffinity": None},
    "priorityClassName": "",
    "webhook": {"configPrefix": "zz-"},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "agent": {"enabled": True},
    "doorman": {"enabled": True, "replicaCount": 5},
    "cloudProvider": "fake",
    "luna": {"enabled": True, "nodeTTL": "168h", "binPackingNodeCpu": "8", "aws": {"maxSpotPriceRatio": 0.7}},
}


def installed(tmp_path: Path, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `stratos install` applies, with the same values, without the kinds."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    objects = installation(read_values([file], [], create_namespace=False))
    return [obj for obj in objects if obj["kind"] != "CustomResourceDefinition"]


def comparable(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """By kind and name; settings are read, and their checksum, which depends on how they are written, is left out."""
    found = {}
    for obj in copy.deepcopy(objects):
        if obj["kind"] == "ConfigMap" and "config.yaml" in obj["data"]:
            obj["data"]["config.yaml"] = yaml.safe_load(obj["data"]["config.yaml"])
        if obj["kind"] == "Deployment":
            obj["spec"]["template"]["metadata"].get("annotations", {}).pop("checksum/config", None)
        found[obj["kind"], obj["metadata"]["name"]] = msgspec.json.decode(msgspec.json.encode(obj))
    return found


def test_the_chart_is_what_the_code_says() -> None:
    """A chart that is changed by hand differs from what `stratos install` does, and nobody knows which is right."""
    check = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_chart.py", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("values", [{"clusterName": "production"}, EVERYTHING], ids=["defaults", "everything"])
def test_helm_and_stratos_install_make_the_same_objects(values: Mapping[str, Any], tmp_path: Path) -> None:
    """Two ways to the same installation: what holds for the one has been tested for the other."""
    rendered = comparable(render_chart(CHART, values, namespace="stratos-system"))

    assert rendered == comparable(installed(tmp_path, values))


def test_a_chart_without_a_cluster_name_is_not_rendered() -> None:
    """Two clusters of the same name in one account would end each other's machines."""
    with pytest.raises(HelmFailure, match="set clusterName"):
        render_chart(CHART, {}, namespace="stratos-system")


def test_a_chart_in_another_namespace_is_not_rendered() -> None:
    """The names of the webhook's service and of its certificates are known to others."""
    with pytest.raises(HelmFailure, match="--namespace stratos-system"):
        render_chart(CHART, {"clusterName": "x"}, namespace="default")


def test_the_schema_of_the_values_knows_every_value() -> None:
    """Helm refuses values that the schema does not name: one that is missing there could not be set at all."""
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def check(section: Mapping[str, Any], shape: Mapping[str, Any]) -> None:
        shape = schema["$defs"][shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
        for name, value in section.items():
            described = shape["properties"][name]
            inner = next((each for each in (described, *described.get("anyOf", ())) if "$ref" in each), None)
            if inner is not None:
                check(value, inner)

    check(values, schema)
    assert schema["$defs"]["Values"]["additionalProperties"] is False
