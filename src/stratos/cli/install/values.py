"""The values of an installation, from files and from single settings, as Helm reads them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from stratos.base.errors import Invalid
from stratos.base.manifest_yaml import load_yaml
from stratos.wiring.cluster_access import check_cluster_name
from stratos.wiring.installation import Values
from stratos.wiring.installation.values import leaves

Document = dict[str, Any]

_LEAVES = {leaf.path: leaf for leaf in leaves()}
_SECTIONS = frozenset({"", *(path.rpartition(".")[0] for path in _LEAVES)})


def read_values(files: Sequence[Path], settings: Iterable[str], *, create_namespace: bool) -> Values:
    """The defaults, with what the files say, then what ``KEY=VALUE`` says; later ones win, maps are merged."""
    document = msgspec.to_builtins(Values())
    document["namespace"]["create"] = create_namespace
    for file in files:
        _merge(document, _read(file), str(file), "")
    for setting in settings:
        _merge(document, _setting(setting), f"--set {setting}", "")
    try:
        values = msgspec.convert(document, Values, strict=False)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        place = place.rstrip("`")
        raise Invalid(f"value {place or 'at the top'}: {problem[0].lower()}{problem[1:]}", hint=_hint(place)) from error
    check_cluster_name(values.cluster_name, "clusterName", "--set clusterName=production")
    return values


def _hint(place: str) -> str:
    leaf = _LEAVES.get(place)
    if leaf is not None and leaf.choices:
        return f"choose one of {', '.join(leaf.choices)}"
    return "docs/reference/values.md lists all values with their defaults"


def _read(file: Path) -> Document:
    try:
        body = load_yaml(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"cannot read the values {file}: {error}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Invalid(f"{file} holds no values", hint="write a map, such as clusterName: production")
    return body


def _setting(setting: str) -> Document:
    """``a.b=c`` as a document. Text that begins like a list or a map in YAML is one."""
    path, equals, text = setting.partition("=")
    if not equals or not path:
        raise Invalid(f"--set {setting} has no value", hint="write --set KEY=VALUE, such as --set replicaCount=2")
    value: Any = text
    if text[:1] in ("[", "{") or text == "null":
        try:
            value = load_yaml(text)
        except yaml.YAMLError as error:
            raise Invalid(f"--set {setting}: the value is not YAML") from error
    for name in reversed(path.split(".")):
        value = {name: value}
    document: Document = value
    return document


def _merge(document: Document, said: Document, source: str, path: str) -> None:
    """Sections know their names; maps that are the user's own (labels, resources) take any. None takes a name away."""
    for name, value in said.items():
        place = f"{path}.{name}" if path else str(name)
        if name not in document and path in _SECTIONS:
            close = difflib.get_close_matches(str(name), document, n=1)
            raise Invalid(
                f"{source}: there is no value {place}",
                hint=f"did you mean {close[0]}?" if close else "charts/stratos/values.yaml lists them all",
            )
        if value is None:
            document.pop(name, None)
        elif isinstance(value, dict) and isinstance(document.get(name), dict):
            _merge(document[name], value, source, place)
        else:
            document[name] = value
