"""Manifests of all four generations are in use; nobody should have to rewrite one to try Stratos."""

from pathlib import Path

import msgspec
import pytest
import yaml

from stratos.apis.nodepool import NodePool

GENERATIONS = Path(__file__).parent / "generations"


def load(generation: str) -> NodePool:
    return msgspec.convert(yaml.safe_load((GENERATIONS / f"{generation}.yaml").read_text()), NodePool)


@pytest.mark.parametrize("generation", ["g0", "g1", "g2", "g3"])
def test_a46_every_generation_loads_into_the_one_model(generation: str) -> None:
    spec = load(generation).spec

    assert (spec.pool_size, spec.min_standby) == (4, 2)
    assert spec.template.labels == {"stratos.sh/pool": "builders"}
    assert (spec.pre_warm.timeout, spec.pre_warm.timeout_action) == ("12m", "terminate")
    assert (spec.scale_down.enabled, spec.scale_down.empty_node_ttl) == (True, "5m")


def test_a46_g0_keeps_its_inline_settings() -> None:
    template = load("g0").spec.template
    assert template.node_class_ref is None
    assert template.aws is not None
    assert template.aws["instanceType"] == "m5.large"


def test_a46_g1_keeps_its_startup_taints_and_completion_mode() -> None:
    spec = load("g1").spec
    assert [taint.key for taint in spec.template.startup_taints] == ["example.com/agent-not-ready"]
    assert spec.template.startup_taint_removal == "External"
    assert spec.pre_warm.completion_mode == "SelfStop"


def test_a46_g2_images_to_pull_are_g3_images() -> None:
    assert (
        load("g2").spec.pre_warm.all_images == load("g3").spec.pre_warm.all_images == ("registry.example.com/agent:1",)
    )
    spot = load("g2").spec.spot_replacement
    assert spot is not None
    assert (spot.enabled, spot.replacement_delay) == (True, "3m")
