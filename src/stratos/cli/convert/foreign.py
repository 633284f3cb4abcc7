"""A node template as others write it (snake_case or camelCase), turned into one of ours.

The constraints have the same names on both sides; what is about the tool itself is left out and said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from stratos.apis.meta import ObjectMeta
from stratos.apis.nodepool import NodeClassRef
from stratos.apis.nodetemplate import NodeTemplate, NodeTemplateSpec
from stratos.base.errors import Invalid
from stratos.planning.provisioning.validation import check_template


@dataclass(frozen=True, slots=True)
class ForeignTemplate:
    place: str  # file and resource, as messages name it
    name: str
    fields: Mapping[str, Any]


_ABOUT_THE_TOOL = frozenset({"clusterId", "timeouts", "id", "version", "stats", "count", "dependsOn", "lifecycle"})
_REPLACED = {
    "computeOptimized": "compute_optimized_state",
    "storageOptimized": "storage_optimized_state",
}
_MAPS = frozenset({"customLabels"})  # their keys are users' own
_DEFAULT_NAME = "default-by-castai"


def node_template(foreign: ForeignTemplate, node_class: NodeClassRef) -> tuple[NodeTemplate, list[str]]:
    """The NodeTemplate, and what was left out. Raises `Invalid` naming the field that has no meaning here."""
    fields = {key: value for key, value in _camel(foreign.fields).items() if value not in (None, "")}
    fields.pop("name", None)
    notes = []
    for key in sorted(_ABOUT_THE_TOOL & fields.keys()):
        del fields[key]
        if key != "lifecycle":
            notes.append(f"{key} has no meaning here and is left out")
    if fields.pop("configurationId", None) is not None:
        notes.append(f"configurationId: machines are launched by {node_class.kind}/{node_class.name} instead")
    constraints = fields.setdefault("constraints", {})
    if not isinstance(constraints, dict):
        raise Invalid(f"{foreign.place}: constraints is {constraints!r}, not a block of constraints")
    for key in ("customInstancesEnabled", "customInstancesWithExtendedMemoryEnabled"):
        if key in fields:
            constraints[key] = fields.pop(key)
    for old, new in _REPLACED.items():
        if old in constraints:
            hint = f'write {new} = "enabled" or "disabled"'
            raise Invalid(f"{foreign.place}: constraints.{old} is deprecated and ambiguous", hint=hint)
    kept = fields.pop("rebalancingConfigMinNodes", None)
    if kept:
        fields["disruption"] = {"minNodes": kept}
    _refuse_references(fields, foreign.place)
    name = foreign.name
    if name == _DEFAULT_NAME:
        fields.setdefault("isDefault", True)
    _refuse_unknown(fields, NodeTemplateSpec, foreign.place)
    spec = {"nodeClassRef": msgspec.to_builtins(node_class), **fields}
    try:
        template = NodeTemplate(metadata=ObjectMeta(name=name), spec=msgspec.convert(spec, NodeTemplateSpec))
        check_template(template)
    except (msgspec.ValidationError, Invalid) as error:
        raise Invalid(f"{foreign.place}: {error}") from error
    return template, notes


def _camel(value: Any, *, keys_are_ours: bool = True) -> Any:
    if isinstance(value, Mapping):
        renamed = {}
        for key, each in value.items():
            name = _camel_name(key) if keys_are_ours else key
            renamed[name] = _camel(each, keys_are_ours=name not in _MAPS)
        return renamed
    return [_camel(each) for each in value] if isinstance(value, list) else value


def _camel_name(name: str) -> str:
    return re.sub(r"_+([a-z0-9])", lambda found: found[1].upper(), name)


def _refuse_references(value: Any, place: str, path: str = "") -> None:
    """``${var.zones}`` means something to Terraform only."""
    if isinstance(value, str) and "${" in value:
        hint = "write the value itself, or convert what `terraform show -json` prints"
        raise Invalid(f"{place}: {path} is an expression, {value}, which only Terraform can resolve", hint=hint)
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        _refuse_references(each, place, f"{path}.{key}" if path else str(key))


def _refuse_unknown(fields: Mapping[str, Any], shape: type[msgspec.Struct], place: str, path: str = "") -> None:
    """A constraint that is dropped in silence makes nodes that nobody asked for."""
    known = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    for key, value in fields.items():
        if key not in known:
            raise Invalid(f"{place}: nothing here is like {path}{key}", hint="remove it if nodes may do without")
        inner = known[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            _refuse_unknown(value, inner, place, f"{path}{key}.")
