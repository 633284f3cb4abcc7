"""What may be a name: DNS names, label keys and values, ports, and the metadata every object carries."""

from __future__ import annotations

import re
from collections.abc import Callable

from stratos.apiserver.registry.builtin.fields import (
    Problems,
    forbidden,
    invalid,
    mapping,
    numbered,
    required,
    text,
    too_long,
)
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import FieldProblem

_LABEL_PATTERN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_1123_LABEL = re.compile(_LABEL_PATTERN)
_DNS_1123_SUBDOMAIN = re.compile(rf"{_LABEL_PATTERN}(\.{_LABEL_PATTERN})*")
_DNS_1035_LABEL = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PATH_SEGMENT_BAD = re.compile("[/%]")
_ENVIRONMENT_NAME = re.compile("[ -<>-~]+")
_CONFIG_KEY = re.compile("[-._a-zA-Z0-9]+")
_PORT_NAME = re.compile("[-a-z0-9]+")

_ANNOTATIONS_BYTES_MAX = 256 * 1024

NameRule = Callable[[str], "str | None"]
"""A rule looks at a name and says what is wrong with it, or nothing."""


def dns_label(name: str) -> str | None:
    if len(name) > 63:
        return "must be no more than 63 bytes"
    if not _DNS_1123_LABEL.fullmatch(name):
        return (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )
    return None


