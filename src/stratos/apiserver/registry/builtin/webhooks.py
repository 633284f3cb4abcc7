"""The configurations of admission webhooks. Calling them is ``admission``'s affair."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from stratos.apiserver.registry.builtin.columns import AGE, NAME, column
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    forbidden,
    integer,
    invalid,
    items,
    mapping,
    mappings,
    numbered,
    one_of,
    repeated,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import (
    check_name,
    dns_1035_label,
    dns_label,
    port_number,
    qualified_name,
    validate_label_selector,
)
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.resource import Obj

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_CONDITIONS_MAX = 64


def _default_webhooks(configuration: Obj) -> None:
    for webhook in mappings(configuration, "webhooks"):
        fill(
            webhook,
            failurePolicy="Fail",
            matchPolicy="Equivalent",
            namespaceSelector={},
            objectSelector={},
            timeoutSeconds=10,
        )
        if configuration.get("kind") == "MutatingWebhookConfiguration":
            fill(webhook, reinvocationPolicy="Never")
        for rule in mappings(webhook, "rules"):
            fill(rule, scope="*")
        if service := mapping(webhook, "clientConfig", "service"):
            fill(service, port=443)


def _validate_webhooks(configuration: Obj) -> Problems:
    webhooks = list(numbered(configuration, "webhooks", at="webhooks"))
    for at, webhook in webhooks:
        yield from _validate_webhook(webhook, at)
    yield from repeated((f"{at}.name", webhook.get("name")) for at, webhook in webhooks)


def _validate_webhook(webhook: dict[str, Any], field: str) -> Problems:
    yield from _validate_full_name(webhook.get("name"), f"{field}.name")
    versions = items(webhook, "admissionReviewVersions")
    if not versions:
        yield required(f"{field}.admissionReviewVersions", "must specify one of " + ", ".join(_REVIEW_VERSIONS))
    elif not set(_REVIEW_VERSIONS) & {str(version) for version in versions}:
        yield invalid(
            f"{field}.admissionReviewVersions", versions, "must include at least one of " + ", ".join(_REVIEW_VERSIONS)
        )
    effects = webhook.get("sideEffects")
    if effects is None:
        yield required(f"{field}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from one_of(f"{field}.sideEffects", effects, ("None", "NoneOnDryRun"))
    yield from one_of(f"{field}.failurePolicy", webhook.get("failurePolicy"), ("Fail", "Ignore"))
    yield from one_of(f"{field}.matchPolicy", webhook.get("matchPolicy"), ("Equivalent", "Exact"))
    yield from one_of(f"{field}.reinvocationPolicy", webhook.get("reinvocationPolicy"), ("IfNeeded", "Never"))
    seconds = integer(webhook, "timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        yield invalid(f"{field}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    yield from validate_label_selector(webhook.get("namespaceSelector"), f"{field}.namespaceSelector")
    yield from validate_label_selector(webhook.get("objectSelector"), f"{field}.objectSelector")
    for at, rule in numbered(webhook, "rules", at=f"{field}.rules"):
        yield from _validate_rule(rule, at)
    yield from _validate_client(mapping(webhook, "clientConfig"), f"{field}.clientConfig")
    yield from _validate_conditions(webhook, field)


def _validate_full_name(name: object, field: str) -> Problems:
    if not isinstance(name, str) or not name:
        yield required(field)
        return
    if any(dns_label(part) for part in name.split(".")):
        yield invalid(field, name, "each part between the dots must be a lowercase RFC 1123 label")
    elif name.count(".") < 2:
        yield invalid(field, name, "should be a domain with at least three segments separated by dots")


def _validate_rule(rule: dict[str, Any], field: str) -> Problems:
    operations = items(rule, "operations")
    if not operations:
        yield required(f"{field}.operations")
    for index, operation in enumerate(operations):
        yield from one_of(f"{field}.operations[{index}]", operation, _OPERATIONS, needed=True)
    for part in ("operations", "apiGroups", "apiVersions"):
        values = items(rule, part)
        if not values and part != "operations":
            yield required(f"{field}.{part}")
        if len(values) > 1 and "*" in values:
            yield invalid(f"{field}.{part}", values, "if '*' is present, must not specify other values")
    resources = items(rule, "resources")
    if not resources:
        yield required(f"{field}.resources")
    for index, resource in enumerate(resources):
        if not resource:
            yield required(f"{field}.resources[{index}]")
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(f"{field}.resources", resources, "if '*/*' is present, must not specify other resources")
    yield from one_of(f"{field}.scope", rule.get("scope"), _SCOPES)


def _validate_client(client: dict[str, Any], field: str) -> Problems:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield required(field, "exactly one of url or service is required")
    if isinstance(url, str):
        yield from _validate_url(url, f"{field}.url")
    if isinstance(service, dict):
        for part in ("name", "namespace"):
            yield from check_name(
                f"{field}.service.{part}", service.get(part), dns_1035_label if part == "name" else dns_label
            )
        if (port := integer(service, "port")) is not None and (problem := port_number(port)):
            yield invalid(f"{field}.service.port", port, problem)
        if (path := text(service, "path")) and not path.startswith("/"):
            yield invalid(f"{field}.service.path", path, "must start with a '/'")
    if (bundle := client.get("caBundle")) is not None:
        try:
            base64.b64decode(str(bundle), validate=True)
        except binascii.Error:
            yield invalid(f"{field}.caBundle", bundle, "unable to load root certificates: not base64")


def _validate_url(url: str, field: str) -> Problems:
    form = "; desired format: https://host[/path]"
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield invalid(field, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not parts.netloc:
        yield invalid(field, parts.netloc, f"host must be specified{form}")
    if parts.username is not None:
        yield invalid(field, parts.username, "user information is not permitted in the URL")
    for part, value in (("fragments", parts.fragment), ("query parameters", parts.query)):
        if value:
            yield invalid(field, value, f"{part} are not permitted in the URL")


def _validate_conditions(webhook: dict[str, Any], field: str) -> Problems:
    conditions = list(numbered(webhook, "matchConditions", at=f"{field}.matchConditions"))
    if len(conditions) > _CONDITIONS_MAX:
        yield forbidden(f"{field}.matchConditions", f"must not contain more than {_CONDITIONS_MAX} items")
    for at, condition in conditions:
        yield from check_name(f"{at}.name", condition.get("name"), qualified_name)
        if not text(condition, "expression").strip():
            yield required(f"{at}.expression")
    yield from repeated((f"{at}.name", condition.get("name")) for at, condition in conditions)


_COLUMNS = (NAME, column("Webhooks", lambda c: len(items(c, "webhooks")), type="integer"), AGE)

RESOURCES = tuple(
    kind(
        "admissionregistration.k8s.io/v1",
        name,
        namespaced=False,
        categories=("api-extensions",),
        columns=_COLUMNS,
        default=_default_webhooks,
        validate=_validate_webhooks,
    )
    for name in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
)
