"""Bad manifests, options, tables and templates: each is refused by name, with a hint, and nothing is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stratos.base.errors import StratosError
from stratos.catalog.catalog import SHIPPED
from stratos.cli.main import app
from stratos.planning.provisioning.validation import check_template
from stratos.testing.provisioning_builders import a_template

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
TYPE = '{"name": "x", "vcpu": 4, "mem_gib": 8, "price_on_demand": %s, "zones": ["a"]}'
FIFTY_MB = 50_000_000


def refusal(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, StratosError), result.output
    assert result.stdout == ""
    told = result.exception.explain()
    assert "hint:" in told
    return told


def a_pod_file(folder: Path) -> Path:
    file = folder / "pod.json"
    file.write_text(json.dumps(POD))
    return file


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("list.yaml", b"- a\n- b\n", "not a Kubernetes object but a list"),
        ("main.tf", b'resource "castai_node_template" "x" {\n}\n', "stratos convert"),
        ("logo.png", b"\x89PNG\r\n\x1a\n", "logo.png is not text"),
        ("empty.yaml", b"", "holds no manifests"),
        ("chart.yaml", b"metadata:\n  name: {{ .Values.name }}\n{{- if .x }}\n", "helm template"),
        ("large.yaml", b"a" * FIFTY_MB, "larger than 10 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_is_no_manifest_is_told_by_its_name(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    """A wrong path is the commonest mistake; the hint says what the file looks like."""
    file = tmp_path / name
    file.write_bytes(content)
    told = refusal("estimate", "-f", file, "--cloud", "aws")
    assert name in told
    assert complaint in told


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--set", "pendingPodReasonRegexp=(("), "pendingPodReasonRegexp: '((' is no regular expression"),
        (("--bin-packing-node-cpu", "-4"), "binPackingNodeCpu: '-4' is less than nothing"),
        (("--set", "binPackingNodeMemory=1GiB"), "'1GiB' is not a quantity"),
        (("--gpu-time-slices", "two"), "'two' is not a whole number"),
        (("--arch", "sparc"), "--arch 'sparc' is not known"),
    ],
)
def test_options_are_judged_even_where_they_change_no_price(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    """A configuration that a cluster would refuse must not get a price."""
    assert complaint in refusal("estimate", "-f", a_pod_file(tmp_path), "--cloud", "aws", *options)


def shelf(folder: Path, *, prices: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "oci-types.csv.gz").write_bytes((SHIPPED / "oci-types.csv.gz").read_bytes())
    (folder / "oci-prices.csv.gz").write_bytes(prices)
    return folder


def test_tables_of_a_catalog_are_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    """A negative price would win every comparison, and a small file may unpack to more than there is memory."""
    shipped = gzip.decompress((SHIPPED / "oci-prices.csv.gz").read_bytes()).decode()
    heading, row, *others = shipped.splitlines()
    cells = row.split(",")
    negative = "\n".join((heading, ",".join((*cells[:3], "-0.5", *cells[4:])), *others))
    cases = {
        "-0.5 is no price": gzip.compress(negative.encode()),
        "Not a gzipped file": b"\x89PNG",
        "its first line: apiVersion: v1": gzip.compress(b"apiVersion: v1\n"),
        "larger than 64 MiB": gzip.compress(bytes(2 * FIFTY_MB), compresslevel=1),
    }
    for complaint, prices in cases.items():
        tables = shelf(tmp_path / "tables", prices=prices)
        region = cells[0]
        told = refusal("catalog", "list", "--cloud", "oci", "--region", region, "--tables", tables)
        assert complaint in told
        assert "oci-prices.csv.gz" in told


@pytest.mark.parametrize(
    ("pods", "types", "complaint"),
    [
        ('[{"name": "a", "cpu": 1, "mem_mib": 1}]', TYPE % "-0.1", "types[0]: the on-demand price of x is -0.1"),
        ('[{"name": "a", "cpu": "abc", "mem_mib": 1}]', TYPE % "0.1", "[0]: cpu: 'abc' is not a quantity"),
        ('[{"name": "a", "cpu": -1, "mem_mib": 1}]', TYPE % "0.1", "[0]: cpu: -1.0 is less than nothing"),
        ('["a"]', TYPE % "0.1", "at `$[0]`"),
    ],
)
def test_sets_to_measure_are_told_where_they_are_wrong(tmp_path: Path, pods: str, types: str, complaint: str) -> None:
    """Otherwise the figures would be those of another question."""
    (tmp_path / "pods.json").write_text(pods)
    (tmp_path / "types.json").write_text(f'{{"types": [{types}]}}')
    files = ("--pods-file", tmp_path / "pods.json", "--types-file", tmp_path / "types.json")
    assert complaint in refusal("bench", "packing", *files)


@pytest.mark.parametrize("name", ["nothing.tf", "logo.png"])
def test_what_cannot_be_converted_is_told_what_can(tmp_path: Path, name: str) -> None:
    """The endings decide how a file is read."""
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    told = refusal("convert", "-f", tmp_path / name)
    assert name in told
    assert ".tf.json" in told


def test_a_template_is_refused_with_a_hint_in_the_one_line_that_kubectl_shows() -> None:
    """An admission answer is a single message: what is not in it is not seen."""
    with pytest.raises(StratosError) as refused:
        check_template(a_template(limits={"cpu": "abc"}))
    assert "spec.limits.cpu: 'abc' is not a quantity; write a number" in refused.value.message
