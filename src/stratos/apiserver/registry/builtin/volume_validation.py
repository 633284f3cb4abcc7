"""Rules for the volumes of a pod: one source each, and what that source needs."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.builtin.amounts import validate_quantity
from stratos.apiserver.registry.builtin.container_validation import validate_local_path
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    forbidden,
    integer,
    invalid,
    mapping,
    numbered,
    one_of,
    repeated,
    required,
    text,
)
from stratos.apiserver.registry.builtin.names import check_name, config_key, dns_label, dns_subdomain

_HOST_PATH_TYPES = (
    "DirectoryOrCreate",
    "Directory",
    "FileOrCreate",
    "File",
    "Socket",
    "CharDevice",
    "BlockDevice",
)
_PROJECTIONS = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle")


def volume_names(spec: dict[str, Any]) -> frozenset[str]:
    return frozenset(text(volume, "name") for _, volume in numbered(spec, "volumes", at=""))


def validate_volumes(spec: dict[str, Any], field: str) -> Problems:
    volumes = list(numbered(spec, "volumes", at=f"{field}.volumes"))
    for at, volume in volumes:
        yield from check_name(f"{at}.name", volume.get("name"), dns_label)
        sources = [name for name, source in volume.items() if name != "name" and source is not None]
        if not sources:
            yield required(at, "must specify a volume type")
        for extra in sources[1:]:
            yield forbidden(f"{at}.{extra}", "may not specify more than 1 volume type")
        for name in sources[:1]:
            yield from _validate_source(name, mapping(volume, name), f"{at}.{name}")
    yield from repeated((f"{at}.name", volume.get("name")) for at, volume in volumes)


def _validate_source(kind: str, source: dict[str, Any], field: str) -> Problems:
    match kind:
        case "configMap":
            if not source.get("name"):
                yield required(f"{field}.name")
            yield from _validate_files(source, field)
        case "secret":
            if not source.get("secretName"):
                yield required(f"{field}.secretName")
            yield from _validate_files(source, field)
        case "hostPath":
            path = text(source, "path")
            if not path:
                yield required(f"{field}.path")
            elif ".." in path.split("/"):
                yield invalid(f"{field}.path", path, "must not contain '..'")
            yield from one_of(f"{field}.type", source.get("type"), _HOST_PATH_TYPES)
        case "persistentVolumeClaim":
            if not source.get("claimName"):
                yield required(f"{field}.claimName")
        case "emptyDir":
            if (limit := source.get("sizeLimit")) is not None:
                yield from validate_quantity(f"{field}.sizeLimit", limit)
        case "downwardAPI":
            yield from _validate_downward(source, field)
        case "projected":
            yield from _validate_mode(source, field)
            for at, projection in numbered(source, "sources", at=f"{field}.sources"):
                yield from _validate_projection(projection, at)
        case "nfs":
            for part in ("server", "path"):
                if not source.get(part):
                    yield required(f"{field}.{part}")
        case "csi":
            yield from check_name(f"{field}.driver", source.get("driver"), dns_subdomain)
        case _:
            pass


def _validate_projection(projection: dict[str, Any], field: str) -> Problems:
    named = [name for name in _PROJECTIONS if projection.get(name)]
    if not named:
        yield required(field, "must specify at least one source type")
    for extra in named[1:]:
        yield forbidden(f"{field}.{extra}", "may not specify more than 1 volume type per source")
    for name in named[:1]:
        source, at = mapping(projection, name), f"{field}.{name}"
        if name in ("secret", "configMap"):
            if not source.get("name"):
                yield required(f"{at}.name")
            yield from _validate_files(source, at)
        elif name == "downwardAPI":
            yield from _validate_downward(source, at)
        elif name == "serviceAccountToken":
            seconds = integer(source, "expirationSeconds")
            if seconds is not None and seconds < 600:
                yield invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
            if not source.get("path"):
                yield required(f"{at}.path")
            yield from validate_local_path(f"{at}.path", source.get("path"))


def _validate_files(source: dict[str, Any], field: str) -> Problems:
    """The keys of a ConfigMap or Secret that become files."""
    yield from _validate_mode(source, field)
    for at, file in numbered(source, "items", at=f"{field}.items"):
        yield from check_name(f"{at}.key", file.get("key"), config_key)
        if not file.get("path"):
            yield required(f"{at}.path")
        yield from validate_local_path(f"{at}.path", file.get("path"))


def _validate_downward(source: dict[str, Any], field: str) -> Problems:
    yield from _validate_mode(source, field)
    for at, file in numbered(source, "items", at=f"{field}.items"):
        if not file.get("path"):
            yield required(f"{at}.path")
        yield from validate_local_path(f"{at}.path", file.get("path"))
        if not file.get("fieldRef") and not file.get("resourceFieldRef"):
            yield required(at, "one of fieldRef and resourceFieldRef is required")


def _validate_mode(source: dict[str, Any], field: str) -> Problems:
    mode = integer(source, "defaultMode")
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(f"{field}.defaultMode", mode, "must be a number between 0 and 0777 (octal), both inclusive")
