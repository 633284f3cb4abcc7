"""Volumes, claims and storage classes: kept as they are, so that ordinary manifests apply."""

from __future__ import annotations

from stratos.apiserver.registry.builtin.amounts import spell_amounts, validate_quantity
from stratos.apiserver.registry.builtin.columns import AGE, NAME, column
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    immutable,
    items,
    mapping,
    mappings,
    one_of,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import check_name, dns_subdomain
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.resource import Obj

_ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_NO_CLASS = "<unset>"


def _modes(obj: Obj, *path: str) -> str:
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in items(obj, *path))


def _validate_modes(spec: Obj) -> Problems:
    modes = items(spec, "accessModes")
    if not modes:
        yield required("spec.accessModes", "at least 1 access mode is required")
    for index, mode in enumerate(modes):
        yield from one_of(f"spec.accessModes[{index}]", mode, _ACCESS_MODES)


def _default_volume(volume: Obj) -> None:
    if spec := mapping(volume, "spec"):
        spell_amounts(spec.get("capacity"))
        fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
        volume.setdefault("status", {})
        fill(mapping(volume, "status"), phase="Pending")


def _validate_volume(volume: Obj) -> Problems:
    spec = mapping(volume, "spec")
    yield from _validate_modes(spec)
    if not (capacity := mapping(spec, "capacity")):
        yield required("spec.capacity")
    for name, amount in capacity.items():
        yield from validate_quantity(f"spec.capacity[{name}]", amount)
    policy = spec.get("persistentVolumeReclaimPolicy")
    yield from one_of("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM_POLICIES)


def _default_claim(claim: Obj) -> None:
    if spec := mapping(claim, "spec"):
        spell_amounts(mapping(spec, "resources").get("requests"))
        fill(spec, volumeMode="Filesystem")
        claim.setdefault("status", {})
        fill(mapping(claim, "status"), phase="Pending")


def _validate_claim(claim: Obj) -> Problems:
    spec = mapping(claim, "spec")
    yield from _validate_modes(spec)
    storage = mapping(spec, "resources", "requests").get("storage")
    if storage is None:
        yield required("spec.resources[storage]")
    else:
        yield from validate_quantity("spec.resources.requests[storage]", storage)
    yield from check_name("spec.storageClassName", spec.get("storageClassName"), dns_subdomain, needed=False)


def _default_class(storage_class: Obj) -> None:
    fill(storage_class, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _validate_class(storage_class: Obj) -> Problems:
    if not storage_class.get("provisioner"):
        yield required("provisioner")
    yield from one_of("reclaimPolicy", storage_class.get("reclaimPolicy"), ("Delete", "Retain"))
    yield from one_of("volumeBindingMode", storage_class.get("volumeBindingMode"), _BINDING_MODES)


def _validate_class_change(new: Obj, old: Obj) -> Problems:
    for field in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"):
        yield from immutable(field, new.get(field), old.get(field))


def _class_name(storage_class: Obj) -> str:
    marks = mapping(storage_class, "metadata", "annotations")
    is_default = marks.get("storageclass.kubernetes.io/is-default-class") == "true"
    return text(storage_class, "metadata", "name") + (" (default)" if is_default else "")


def _bound_claim(volume: Obj) -> str:
    claim = mapping(volume, "spec", "claimRef")
    return f"{text(claim, 'namespace')}/{text(claim, 'name')}" if claim else ""


def _state(obj: Obj) -> str:
    return "Terminating" if mapping(obj, "metadata").get("deletionTimestamp") else text(obj, "status", "phase")


RESOURCES = (
    kind(
        "v1",
        "PersistentVolume",
        namespaced=False,
        short_names=("pv",),
        subresources=("status",),
        columns=(
            NAME,
            column("Capacity", lambda v: str(mapping(v, "spec", "capacity").get("storage", ""))),
            column("Access Modes", lambda v: _modes(v, "spec", "accessModes")),
            column("Reclaim Policy", lambda v: text(v, "spec", "persistentVolumeReclaimPolicy")),
            column("Status", _state),
            column("Claim", _bound_claim),
            column("StorageClass", lambda v: text(v, "spec", "storageClassName")),
            column("VolumeAttributesClass", lambda v: text(v, "spec", "volumeAttributesClassName") or _NO_CLASS),
            column("Reason", lambda v: text(v, "status", "reason")),
            AGE,
            column("VolumeMode", lambda v: text(v, "spec", "volumeMode") or _NO_CLASS, wide=True),
        ),
        default=_default_volume,
        validate=_validate_volume,
    ),
    kind(
        "v1",
        "PersistentVolumeClaim",
        short_names=("pvc",),
        subresources=("status",),
        columns=(
            NAME,
            column("Status", _state),
            column("Volume", lambda c: text(c, "spec", "volumeName")),
            column("Capacity", lambda c: str(mapping(c, "status", "capacity").get("storage", ""))),
            column("Access Modes", lambda c: _modes(c, "status", "accessModes")),
            column("StorageClass", lambda c: text(c, "spec", "storageClassName")),
            column("VolumeAttributesClass", lambda c: text(c, "spec", "volumeAttributesClassName") or _NO_CLASS),
            AGE,
            column("VolumeMode", lambda c: text(c, "spec", "volumeMode") or _NO_CLASS, wide=True),
        ),
        default=_default_claim,
        validate=_validate_claim,
    ),
    kind(
        "storage.k8s.io/v1",
        "StorageClass",
        namespaced=False,
        short_names=("sc",),
        columns=(
            column("Name", _class_name),
            column("Provisioner", lambda c: text(c, "provisioner")),
            column("ReclaimPolicy", lambda c: text(c, "reclaimPolicy")),
            column("VolumeBindingMode", lambda c: text(c, "volumeBindingMode")),
            column("AllowVolumeExpansion", lambda c: str(c.get("allowVolumeExpansion") is True).lower()),
            AGE,
        ),
        default=_default_class,
        validate=_validate_class,
        validate_update=_validate_class_change,
    ),
    kind(
        "storage.k8s.io/v1",
        "CSINode",
        namespaced=False,
        columns=(NAME, column("Drivers", lambda n: len(mappings(n, "spec", "drivers")), type="integer"), AGE),
    ),
)
