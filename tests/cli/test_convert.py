"""Node templates of other tools: the same constraints, whichever way they were written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stratos.base.errors import Invalid, NotFound
from stratos.cli.convert.run import run_convert

HCL = """
resource "castai_node_template" "gpu" {
  cluster_id       = castai_eks_cluster.this.id
  name             = "gpu"
  configuration_id = castai_node_configuration.default.id
  should_taint     = true
  custom_labels    = { my_team = "ml" }
  rebalancing_config_min_nodes = 2

  custom_taints {
    key    = "gpu"
    value  = "yes"
    effect = "NoSchedule"
  }

  constraints {
    spot                          = true
    use_spot_fallbacks            = true
    fallback_restore_rate_seconds = 1800
    min_cpu                       = 4
    instance_families {
      exclude = ["p4d", "p3d", "p2"]
    }
    gpu {
      manufacturers = ["NVIDIA"]
    }
    custom_priority {
      instance_families = ["g5"]
      spot              = true
    }
  }
}
"""

FIELDS: dict[str, Any] = {
    "name": "gpu",
    "should_taint": True,
    "custom_labels": {"my_team": "ml"},
    "rebalancing_config_min_nodes": 2,
    "custom_taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
    "constraints": {
        "spot": True,
        "use_spot_fallbacks": True,
        "fallback_restore_rate_seconds": 1800,
        "min_cpu": 4,
        "instance_families": {"exclude": ["p4d", "p3d", "p2"]},
        "gpu": {"manufacturers": ["NVIDIA"]},
        "custom_priority": [{"instance_families": ["g5"], "spot": True}],
    },
}

OVER_THE_API = {
    "name": "gpu",
    "shouldTaint": True,
    "customLabels": {"my_team": "ml"},
    "rebalancingConfigMinNodes": 2,
    "customTaints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
    "constraints": {
        "spot": True,
        "useSpotFallbacks": True,
        "fallbackRestoreRateSeconds": 1800,
        "minCpu": 4,
        "instanceFamilies": {"exclude": ["p4d", "p3d", "p2"]},
        "gpu": {"manufacturers": ["NVIDIA"]},
        "customPriority": [{"instanceFamilies": ["g5"], "spot": True}],
    },
}

Convert = Callable[[str, str], list[Any]]


@pytest.fixture
def convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Convert:
    def run(name: str, text: str) -> list[Any]:
        file = tmp_path / name
        file.write_text(text)
        run_convert([file], "AWSNodeClass/gpu-nodes")
        return list(yaml.safe_load_all(capsys.readouterr().out))

    return run


def test_d22_the_same_template_comes_of_terraform_of_its_json_and_of_the_api(convert: Convert) -> None:
    """Whoever moves over brings what they have, in whichever form they have it."""
    resource = {"resource": {"castai_node_template": {"gpu": FIELDS}}}

    (of_hcl,) = convert("main.tf", HCL)
    (of_json,) = convert("main.tf.json", json.dumps(resource))
    (of_api,) = convert("answer.json", json.dumps({"items": [{"template": OVER_THE_API}]}))

    assert of_hcl == of_json == of_api
    assert of_hcl["metadata"] == {"name": "gpu"}
    assert of_hcl["spec"] == {
        "nodeClassRef": {"kind": "AWSNodeClass", "name": "gpu-nodes"},
        "shouldTaint": True,
        "customLabels": {"my_team": "ml"},
        "customTaints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
        "constraints": OVER_THE_API["constraints"],
        "disruption": {"minNodes": 2},
    }


def test_the_default_template_stays_the_default(convert: Convert) -> None:
    (template,) = convert("answer.json", json.dumps({"name": "default-by-castai"}))

    assert template["spec"]["isDefault"] is True


def test_what_belongs_to_the_tool_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "main.tf"
    file.write_text(HCL)

    run_convert([file], "AWSNodeClass/gpu-nodes")

    notes = capsys.readouterr().err
    assert "clusterId has no meaning here" in notes
    assert "machines are launched by AWSNodeClass/gpu-nodes instead" in notes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("main.tf", HCL.replace("= 4", "= var.cores"), "constraints.minCpu is an expression, ${var.cores}"),
        ("main.tf", HCL.replace("min_cpu ", "min_cpus "), "nothing here is like constraints.minCpus"),
        ("main.tf", HCL.replace("min_cpu ", "compute_optimized "), "compute_optimized_state"),
        ("main.tf", HCL + "}", "main.tf"),
        ("main.tf.json", json.dumps({"resource": {"castai_node_template": {"x": {"constraints": 3}}}}), "constraints"),
        ("answer.json", "[{}]", "entry 0 is not a node template"),
        ("answer.yaml", "a: 1", "is not JSON"),
    ],
)
def test_what_cannot_be_converted_is_named_with_its_place(name: str, text: str, said: str, convert: Convert) -> None:
    """A constraint dropped in silence would make nodes that nobody asked for."""
    with pytest.raises(Invalid) as caught:
        convert(name, text)

    assert said in caught.value.explain()
    assert name in caught.value.explain()


def test_a_file_without_templates_says_what_was_looked_for(convert: Convert) -> None:
    with pytest.raises(NotFound) as caught:
        convert("main.tf", 'resource "aws_instance" "one" {}')

    assert "castai_node_template" in caught.value.explain()
