"""`stratos estimate` as it is used: a command line and manifests in, prices and reasons out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stratos.cli.main import app
from stratos.cli.manifests import read_manifests
from stratos.planning.estimating.workloads import read_workload

EXAMPLES = Path(__file__).parents[2] / "examples" / "estimates"
AWS = ("--cloud", "aws")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def text_of(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def answer(*arguments: str | Path) -> list[dict[str, Any]]:
    clouds: list[dict[str, Any]] = json.loads(text_of(*arguments, "--json"))["clouds"]
    return clouds


@pytest.fixture
def manifest(tmp_path: Path) -> Any:
    """Writes a Deployment whose pods ask for so much."""

    def write(name: str = "web", *, replicas: int = 1, annotations: dict[str, str] | None = None, **asks: str) -> Path:
        requests = {name.replace("gpu", "nvidia.com/gpu"): amount for name, amount in asks.items()}
        pod = {"containers": [{"name": "main", "resources": {"requests": requests}}]}
        spec = {"replicas": replicas, "template": {"metadata": {"annotations": annotations or {}}, "spec": pod}}
        file = tmp_path / f"{name}.json"
        obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
        file.write_text(json.dumps(obj))
        return file

    return write


def only_group(cloud: dict[str, Any]) -> dict[str, Any]:
    ((group,),) = (workload["groups"] for workload in cloud["workloads"])
    assert isinstance(group, dict)
    return group


def test_without_a_cloud_all_four_answer_side_by_side() -> None:
    """The question is where it is cheapest; nobody should have to know region names to ask it."""
    text = text_of("-f", EXAMPLES)
    for place in ("aws us-west-2", "azure eastus", "gcp us-central1", "oci us-ashburn-1"):
        assert text.count(place) == 2  # its own table, and a line of the comparison
    assert "aws = 1" in text
    assert max(map(len, text.splitlines())) <= 100


def test_b52_one_service_has_the_published_price_on_three_clouds() -> None:
    """The same manifest against each cloud's list gives the answers that were published for it."""
    service = EXAMPLES / "ray-service.yaml"
    clouds = answer("-f", service, "--cloud", "aws", "--cloud", "gcp", "--cloud", "azure")
    chosen = {
        cloud["cloud"]: [(each["instance_type"], each["count"]) for each in cloud["workloads"][0]["groups"]]
        for cloud in clouds
    }
    assert chosen == {
        "aws": [("r5a.xlarge", 1), ("g6.8xlarge", 2)],
        "gcp": [("e2-highmem-4", 1), ("g2-standard-32", 2)],
        "azure": [("Standard_E4as_v5", 1), ("Standard_NV36ads_A10_v5", 2)],
    }
    assert [cloud["total_usd_per_hour"] for cloud in clouds] == pytest.approx([4.2548, 3.649552, 6.626], abs=1e-6)


def test_the_parts_of_a_workload_add_up_and_name_themselves() -> None:
    """Totals that do not add up are not believed."""
    (cloud,) = answer("-f", EXAMPLES, *AWS)
    names = [(each["name"], {group["part"] for group in each["groups"]}) for each in cloud["workloads"]]
    assert names == [("llm", {"head", "gpu"}), ("web", {""}), ("api", {""}), ("db", {""}), ("report", {""})]
    for workload in cloud["workloads"]:
        total = sum(group["total_usd_per_hour"] for group in workload["groups"])
        assert workload["total_usd_per_hour"] == pytest.approx(total, abs=1e-5)
    totals = sum(workload["total_usd_per_hour"] for workload in cloud["workloads"])
    assert cloud["total_usd_per_hour"] == pytest.approx(totals, abs=1e-5)
    assert cloud["total_usd_per_month"] == pytest.approx(730 * cloud["total_usd_per_hour"], abs=1e-2)


