"""`stratos bench packing`: the sets are what they say, one's own files are checked, and no rate stands alone."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratos.base.errors import Invalid
from stratos.cli.bench.files import read_set
from stratos.cli.bench.packing import run_packing
from stratos.cli.bench.sets import SETS, field_candidates, field_set
from stratos.planning.scheduling.requirements import requirements_of

POD = {"name": "web", "cpu": "500m", "mem_mib": 512}
TYPE = {
    "name": "small",
    "vcpu": 2,
    "mem_gib": 4,
    "pods": 20,
    "arch": "amd64",
    "os": "linux",
    "price_on_demand": 0.1,
    "price_spot": 0.04,
    "zones": ["a", "b"],
}

WriteSet = Callable[..., tuple[Path, Path]]


@pytest.fixture
def write_set(tmp_path: Path) -> WriteSet:
    def write(pods: object, types: object) -> tuple[Path, Path]:
        files = tmp_path / "pods.json", tmp_path / "types.json"
        for file, content in zip(files, (pods, types), strict=True):
            file.write_text(content if isinstance(content, str) else json.dumps(content))
        return files

    return write


def run_files(
    files: tuple[Path | None, Path | None], capsys: pytest.CaptureFixture[str], *zones: str, pricing: str = "on-demand"
) -> Any:
    run_packing(None, None, None, 1, 42, files=files, zones=zones, pricing=pricing, print_json=True)
    return json.loads(capsys.readouterr().out)


def test_a_set_of_ones_own_is_packed_and_said_in_full(write_set: WriteSet, capsys: pytest.CaptureFixture[str]) -> None:
    """Two cores less the overhead hold three such pods: seven need three machines."""
    pods = [{**POD, "name": f"web-{index}"} for index in range(7)]
    files = write_set(pods, {"overhead": {"cpu": "200m", "mem_mib": 100}, "types": [TYPE]})

    said = run_files(files, capsys)

    seconds = said.pop("seconds")
    assert seconds > 0
    assert said.pop("lower_bound_usd_per_hour") <= 0.3
    assert said.pop("gap") >= 0
    assert said == {"pods": 7, "unplaced": 0, "nodes": 3, "cost_usd_per_hour": 0.3, "by_type": {"small": 3}}


def test_terms_zones_and_selectors_of_a_set_are_kept(write_set: WriteSet, capsys: pytest.CaptureFixture[str]) -> None:
    """A pod for a zone that no type is sold in has no place; with both terms spot is the cheaper."""
    pods = [{**POD, "name": "here", "zone": "a"}, {**POD, "name": "nowhere", "zone": "c"}, {**POD, "arch": "arm64"}]
    files = write_set(pods, {"types": [TYPE]})

    said = run_files(files, capsys, pricing="both")
    elsewhere = run_files(files, capsys, "b,c", pricing="both")

    assert (said["unplaced"], said["nodes"], said["cost_usd_per_hour"]) == (2, 1, 0.04)
    assert (elsewhere["unplaced"], elsewhere["nodes"]) == (3, 0)


def test_gpus_and_their_models_are_matched(write_set: WriteSet, capsys: pytest.CaptureFixture[str]) -> None:
    gpu = {**TYPE, "name": "gpu", "price_on_demand": 1.0, "gpu": 1, "gpu_sku": "L4"}
    pods = [{**POD, "name": "train", "gpu": 1, "gpu_skus": ["L4", "A10G"]}, {**POD, "gpu": 1, "gpu_skus": ["H100"]}]

    said = run_files(write_set(pods, {"types": [TYPE, gpu]}), capsys)

    assert (said["by_type"], said["unplaced"]) == ({"gpu": 1}, 1)


@pytest.mark.parametrize(
    ("pods", "types", "said"),
    [
        ([POD, POD], {"types": [TYPE]}, "entry 1: the name 'web' is taken"),
        ([{**POD, "cpu": "two"}], {"types": [TYPE]}, "pods.json: [0]: cpu"),
        ([{**POD, "cpu": -1}], {"types": [TYPE]}, "less than nothing"),
        ([{**POD, "gpus": 1}], {"types": [TYPE]}, "gpus"),
        ([POD], {"types": [{**TYPE, "price_on_demand": -0.1}]}, "types.json: types[0]: the on-demand price of small"),
        ([POD], {"types": [{"name": "nameless"}]}, "types.json"),
        ("not json", {"types": [TYPE]}, "pods.json"),
    ],
)
def test_a_slip_in_a_file_is_named_with_its_place(pods: object, types: object, said: str, write_set: WriteSet) -> None:
    """Thousands of rows are no fun to search."""
    with pytest.raises(Invalid) as caught:
        read_set(*write_set(pods, types), (), "on-demand")

    assert said in caught.value.explain()


def test_one_file_alone_is_no_set(write_set: WriteSet, capsys: pytest.CaptureFixture[str]) -> None:
    pods, _ = write_set([POD], {"types": [TYPE]})

    with pytest.raises(Invalid, match="--types-file is missing"):
        run_files((pods, None), capsys)


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_set_is_the_same_each_time_and_each_rate_has_its_cost(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are compared over months and machines: what was packed must not have changed."""
    first, again = (SETS[name](40, random.Random(7)) for _ in range(2))
    run_packing(name, 40, "fast", 1, 7, files=(None, None), zones=(), pricing="on-demand", print_json=True)
    (row,) = json.loads(capsys.readouterr().out)["results"]

    assert first == again
    assert row["pods"] == 40 and row["pods_per_second"] > 0
    assert {"unplaced", "nodes", "cost_usd_per_hour", "lower_bound_usd_per_hour", "gap", "bound"} <= row.keys()


def test_the_fields_set_has_its_five_kinds_in_equal_parts() -> None:
    """A fifth each: plain, spread over zones, spread over hosts, together in a zone, alone on a host."""
    asks = [requirements_of(pod) for pod in field_set(1000, random.Random(42)).pods]

    assert sum(bool(each.spread) for each in asks) == 400
    assert sum(bool(each.affinity) for each in asks) == 200
    assert sum(bool(each.anti_affinity) for each in asks) == 200
    assert len({each.offering.instance_type for each in field_candidates()}) == 400


def test_a_longer_search_of_the_same_set_is_not_dearer(capsys: pytest.CaptureFixture[str]) -> None:
    """Who gives the search longer wants to pay less, and must be able to compare."""

    def cost(allowance_seconds: float) -> float:
        run_packing(
            "distinct",
            300,
            "best",
            1,
            42,
            files=(None, None),
            zones=(),
            pricing="on-demand",
            print_json=True,
            allowance_seconds=allowance_seconds,
        )
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert result["unplaced"] == 0
        return float(result["cost_usd_per_hour"])

    assert cost(1.0) <= cost(0.1)