def dns_subdomain(name: str) -> str | None:
    if len(name) > 253:
        return "must be no more than 253 bytes"
    if not _DNS_1123_SUBDOMAIN.fullmatch(name):
        return (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    return None


def dns_1035_label(name: str) -> str | None:
    if len(name) > 63:
        return "must be no more than 63 bytes"
    if not _DNS_1035_LABEL.fullmatch(name):
        return (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        )
    return None


def path_segment(name: str) -> str | None:
    """RBAC names may hold colons and capitals; they only have to fit between two slashes."""
    if name in (".", ".."):
        return f"may not be '{name}'"
    if match := _PATH_SEGMENT_BAD.search(name):
        return f"may not contain '{match[0]}'"
    return None


def qualified_name(name: str) -> str | None:
    """A label or annotation key: an optional DNS prefix, a slash and a name."""
    prefix, slash, rest = name.rpartition("/")
    if slash:
        if not prefix:
            return "prefix part must be non-empty"
        if "/" in prefix:
            return "a qualified name must consist of a name with an optional DNS subdomain prefix and '/'"
        if problem := dns_subdomain(prefix):
            return f"prefix part {problem}"
    if not rest:
        return "name part must be non-empty"
    if len(rest) > 63:
        return "name part must be no more than 63 bytes"
    if not _QUALIFIED.fullmatch(rest):
        return (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    return None


def label_value(value: str) -> str | None:
    if len(value) > 63:
        return "must be no more than 63 bytes"
    if value and not _QUALIFIED.fullmatch(value):
        return (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
            "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    return None


def environment_name(name: str) -> str | None:
    if not _ENVIRONMENT_NAME.fullmatch(name):
        return "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return None


def config_key(name: str) -> str | None:
    """A key of a ConfigMap or Secret: it becomes a file name."""
    if len(name) > 253:
        return "must be no more than 253 bytes"
    if not _CONFIG_KEY.fullmatch(name):
        return (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    if name in (".", "..") or name.startswith(".."):
        return f"a valid config key must not be '{name}'" if name in (".", "..") else "must not start with '..'"
    return None


def port_name(name: str) -> str | None:
    if len(name) > 15:
        return "must be no more than 15 characters"
    if not _PORT_NAME.fullmatch(name):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any(letter.isalpha() for letter in name):
        return "must contain at least one letter (a-z)"
    if "--" in name:
        return "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        return "must not begin or end with a hyphen"
    return None


def port_number(port: int) -> str | None:
    return None if 1 <= port <= 65535 else "must be between 1 and 65535, inclusive"


def check_name(field: str, name: object, rule: NameRule, *, needed: bool = True) -> Problems:
    """Complain about a name that is missing or breaks its rule."""
    if not isinstance(name, str) or not name:
        if needed:
            yield required(field)
    elif problem := rule(name):
        yield invalid(field, name, problem)


def validate_labels(labels: object, field: str) -> Problems:
    for key, value in mapping(labels).items():
        if problem := qualified_name(key):
            yield invalid(field, key, problem)
        if isinstance(value, str) and (problem := label_value(value)):
            yield invalid(field, value, problem)


def validate_annotations(annotations: object, field: str) -> Problems:
    total_bytes = 0
    for key, value in mapping(annotations).items():
        if problem := qualified_name(key.lower()):
            yield invalid(field, key, problem)
        total_bytes += len(key.encode()) + (len(value.encode()) if isinstance(value, str) else 0)
    if total_bytes > _ANNOTATIONS_BYTES_MAX:
        yield too_long(field, _ANNOTATIONS_BYTES_MAX)


def validate_metadata(obj: Obj, name_rule: NameRule = dns_subdomain) -> Problems:
    """What holds for the metadata of every kind; the rule for names is the kind's own."""
    metadata = mapping(obj, "metadata")
    name, prefix = text(metadata, "name"), text(metadata, "generateName")
    if not name and not prefix:
        yield required("metadata.name", "name or generateName is required")
    if name and (problem := name_rule(name)):
        yield invalid("metadata.name", name, problem)
    if prefix and (problem := name_rule(prefix.rstrip("-.") + "x")):
        yield invalid("metadata.generateName", prefix, problem)
    yield from validate_labels(metadata.get("labels"), "metadata.labels")
    yield from validate_annotations(metadata.get("annotations"), "metadata.annotations")
    yield from _validate_finalizers(metadata)
    yield from _validate_owners(metadata)


def _validate_finalizers(metadata: Obj) -> Problems:
    finalizers = metadata.get("finalizers")
    for finalizer in finalizers if isinstance(finalizers, list) else ():
        if not isinstance(finalizer, str):
            continue
        if problem := qualified_name(finalizer):
            yield invalid("metadata.finalizers", finalizer, problem)
    if isinstance(finalizers, list) and {"orphan", "foregroundDeletion"} <= {str(name) for name in finalizers}:
        yield FieldProblem(
            "metadata.finalizers",
            "FieldValueInvalid",
            "Invalid value: finalizer orphan and foregroundDeletion cannot be both set",
        )


def _validate_owners(metadata: Obj) -> Problems:
    controllers = []
    for field, owner in numbered(metadata, "ownerReferences", at="metadata.ownerReferences"):
        if not text(owner, "apiVersion"):
            yield invalid(f"{field}.apiVersion", owner.get("apiVersion", ""), "version must not be empty")
        if not text(owner, "kind"):
            yield invalid(f"{field}.kind", owner.get("kind", ""), "must not be empty")
        if not text(owner, "name"):
            yield invalid(f"{field}.name", owner.get("name", ""), "must not be empty")
        if not text(owner, "uid"):
            yield invalid(f"{field}.uid", owner.get("uid", ""), "must not be empty")
        if text(owner, "apiVersion") == "v1" and text(owner, "kind") == "Event":
            yield invalid(field, owner, "v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller") is True:
            controllers.append(text(owner, "name"))
    if len(controllers) > 1:
        yield invalid(
            "metadata.ownerReferences",
            controllers,
            f"Only one reference can have Controller set to true. Found {len(controllers)}",
        )


def validate_label_selector(selector: object, field: str) -> Problems:
    """A ``LabelSelector`` of a manifest: keys, values, and operators that suit their values."""
    yield from validate_labels(mapping(selector, "matchLabels"), f"{field}.matchLabels")
    for at, expression in numbered(selector, "matchExpressions", at=f"{field}.matchExpressions"):
        values = expression.get("values") or []
        match expression.get("operator"):
            case "In" | "NotIn":
                if not values:
                    yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            case "Exists" | "DoesNotExist":
                if values:
                    yield forbidden(
                        f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    )
            case other:
                yield invalid(f"{at}.operator", other, "not a valid selector operator")
        yield from check_name(f"{at}.key", expression.get("key"), qualified_name)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str) and (problem := label_value(value)):
                yield invalid(f"{at}.values[{index}]", value, problem)