def test_runners_up_would_have_done_and_are_no_cheaper(manifest: Any) -> None:
    """They are the second choice if the first is out of stock, so they must be one."""
    group = only_group(answer("-f", manifest(cpu="2", memory="16Gi"), *AWS)[0])
    prices = [each["price_usd_per_hour"] for each in group["runners_up"]]
    assert len(prices) == 3
    assert prices == sorted(prices)
    assert prices[0] >= group["price_usd_per_hour"]
    assert all(each["reason"].endswith(("dearer", "costs the same")) for each in group["runners_up"])
    cheaper = group["too_small"]
    assert all(each["price_usd_per_hour"] <= group["price_usd_per_hour"] for each in cheaper)
    assert all(each["reason"].startswith("leaves ") for each in cheaper)


def test_small_pods_share_machines_and_each_workload_bears_its_share(manifest: Any) -> None:
    """Twenty small services on a machine each would be no estimate of anything."""
    web, api = manifest("web", replicas=3, cpu="500m", memory="1Gi"), manifest("api", cpu="500m", memory="1Gi")
    (cloud,) = answer(*("-f", web, "-f", api, *AWS, "--bin-packing-node-cpu", "4", "--bin-packing-node-memory", "8Gi"))
    groups = [group for workload in cloud["workloads"] for group in workload["groups"]]
    assert {group["instance_type"] for group in groups} == {"t3a.xlarge"}
    assert [group["count"] for group in groups] == [1, 1]
    assert [group["share"] for group in groups] == [0.75, 0.25]
    assert cloud["total_usd_per_hour"] == pytest.approx(groups[0]["price_usd_per_hour"])


def test_options_are_taken_as_luna_spells_them(manifest: Any) -> None:
    """Who has a configuration for it need not translate it."""
    file = manifest(replicas=2, cpu="500m", memory="1Gi")
    spellings = (
        ("--bin-packing-node-cpu", "8", "--option", "binPackingNodeMemory=32Gi"),
        ("--binPackingNodeCpu", "8", "--binPackingNodeMemory=32Gi"),
        ("--set", "binPackingNodeCpu=8", "--set", "binPackingNodeMemory=32Gi", "--set", "nodeTTL=1h"),
        ("--bin-packing-node-cpu=8", "--bin-packing-node-memory=32Gi", "--scaleDown.nodeUnneededDuration", "1m"),
    )
    chosen = {only_group(answer("-f", file, *AWS, *each)[0])["instance_type"] for each in spellings}
    assert chosen == {"t3a.2xlarge"}


def test_every_threshold_and_limit_of_luna_is_an_option_of_its_own(manifest: Any) -> None:
    """Each changes what it says it changes."""
    file = manifest(replicas=3, cpu="3", memory="1Gi")
    selected = only_group(answer("-f", file, *AWS)[0])
    shared = only_group(
        answer("-f", file, *AWS, "--bin-select-pod-cpu-threshold", "4", "--bin-packing-node-cpu", "16")[0]
    )
    assert (selected["strategy"], selected["count"]) == ("bin-selection", 3)
    assert (shared["strategy"], shared["count"]) == ("bin-packing", 1)
    spot = only_group(answer("-f", file, *AWS, "--pricing", "both", "--max-spot-price-ratio", "0.05")[0])
    assert spot["capacity_type"] == "on-demand"


def test_b36_time_slices_let_two_pods_share_one_gpu(manifest: Any) -> None:
    """As many GPUs as the pods ask for would be twice as many as they need."""
    file = manifest(replicas=2, cpu="1", memory="2G", gpu="1")
    shape = ("--binPackingNodeGPU", "2", "--set", "binSelectPodGPUThreshold=2", "--region", "us-east-1")
    whole = only_group(answer("-f", file, *AWS, *shape)[0])
    sliced = only_group(answer("-f", file, *AWS, *shape, "--gpu-time-slices", "2")[0])
    without_g3 = only_group(
        answer("-f", file, *AWS, *shape, "--set", "binPackingNodeTypeRegexp=^([^g]|g($|[^3])).*$")[0]
    )
    assert (whole["instance_type"], whole["count"]) == ("g3.8xlarge", 1)
    assert (without_g3["instance_type"], without_g3["count"]) == ("g4dn.12xlarge", 1)
    assert (sliced["instance_type"], sliced["count"]) == ("g4dn.xlarge", 1)


