"""Manifests as people hand them over: files of YAML or JSON, several documents in one, folders of them, a pipe.

Reading judges only what a file must be to hold Kubernetes objects at all; the rest is the API's to say. One gap is
filled, with a note: workloads copied from documentation often name no selector and no pod labels, which the API insists
on, and there is only one sensible way to complete them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stratos.base.errors import Invalid, NotFound
from stratos.base.manifest_yaml import load_all_yaml
from stratos.base.quantity import MEBIBYTE
from stratos.cli.reading import STANDARD_INPUT, name_of, read_text

_SUFFIXES = (".yaml", ".yml", ".json")
_LARGEST_BYTES = 10 * MEBIBYTE  # thousands of objects; a larger file is hardly one that somebody meant to hand over
_HINT = "give -f files of YAML or JSON in UTF-8, or folders of them; split files that are too large"
_RENDER_FIRST = "it looks like a template; render it first, as `helm template` does"
_CONVERT_FIRST = "node templates written in Terraform become manifests by `stratos convert -f FILE`"
_NEED_SELECTORS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object, where it was read, and what was completed on the way."""

    obj: dict[str, Any]
    source: str  # "pool.yaml, document 2"
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """``deployment/jenkins-agent``, as messages name it."""
        return f"{self.obj['kind'].lower()}/{self.obj['metadata']['name']}"


def read_manifests(paths: Sequence[Path]) -> tuple[Manifest, ...]:
    """Every object in the files, in order; ``-`` is standard input. Raises `NotFound` for a missing path and `Invalid`
    naming file and place.
    """
    return tuple(manifest for path in paths for manifest in _read_all(path))


def _read_all(path: Path) -> tuple[Manifest, ...]:
    found = tuple(manifest for file in _files(path) for manifest in _read(file))
    if not found:
        hint = "is it the right one? Comments and empty documents are no objects"
        raise Invalid(f"{name_of(path)} holds no manifests", hint=hint)
    return found


def _files(path: Path) -> Iterable[Path]:
    if path == STANDARD_INPUT:
        return (path,)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
        if not files:
            raise NotFound(f"no manifests in {path}", hint=f"manifests end in {', '.join(_SUFFIXES)}")
        return files
    if not path.exists():
        raise NotFound(f"there is no {path}", hint="give -f a file or a folder of manifests")
    return (path,)


def _read(file: Path) -> Iterable[Manifest]:
    name = name_of(file)
    text = read_text(file, most_bytes=_LARGEST_BYTES, hint=_HINT)
    try:
        documents = list(load_all_yaml(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hint = _RENDER_FIRST if "{{" in text else "this is not valid YAML"
        raise Invalid(f"{name}{place}: {error.problem or error.context}", hint=hint) from error
    except yaml.YAMLError as error:
        raise Invalid(f"{name} is not valid YAML: {error}", hint="manifests are YAML or JSON") from error
    for number, document in enumerate(documents, start=1):
        source = f"{name}, document {number}" if len(documents) > 1 else name
        for item, obj in _objects(document):
            place = f"{source}{item}"
            yield _complete(_checked(obj, place), place)


def _objects(document: object) -> Iterable[tuple[str, object]]:
    """A document is nothing (an empty one), one object, or a ``List`` of them; each with its place in the document."""
    if document is None:
        return ()
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        return tuple((f", item {number}", item) for number, item in enumerate(document["items"], start=1))
    return (("", document),)


def _checked(obj: object, source: str) -> dict[str, Any]:
    if not isinstance(obj, dict):
        hint = _CONVERT_FIRST if source.endswith(".tf") else "it must be a mapping with a kind"
        raise Invalid(f"{source} is not a Kubernetes object but {_what(obj)}", hint=hint)
    for field in ("apiVersion", "kind"):
        if not isinstance(obj.get(field), str) or not obj[field]:
            raise Invalid(f"{source}: {field} is missing", hint="every Kubernetes object has apiVersion and kind")
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise Invalid(f"{source}: metadata.name is missing", hint=f"give the {obj['kind']} a name")
    return obj


def _what(value: object) -> str:
    return {list: "a list", str: "text", int: "a number", float: "a number", bool: "a truth value"}.get(
        type(value), f"a {type(value).__name__}"
    )


def _complete(obj: dict[str, Any], source: str) -> Manifest:
    spec = obj.get("spec")
    if obj["kind"] not in _NEED_SELECTORS or not isinstance(spec, dict) or "selector" in spec:
        return Manifest(obj, source)
    template = spec.get("template")
    if not isinstance(template, dict):
        return Manifest(obj, source)
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {"app": obj["metadata"]["name"]}
    completed = spec | {
        "selector": {"matchLabels": labels},
        "template": template | {"metadata": metadata | {"labels": labels}},
    }
    written = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return Manifest(obj | {"spec": completed}, source, (f"it names no selector; {written} is assumed",))
