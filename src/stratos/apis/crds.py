"""CustomResourceDefinitions, generated from the types, so that what the server checks and what the code reads agree.

Field descriptions, limits, enumerations and CEL rules come from the annotations; required fields are those without a
default; a default reaches the schema when it says something (not for empty text, lists and maps, nor for whole blocks,
whose own defaults apply when they are written).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import msgspec.inspect as shapes

from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.meta import Condition, Kind, KubeObject
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.base.errors import StratosError

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CustomKind:
    """One of our own kinds, with what its definition needs beyond the type."""

    kind: Kind[Any]
    short_names: tuple[str, ...]
    columns: tuple[PrinterColumn, ...]

    @property
    def name(self) -> str:
        return f"{self.kind.plural}.{self.kind.group}"


_READY = '.status.conditions[?(@.type=="Ready")].status'
_AGE = PrinterColumn("Age", ".metadata.creationTimestamp", "date")

CUSTOM_KINDS: tuple[CustomKind, ...] = (
    CustomKind(
        NODE_POOL,
        ("np", "npool"),
        (
            PrinterColumn("PoolSize", ".spec.poolSize", "integer"),
            PrinterColumn("MinStandby", ".spec.minStandby", "integer"),
            PrinterColumn("Standby", ".status.standby", "integer"),
            PrinterColumn("Running", ".status.running", "integer"),
            PrinterColumn("Ready", _READY),
            _AGE,
        ),
    ),
    CustomKind(
        NODE_TEMPLATE,
        ("nt",),
        (
            PrinterColumn("Strategy", ".spec.strategy"),
            PrinterColumn("Types", ".status.matchingTypes", "integer"),
            PrinterColumn("Cheapest", ".status.cheapestType"),
            PrinterColumn("Nodes", ".status.nodes", "integer"),
            PrinterColumn("$/h", ".status.costUSDPerHour", "number"),
            PrinterColumn("Default", ".spec.isDefault", "boolean", priority=1),
            PrinterColumn("Ready", _READY),
            _AGE,
        ),
    ),
    CustomKind(
        NODE_CLAIM,
        ("nclaim",),
        (
            PrinterColumn("Pool", ".spec.pool"),
            PrinterColumn("Template", ".spec.template"),
            PrinterColumn("Wanted", ".spec.wanted"),
            PrinterColumn("State", ".status.state"),
            PrinterColumn("Type", ".status.instanceType"),
            PrinterColumn("Terms", ".spec.capacityType"),
            PrinterColumn("Zone", ".status.zone"),
            PrinterColumn("Node", ".status.nodeName"),
            PrinterColumn("$/h", ".status.priceUSDPerHour", "number"),
            PrinterColumn("Why", ".spec.decision.reason", priority=1),
            PrinterColumn("Instance", ".status.instanceID", priority=1),
            _AGE,
        ),
    ),
    CustomKind(
        AWS_NODE_CLASS,
        ("awsnc",),
        (
            PrinterColumn("Template", ".spec.bootstrapTemplate"),
            PrinterColumn("InstanceType", ".spec.instanceType"),
            PrinterColumn("AMI", ".status.resolvedAMI"),
            PrinterColumn("NodePools", ".status.nodePoolCount", "integer"),
            _AGE,
        ),
    ),
    CustomKind(
        SIM_NODE_CLASS,
        ("simnc",),
        (
            PrinterColumn("InstanceType", ".spec.instanceType"),
            PrinterColumn("Image", ".status.resolvedAMI"),
            PrinterColumn("NodePools", ".status.nodePoolCount", "integer"),
            _AGE,
        ),
    ),
)


def custom_resource_definitions() -> tuple[dict[str, Any], ...]:
    """The definitions of all our kinds, as plain objects ready to be applied."""
    return tuple(custom_resource_definition(custom) for custom in CUSTOM_KINDS)


def custom_resource_definition(custom: CustomKind) -> dict[str, Any]:
    kind = custom.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": custom.name},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "shortNames": list(custom.short_names),
                "categories": ["stratos"],
            },
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in custom.columns],
                    "schema": {"openAPIV3Schema": object_schema(kind.type)},
                }
            ],
        },
    }


def _column(column: PrinterColumn) -> dict[str, Any]:
    body: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return body | ({"priority": column.priority} if column.priority else {})


def object_schema(type_: type[KubeObject]) -> Schema:
    """The structural schema of a whole object; the server knows what metadata looks like."""
    shape = shapes.type_info(type_)
    if not isinstance(shape, shapes.StructType):
        raise StratosError(f"{type_.__name__} is not a record: this is a bug of ours")
    schema = _struct(shape)
    module = inspect.getmodule(type_)
    schema["description"] = _first_paragraph(module.__doc__ if module else None)
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **{name: schema["properties"][name] for name in ("spec", "status")},
    }
    return schema


def _first_paragraph(doc: str | None) -> str:
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())


def _struct(shape: shapes.StructType) -> Schema:
    properties = {field.encode_name: _field(field) for field in shape.fields}
    required = [field.encode_name for field in shape.fields if field.required]
    schema: Schema = {"type": "object", "properties": properties}
    if shape.cls.__doc__:
        schema["description"] = _first_paragraph(shape.cls.__doc__)
    return schema | ({"required": required} if required else {})


def _field(field: shapes.Field) -> Schema:
    schema = _schema(field.type)
    default = field.default
    if isinstance(default, bool | int | float):
        schema["default"] = default
    elif isinstance(default, str) and default:
        schema["default"] = str(default)  # of an enumeration, its plain text
    return schema


def _schema(shape: shapes.Type) -> Schema:
    match shape:
        case shapes.Metadata():
            return _schema(shape.type) | (shape.extra_json_schema or {})
        case shapes.StructType():
            return _struct(shape)
        case shapes.UnionType():
            return _union(shape)
        case shapes.EnumType():
            return {"type": "string", "enum": [str(member.value) for member in shape.cls]}
        case shapes.LiteralType():
            return {"type": "string", "enum": sorted(str(value) for value in shape.values)}
        case shapes.StrType():
            return _limited("string", minLength=shape.min_length, maxLength=shape.max_length, pattern=shape.pattern)
        case shapes.IntType():
            return _limited("integer", minimum=shape.ge, maximum=shape.le) | {"format": "int64"}
        case shapes.FloatType():
            return _limited("number", minimum=shape.ge, maximum=shape.le)
        case shapes.BoolType():
            return {"type": "boolean"}
        case shapes.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case shapes.DictType():
            return _map(shape)
        case shapes.VarTupleType():
            return _list(shape)
        case _:
            raise StratosError(f"no schema for {shape!r}: this is a bug of ours")


def _union(shape: shapes.UnionType) -> Schema:
    """A field that may be left out, or a quantity, which may be written as text or as a number."""
    members = [member for member in shape.types if not isinstance(member, shapes.NoneType)]
    if len(members) == 1:
        return _schema(members[0])
    return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}


def _map(shape: shapes.DictType) -> Schema:
    if isinstance(shape.value_type, shapes.AnyType):
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "additionalProperties": _schema(shape.value_type)}


def _list(shape: shapes.VarTupleType) -> Schema:
    schema: Schema = {"type": "array", "items": _schema(shape.item_type)}
    if shape.min_length:
        schema["minItems"] = shape.min_length
    if isinstance(shape.item_type, shapes.StructType) and shape.item_type.cls is Condition:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return schema


def _limited(type_: str, **limits: object) -> Schema:
    return {"type": type_} | {name: limit for name, limit in limits.items() if limit is not None}