def test_a_region_belongs_to_the_cloud_before_it_and_a_zone_to_the_region(manifest: Any) -> None:
    """Comparing two zones of a region, or two regions of a cloud, is what one does next."""
    places = ("--cloud", "gcp", "--region", "us-central1", "--zone", "a", "--zone", "us-central1-f")
    clouds = answer("-f", manifest(cpu="2", memory="4Gi"), *places, "--cloud", "aws", "--region", "eu-west-1")
    assert [(each["cloud"], each["region"], each["zone"]) for each in clouds] == [
        ("gcp", "us-central1", "us-central1-a"),
        ("gcp", "us-central1", "us-central1-f"),
        ("aws", "eu-west-1", None),
    ]


def test_pricing_is_for_pods_that_do_not_say_it_themselves(manifest: Any) -> None:
    """An annotation is closer to the pod than an option is."""
    terms = {"node.elotl.co/instance-offerings": "on-demand"}
    plain, stating = manifest("plain", cpu="2", memory="4Gi"), manifest("stating", annotations=terms, cpu="2")
    (cloud,) = answer("-f", plain, "-f", stating, *AWS, "--pricing", "spot")
    assert [workload["groups"][0]["capacity_type"] for workload in cloud["workloads"]] == ["spot", "on-demand"]


def test_b15_spot_advice_sets_prices_and_keeps_off_what_is_interrupted_too_often(manifest: Any, tmp_path: Path) -> None:
    """Who brings the advisor's file trusts it more than ours."""
    advice = {"m5.large": {"s": 90, "r": 4}, "m6i.large": {"s": 85, "r": 0}}
    file = tmp_path / "advice.json"
    file.write_text(json.dumps({"spot_advisor": {"us-west-2": {"Linux": advice}}}))
    question = ("-f", manifest(cpu="1500m", memory="6Gi"), *AWS, "--pricing", "spot", "--spot-advisor", file)
    best = only_group(answer(*question)[0])
    calm = only_group(answer(*question, "--set", "aws.maxSpotInterruptBucket=3")[0])
    assert best["instance_type"] == "m5.large"
    assert best["price_usd_per_hour"] == pytest.approx(0.096 * 0.10)
    assert calm["instance_type"] == "m6i.large"


def test_what_runs_no_pods_is_left_out_with_a_word() -> None:
    """Silence would leave one wondering whether it was read."""
    assert "note: no pods in service/web" in text_of("-f", EXAMPLES / "shop.yaml", *AWS)


def test_the_examples_are_what_a_cluster_would_take() -> None:
    """They are for copying."""
    for manifest in read_manifests([EXAMPLES]):
        assert manifest.notes == (), manifest.source
        read_workload(manifest.obj)


def test_b14_the_spot_price_ratio_decides_the_order_of_candidates(manifest: Any) -> None:
    """At half the price all spot candidates come first; at nine tenths, the best one on demand comes second."""
    wishes = {"stratos.sh/instance-gpu-skus": "T4,P4,L4", "stratos.sh/instance-offerings": "spot,on-demand"}
    file = manifest(annotations=wishes, cpu="27", memory="27Gi", gpu="2")

    def order(ratio: str) -> list[tuple[str, str]]:
        group = only_group(answer("-f", file, "--cloud", "gcp", "--spot-price-ratio", ratio)[0])
        return [(each["instance_type"], each["capacity_type"]) for each in (group, *group["runners_up"][:2])]

    first, second, third = "n1-standard-32+2xT4", "n1-highmem-32+2xT4", "n1-standard-32+2xP4"
    assert order("0.5") == [(first, "spot"), (second, "spot"), (third, "spot")]
    assert order("0.9") == [(first, "spot"), (first, "on-demand"), (second, "spot")]


def test_b45_arm_is_chosen_where_it_is_cheaper_and_allowed(manifest: Any) -> None:
    """Only the user knows whether the images run there."""
    file = manifest(cpu="3", memory="4Gi")
    amd = only_group(answer("-f", file, *AWS)[0])
    either = only_group(answer("-f", file, *AWS, "--arch", "amd64,arm64")[0])
    assert either["price_usd_per_hour"] < amd["price_usd_per_hour"]
    assert either["instance_type"] == "a1.xlarge"
