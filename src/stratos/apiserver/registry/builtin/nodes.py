"""Nodes."""

from __future__ import annotations

from stratos.apiserver.registry.builtin.amounts import spell_amounts, validate_amounts
from stratos.apiserver.registry.builtin.columns import AGE, NAME, NONE, UNKNOWN, column, joined
from stratos.apiserver.registry.builtin.fields import Problems, forbidden, mapping, mappings, text
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.scheduling_validation import validate_taints
from stratos.apiserver.registry.resource import Obj

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _default_node(node: Obj) -> None:
    """What a node offers to pods is all it has, until the kubelet says otherwise."""
    status = mapping(node, "status")
    for part in ("capacity", "allocatable"):
        spell_amounts(status.get(part))
    if status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(mapping(status, "capacity"))


def _validate_node(node: Obj) -> Problems:
    yield from validate_taints(mapping(node, "spec"), "spec")
    for part in ("capacity", "allocatable"):
        yield from validate_amounts(mapping(node, "status").get(part), f"status.{part}")


def _validate_node_change(new: Obj, old: Obj) -> Problems:
    spec, before = mapping(new, "spec"), mapping(old, "spec")
    for field in ("providerID", "podCIDR", "podCIDRs"):
        if before.get(field) and spec.get(field) != before[field]:
            yield forbidden(f"spec.{field}", "node updates may not change this field once it is set")


def _status(node: Obj) -> str:
    ready = [c for c in mappings(node, "status", "conditions") if c.get("type") == "Ready"]
    words = ["Ready" if c.get("status") == "True" else "NotReady" for c in ready] or ["Unknown"]
    if mapping(node, "spec").get("unschedulable") is True:
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Obj) -> str:
    found = set()
    for label, value in mapping(node, "metadata", "labels").items():
        if label.startswith(_ROLE_PREFIX):
            found.add(label.removeprefix(_ROLE_PREFIX))
        elif label == _ROLE_LABEL and value:
            found.add(value)
    return joined(sorted(role for role in found if role))


def _address(node: Obj, type_name: str) -> str:
    addresses = mappings(node, "status", "addresses")
    return next((text(a, "address") for a in addresses if a.get("type") == type_name), NONE)


def _info(node: Obj, field: str) -> str:
    return text(node, "status", "nodeInfo", field) or UNKNOWN


RESOURCES = (
    kind(
        "v1",
        "Node",
        namespaced=False,
        short_names=("no",),
        subresources=("status",),
        columns=(
            NAME,
            column("Status", _status),
            column("Roles", _roles),
            AGE,
            column("Version", lambda node: text(node, "status", "nodeInfo", "kubeletVersion")),
            column("Internal-IP", lambda node: _address(node, "InternalIP"), wide=True),
            column("External-IP", lambda node: _address(node, "ExternalIP"), wide=True),
            column("OS-Image", lambda node: _info(node, "osImage"), wide=True),
            column("Kernel-Version", lambda node: _info(node, "kernelVersion"), wide=True),
            column("Container-Runtime", lambda node: _info(node, "containerRuntimeVersion"), wide=True),
        ),
        selectable=("spec.unschedulable",),
        default=_default_node,
        validate=_validate_node,
        validate_update=_validate_node_change,
        created_with_status=True,
    ),
)
