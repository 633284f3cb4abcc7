"""Questions that have no answer: each is told where it went wrong, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stratos.base.errors import StratosError
from stratos.cli.main import app

HERE = ("--cloud", "aws")


def a_file(tmp_path: Path, *, annotations: dict[str, str] | None = None, spec: dict[str, Any] | None = None) -> Path:
    pod = {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}], **(spec or {})}
    template = {"metadata": {"annotations": annotations or {}}, "spec": pod}
    file = tmp_path / "job.json"
    file.write_text(
        json.dumps(
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "it"}, "spec": {"template": template}}
        )
    )
    return file


def refusal(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["estimate", *map(str, arguments)])
    assert isinstance(result.exception, StratosError), result.output
    return result.exception.explain()


def reason(*arguments: str | Path) -> str:
    """Why nothing fits: an answer, not an error."""
    result = CliRunner().invoke(app, ["estimate", *map(str, arguments), "--json"])
    assert result.exception is None, result.exception
    group = json.loads(result.stdout)["clouds"][0]["workloads"][0]["groups"][0]
    assert group["instance_type"] is None
    assert group["total_usd_per_hour"] is None
    return str(group["reason"])


def test_a_gpu_that_nobody_has_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """It is a slip of the pen as often as it is the wrong cloud."""
    told = reason("-f", a_file(tmp_path, annotations={"node.elotl.co/instance-gpu-skus": "L5,A11"}), *HERE)
    assert "no machine here has a GPU called 'A11' or 'L5'" in told
    assert "L40S" in told


def test_constraints_that_nothing_meets_are_counted(tmp_path: Path) -> None:
    """With the numbers one sees which of them to give up."""
    wishes = {"stratos.sh/instance-max-cost": "0.0001", "stratos.sh/instance-type-regexp": "^m6i"}
    told = reason("-f", a_file(tmp_path, annotations=wishes), *HERE)
    assert "by instance-max-cost" in told
    assert "by instance-type-regexp" in told


def test_a_pod_larger_than_every_machine_is_told_so(tmp_path: Path) -> None:
    """An answer without machines must not look like one that is free."""
    huge = {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1000"}}}]}
    assert "too small (cpu)" in reason("-f", a_file(tmp_path, spec=huge), *HERE)


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        ({"node.elotl.co/instance-type-regexp": "(m5"}, "metadata.annotations[node.elotl.co/instance-type-regexp]"),
        ({"stratos.sh/instance-max-cost": "-4"}, "'-4' is not a price"),
        ({"stratos.sh/instance-max-gpus": "two"}, "'two' is not a number of GPUs"),
        ({"stratos.sh/instance-offerings": "cheap"}, "'cheap' is not an offering"),
        ({"stratos.sh/instance-colour": "red"}, "there is no annotation instance-colour"),
    ],
)
def test_annotations_that_make_no_sense_are_named_with_their_file(
    tmp_path: Path, annotation: dict[str, str], complaint: str
) -> None:
    """One of hundreds of manifests in a folder."""
    told = refusal("-f", a_file(tmp_path, annotations=annotation), *HERE)
    assert "job.json: job/it: spec.template.metadata.annotations" in told
    assert complaint in told
    assert "hint:" in told


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--cloud", "ibm"), "there is no catalog of cloud 'ibm'"),
        (("--cloud", "aws", "--region", "us-west-9"), "no region 'us-west-9'"),
        (("--region", "us-west-9"), "no cloud has a region 'us-west-9'"),
        (("--zone", "a"), "zone 'a' belongs to no cloud"),
        (("--cloud", "aws", "--zone", "q"), "us-west-2 of aws has no zone 'q'"),
        (("--pricing", "cheap"), "--pricing 'cheap' is not known"),
        (("--strategy", "best"), "--strategy 'best' is not known"),
        (("--arch", "x86"), "--arch 'x86' is not known"),
        (("--spot-price-ratio", "-1"), "spotPriceRatioEstimate=-1"),
        (("--spot-price-ratio", "half"), "'half' is not a number"),
        (("--gpu-time-slices", "0"), "nvidiaGPUTimeSlices=0"),
        (("--bin-packing-node-cpu", "lots"), "'lots' is not a quantity"),
        (("--set", "binPackingNodeTypeRegexp=("), "'(' is no regular expression"),
        (("--set", "binPackingNodeCPU=4"), "did you mean"),
        (("--set", "binPackingNodeCpu"), "it has no value"),
        (("--spot-advisor", "/nowhere.json"), "/nowhere.json cannot be read"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, options: tuple[str, ...], complaint: str) -> None:
    """Nothing is guessed: an estimate for another question would be taken for the answer to this one."""
    assert complaint in refusal("-f", a_file(tmp_path), *options)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not json", "advice.json is not JSON"),
        ("[]", "this is no spot advisor file"),
        ('{"spot_advisor": {"us-west-2": []}}', "spot_advisor.us-west-2"),
        (
            '{"spot_advisor": {"us-west-2": {"Linux": {"m5.large": {"s": 140, "r": 0}}}}}',
            "[m5.large].s: a saving of 140",
        ),
        ('{"spot_advisor": {"us-west-2": {"Linux": {"m5.large": {"s": 10, "r": 9}}}}}', "no interruption bucket 9"),
        ('{"spot_advisor": {"us-west-2": {"Linux": {"m5.large": {"s": "10"}}}}}', "[m5.large]: "),
    ],
)
def test_advice_that_makes_no_sense_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """A negative price would win every comparison."""
    advice = tmp_path / "advice.json"
    advice.write_text(text)
    told = refusal("-f", a_file(tmp_path), "--spot-advisor", advice)
    assert "advice.json" in told
    assert complaint in told


def test_manifests_without_pods_are_an_error_that_tells_what_was_found(tmp_path: Path) -> None:
    """Zero dollars would be a lie."""
    file = tmp_path / "service.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    told = refusal("-f", file)
    assert "there are no pods to estimate in" in told
    assert "found service/web" in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a\n- b\n", "is not a Kubernetes object but a list"),
        ("a: b\n c: d\n", "line 2, column 3"),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
            "spec: {containers: [{resources: {requests: {cpu: 1 core}}}]}",
            "pod/a: spec.containers[0].resources.requests[cpu]: '1 core' is not a quantity",
        ),
    ],
)
def test_files_that_are_no_manifests_are_named_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    """The file, the document and the field: that is what one has to find."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    told = refusal("-f", file)
    assert "bad.yaml" in told
    assert complaint in told
