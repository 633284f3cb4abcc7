"""The small kinds of the core group: namespaces, configuration, service accounts, limits and events."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from stratos.apiserver.registry.builtin.amounts import quantity, spell_amounts, validate_amounts
from stratos.apiserver.registry.builtin.columns import AGE, CREATED_AT, NAME, UNKNOWN, age, column
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    duplicate,
    forbidden,
    immutable,
    integer,
    invalid,
    mapping,
    not_supported,
    numbered,
    required,
    text,
    too_long,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import check_name, config_key, dns_label, dns_subdomain
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.resource import Column, Obj

_DATA_BYTES_MAX = 1024 * 1024

# Namespace


def _default_namespace(namespace: Obj) -> None:
    metadata = mapping(namespace, "metadata")
    if name := text(metadata, "name"):
        fill(metadata, labels={})
        mapping(metadata, "labels")["kubernetes.io/metadata.name"] = name
    if metadata.get("deletionTimestamp"):
        return  # the finalizer was taken off on purpose
    namespace.setdefault("spec", {})
    fill(mapping(namespace, "spec"), finalizers=["kubernetes"])
    namespace.setdefault("status", {})
    fill(mapping(namespace, "status"), phase="Active")


# ConfigMap and Secret


def _validate_data(obj: Obj, *fields: str) -> Problems:
    """The keys of all data fields together, and their size."""
    total_bytes, seen = 0, set()
    for field in fields:
        for key, value in mapping(obj, field).items():
            if problem := config_key(key):
                yield invalid(f"{field}[{key}]", key, problem)
            if key in seen:
                yield invalid(f"{field}[{key}]", key, "duplicate of key present in data")
            seen.add(key)
            total_bytes += len(value) if isinstance(value, str) else 0
    if total_bytes > _DATA_BYTES_MAX:
        yield too_long("data" if len(fields) == 1 else "", _DATA_BYTES_MAX)


def _immutable_stays(new: Obj, old: Obj, *fields: str) -> Problems:
    if old.get("immutable") is not True:
        return
    if new.get("immutable") is not True:
        yield forbidden("immutable", "field is immutable when `immutable` is set")
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield forbidden(field, "field is immutable when `immutable` is set")


def _default_secret(secret: Obj) -> None:
    fill(secret, type="Opaque")
    if plain := mapping(secret, "stringData"):
        fill(secret, data={})
        data = mapping(secret, "data")
        for key, value in plain.items():
            if isinstance(value, str):
                data[key] = base64.b64encode(value.encode()).decode()
    secret.pop("stringData", None)


_SECRET_KEYS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _validate_secret(secret: Obj) -> Problems:
    data = mapping(secret, "data")
    yield from _validate_data(secret, "data")
    for key, value in data.items():
        try:
            base64.b64decode(str(value or ""), validate=True)
        except binascii.Error:
            yield invalid(f"data[{key}]", value, "must be base64 encoded")
    for key in _SECRET_KEYS.get(text(secret, "type"), ()):
        if key not in data:
            yield required(f"data[{key}]")
    if secret.get("type") == "kubernetes.io/service-account-token":
        account = "kubernetes.io/service-account.name"
        if not mapping(secret, "metadata", "annotations").get(account):
            yield required(f"metadata.annotations[{account}]")
    if secret.get("type") == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        yield required("data[username]")


def _validate_secret_change(new: Obj, old: Obj) -> Problems:
    yield from immutable("type", new.get("type"), old.get("type"))
    yield from _immutable_stays(new, old, "data")


# ResourceQuota and LimitRange: kept, so that manifests apply; admission reads the defaults of a LimitRange


def _default_quota(quota: Obj) -> None:
    spell_amounts(mapping(quota, "spec").get("hard"))


def _validate_quota(quota: Obj) -> Problems:
    yield from validate_amounts(mapping(quota, "spec").get("hard"), "spec.hard")


def _quota_uses(quota: Obj, *, limits: bool) -> str:
    hard, used = mapping(quota, "status", "hard") or mapping(quota, "spec", "hard"), mapping(quota, "status", "used")
    names = sorted(name for name in hard if name.startswith("limits.") is limits)
    return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)


_LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")


def _default_limit_range(limit_range: Obj) -> None:
    for _, item in numbered(limit_range, "spec", "limits", at=""):
        for part in ("max", "min", "default", "defaultRequest"):
            spell_amounts(item.get(part))
        if item.get("type") != "Container":
            continue
        if upper := mapping(item, "max"):
            item["default"] = upper | mapping(item, "default")
        requests = mapping(item, "default") | mapping(item, "min") | mapping(item, "defaultRequest")
        if requests:
            item["defaultRequest"] = requests


def _validate_limit_range(limit_range: Obj) -> Problems:
    seen = set()
    for at, item in numbered(limit_range, "spec", "limits", at="spec.limits"):
        type_name = text(item, "type")
        if not type_name:
            yield required(f"{at}.type")
        elif "/" not in type_name and type_name not in _LIMIT_TYPES:
            yield not_supported(f"{at}.type", type_name, _LIMIT_TYPES)
        if type_name in seen:
            yield duplicate(f"{at}.type", type_name)
        seen.add(type_name)
        for part in ("max", "min", "default", "defaultRequest"):
            yield from validate_amounts(item.get(part), f"{at}.{part}")
        for name, lower in mapping(item, "min").items():
            least, most = quantity(lower), quantity(mapping(item, "max").get(name))
            if least is not None and most is not None and least > most:
                message = f"min value {lower} is greater than max value {item['max'][name]}"
                yield invalid(f"{at}.min[{name}]", str(lower), message)


# Event


def _last_seen(event: Obj, now: datetime) -> str:
    for moment in (
        text(event, "series", "lastObservedTime"),
        text(event, "lastTimestamp"),
        text(event, "eventTime"),
        text(event, "firstTimestamp"),
    ):
        if moment:
            return age(moment, now)
    return UNKNOWN


def _first_seen(event: Obj, now: datetime) -> str:
    return age(text(event, "firstTimestamp") or text(event, "eventTime"), now)


def _source(event: Obj) -> str:
    component = text(event, "source", "component") or text(event, "reportingComponent")
    host = text(event, "source", "host")
    return f"{component}, {host}" if host else component


def _validate_event(event: Obj) -> Problems:
    about, here = text(event, "involvedObject", "namespace"), text(event, "metadata", "namespace")
    if about != here and not (not about and here == "default"):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")


_EVENT_COLUMNS = (
    Column("Last Seen", _last_seen),
    column("Type", lambda event: text(event, "type")),
    column("Reason", lambda event: text(event, "reason")),
    column("Object", lambda e: f"{text(e, 'involvedObject', 'kind').lower()}/{text(e, 'involvedObject', 'name')}"),
    column("Subobject", lambda event: text(event, "involvedObject", "fieldPath"), wide=True),
    column("Source", _source, wide=True),
    column("Message", lambda event: text(event, "message").strip()),
    Column("First Seen", _first_seen, priority=1),
    column("Count", lambda e: integer(e, "series", "count") or integer(e, "count") or 1, type="string", wide=True),
    column("Name", lambda event: text(event, "metadata", "name"), wide=True),
)


def _validate_pull_secrets(account: Obj) -> Problems:
    for at, secret in numbered(account, "imagePullSecrets", at="imagePullSecrets"):
        yield from check_name(f"{at}.name", secret.get("name"), dns_subdomain, needed=False)


RESOURCES = (
    kind(
        "v1",
        "Namespace",
        namespaced=False,
        short_names=("ns",),
        subresources=("status", "finalize"),
        columns=(NAME, column("Status", lambda namespace: text(namespace, "status", "phase")), AGE),
        selectable=("status.phase",),
        name_rule=dns_label,
        default=_default_namespace,
    ),
    kind(
        "v1",
        "ConfigMap",
        short_names=("cm",),
        columns=(
            NAME,
            column("Data", lambda c: len(mapping(c, "data")) + len(mapping(c, "binaryData")), type="string"),
            AGE,
        ),
        validate=lambda config: _validate_data(config, "data", "binaryData"),
        validate_update=lambda new, old: _immutable_stays(new, old, "data", "binaryData"),
    ),
    kind(
        "v1",
        "Secret",
        columns=(
            NAME,
            column("Type", lambda secret: text(secret, "type")),
            column("Data", lambda secret: len(mapping(secret, "data")), type="string"),
            AGE,
        ),
        selectable=("type",),
        default=_default_secret,
        validate=_validate_secret,
        validate_update=_validate_secret_change,
    ),
    kind(
        "v1",
        "ServiceAccount",
        short_names=("sa",),
        subresources=("token",),
        columns=(NAME, column("Secrets", lambda account: len(account.get("secrets") or ()), type="string"), AGE),
        validate=_validate_pull_secrets,
    ),
    kind(
        "v1",
        "ResourceQuota",
        short_names=("quota",),
        subresources=("status",),
        columns=(
            NAME,
            column("Request", lambda quota: _quota_uses(quota, limits=False)),
            column("Limit", lambda quota: _quota_uses(quota, limits=True)),
            AGE,
        ),
        default=_default_quota,
        validate=_validate_quota,
    ),
    kind(
        "v1",
        "LimitRange",
        short_names=("limits",),
        columns=(NAME, CREATED_AT),
        default=_default_limit_range,
        validate=_validate_limit_range,
    ),
    kind(
        "v1",
        "Event",
        short_names=("ev",),
        columns=_EVENT_COLUMNS,
        selectable=(
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ),
        selectable_as={"source": "source.component"},
        validate=_validate_event,
    ),
)
