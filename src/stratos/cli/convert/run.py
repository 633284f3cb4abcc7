"""Read node templates in the forms other tools write them, and print NodeTemplates ready for `kubectl apply -f -`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from stratos.apis.nodepool import NodeClassRef
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.base.errors import Invalid, NotFound
from stratos.base.quantity import MEBIBYTE
from stratos.cli.convert.foreign import ForeignTemplate, node_template
from stratos.cli.convert.terraform import templates_in_hcl, templates_in_terraform_json
from stratos.cli.reading import read_text

_ENDINGS = "give -f files of Terraform, which end in .tf or .tf.json, or answers of an API, in .json"
_LARGEST_BYTES = 10 * MEBIBYTE


def run_convert(files: Iterable[Path], node_class: str) -> None:
    """Notes go to standard error: what was left out, and why."""
    ref = _node_class_ref(node_class)
    documents = []
    for file in files:
        found = list(_templates_in(file))
        if not found:
            raise NotFound(
                f"{file} holds no node template",
                looked_at=("resources castai_node_template, and objects with a name and constraints",),
            )
        for foreign in found:
            template, notes = node_template(foreign, ref)
            documents.append(_as_manifest(template))
            for note in notes:
                print(f"note: {foreign.place}: {note}", file=sys.stderr)
    print(yaml.safe_dump_all(documents, sort_keys=False), end="")


def _node_class_ref(text: str) -> NodeClassRef:
    kind, _, name = text.partition("/")
    try:
        return msgspec.convert({"kind": kind, "name": name}, NodeClassRef)
    except msgspec.ValidationError as error:
        raise Invalid(f"--node-class {text}: {error}", hint="for example AWSNodeClass/default") from error


def _templates_in(file: Path) -> Iterator[ForeignTemplate]:
    text = read_text(file, most_bytes=_LARGEST_BYTES, hint=_ENDINGS)
    if file.suffix == ".tf":
        return templates_in_hcl(text, str(file))
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(f"{file} is not JSON: {error}", hint=_ENDINGS) from error
    if file.name.endswith(".tf.json"):
        return templates_in_terraform_json(content, str(file))
    return _templates_in_api_answer(content, str(file))


def _templates_in_api_answer(content: object, file: str) -> Iterator[ForeignTemplate]:
    """One template, a list of them, or a list under ``items``, as the REST API writes them in camelCase."""
    if isinstance(content, dict) and isinstance(content.get("items"), list):
        content = content["items"]
    for index, item in enumerate(content if isinstance(content, list) else [content]):
        item = item.get("template", item) if isinstance(item, dict) else item
        if not isinstance(item, dict) or "name" not in item:
            raise Invalid(f"{file}: entry {index} is not a node template", hint="it needs a name")
        yield ForeignTemplate(place=f"{file}: {item['name']}", name=str(item["name"]), fields=item)


def _as_manifest(template: NodeTemplate) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(template)
    return {
        "apiVersion": NODE_TEMPLATE.api_version,
        "kind": NODE_TEMPLATE.kind,
        "metadata": {"name": template.metadata.name},
        "spec": fields["spec"],
    }
