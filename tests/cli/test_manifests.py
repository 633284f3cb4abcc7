"""Files come from everywhere; what cannot be used must be named by file, document and line, and nothing guessed."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stratos.base.errors import Invalid, NotFound
from stratos.cli.main import app
from stratos.cli.manifests import read_manifests

ROOT = Path(__file__).parents[2]
FOUNDING = ("ci-runners", "llm-inference", "scale-to-zero", "spot-optimized")
SEED = "".join((Path(__file__).parent / "seed-manifests.txt").read_text().split())


def test_the_examples_are_the_founding_manifests_word_for_word() -> None:
    """Indentation apart, which the founding text lost."""
    files = [file for folder in FOUNDING for file in sorted((ROOT / "examples" / folder).glob("*.yaml"))]
    files.remove(ROOT / "examples" / "scale-to-zero" / "service.yaml")  # the doorman's, which is ours
    assert len(files) == 8
    for file in files:
        for document in file.read_text().split("---\n"):
            assert "".join(document.split()) in SEED, file


def test_a_folder_is_read_file_by_file_in_order() -> None:
    titles = [manifest.title for manifest in read_manifests([ROOT / "examples" / "ci-runners"])]
    assert titles == ["deployment/jenkins-agent", "awsnodeclass/ci-runners", "nodepool/ci-runners"]


def test_a_workload_without_a_selector_is_completed_and_says_so() -> None:
    (deployment,) = read_manifests([ROOT / "examples" / "ci-runners" / "deployment.yaml"])
    assert deployment.obj["spec"]["selector"] == {"matchLabels": {"app": "jenkins-agent"}}
    assert deployment.obj["spec"]["template"]["metadata"]["labels"] == {"app": "jenkins-agent"}
    assert deployment.notes == ("it names no selector; app=jenkins-agent is assumed",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a\n- b\n", "is not a Kubernetes object but a list"),
        ("just words", "but text"),
        ("kind: Pod\nmetadata: {name: x}", "apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: x}", "kind is missing"),
        ("apiVersion: v1\nkind: Pod", "metadata.name is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: [x]}", "metadata.name is missing"),
        ("a: b\n c: d\n", "line 2, column 3"),
        ("a: 'b\n", "line"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n7\n", "document 2 is not a Kubernetes object"),
    ],
)
def test_what_is_no_manifest_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(Invalid, match=r"bad\.yaml") as caught:
        read_manifests([file])
    assert complaint in caught.value.message


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no"):
        read_manifests([tmp_path / "nowhere.yaml"])
    with pytest.raises(NotFound, match="no manifests in"):
        read_manifests([tmp_path])
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(Invalid, match="not text"):
        read_manifests([tmp_path])


@pytest.mark.parametrize("text", ["", "# later\n", "---\n---\n", "apiVersion: v1\nkind: List\nitems: []\n"])
def test_a_file_without_an_object_is_named_whoever_reads_it(tmp_path: Path, text: str) -> None:
    """A plan for nothing would look like one that changes nothing, and `helm template` of nothing is a slip."""
    empty = tmp_path / "empty.yaml"
    empty.write_text(text)
    with pytest.raises(Invalid, match=r"empty\.yaml holds no manifests"):
        read_manifests([empty])

    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n")
    assert [manifest.title for manifest in read_manifests([tmp_path])] == ["pod/a"]


@pytest.mark.parametrize("command", [["plan"], ["estimate"]])
def test_commands_refuse_a_file_without_an_object(tmp_path: Path, command: list[str]) -> None:
    """And nothing is asked of a cluster for it."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing yet\n")

    result = CliRunner().invoke(app, [*command, "-f", str(empty)])

    assert isinstance(result.exception, Invalid)
    assert result.exception.message == f"{empty} holds no manifests"
    assert result.exception.hint


def test_standard_input_is_a_file_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests are often made by another program."""
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: Pod\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(Invalid, match=r"^standard input, document 2: apiVersion is missing"):
        read_manifests([Path("-")])


def test_the_items_of_a_list_are_counted(tmp_path: Path) -> None:
    """`kubectl get -o yaml` writes one document with hundreds of them."""
    file = tmp_path / "list.json"
    file.write_text('{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"}]}')
    with pytest.raises(Invalid, match=r"list\.json, item 1: metadata\.name is missing"):
        read_manifests([file])


def test_a_file_of_fifty_megabytes_is_refused_before_it_is_read_to_the_end(tmp_path: Path) -> None:
    """It would take minutes and gigabytes to find out that it was the wrong file."""
    file = tmp_path / "dump.yaml"
    with file.open("wb") as stream:
        stream.truncate(50_000_000)
    with pytest.raises(Invalid, match=r"dump\.yaml is larger than 10 MiB") as caught:
        read_manifests([file])
    assert caught.value.hint is not None
