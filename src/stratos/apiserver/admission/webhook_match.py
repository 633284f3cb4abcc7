"""Which requests a webhook wants to see: rules, selectors and match conditions of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stratos.apiserver.admission.contract import AdmissionRequest
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import Invalid
from stratos.base.selectors import LabelSelector, from_label_selector

_ALL = "*"


@dataclass(frozen=True, slots=True)
class WebhookRule:
    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: frozenset[str]
    scope: str

    def matches(self, request: AdmissionRequest) -> bool:
        resource = request.resource
        return (
            _holds(self.operations, request.operation.value)
            and _holds(self.groups, resource.group)
            and _holds(self.versions, resource.version)
            and self.scope in (_ALL, "Namespaced" if resource.namespaced else "Cluster")
            and self._names(resource.plural, request.subresource)
        )

    def _names(self, plural: str, subresource: str) -> bool:
        if not subresource:
            return any(name in self.resources for name in (plural, f"{plural}/*", "*", "*/*"))
        wanted = (f"{plural}/{subresource}", f"{plural}/*", f"*/{subresource}", "*/*")
        return any(name in self.resources for name in wanted)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of one configuration, ready to be asked."""

    name: str
    configuration: str
    mutating: bool
    client: Mapping[str, Any]
    rules: tuple[WebhookRule, ...]
    namespace_selector: LabelSelector
    object_selector: LabelSelector
    conditions: tuple[tuple[str, str], ...]  # name and CEL expression
    ignores_failure: bool
    timeout_seconds: float
    reinvoked: bool

    def concerns(self, request: AdmissionRequest, namespace: Obj | None) -> bool:
        """Whether rules and selectors match; conditions are asked separately, as they may fail."""
        return (
            any(rule.matches(request) for rule in self.rules)
            and self._selects_namespace(request, namespace)
            and any(
                self.object_selector.matches(labels_of(obj))
                for obj in (request.obj, request.old_obj)
                if obj is not None
            )
        )

    def _selects_namespace(self, request: AdmissionRequest, namespace: Obj | None) -> bool:
        if request.resource.group_resource == "namespaces":
            namespace = request.obj or request.old_obj
        elif not request.resource.namespaced:
            return True
        return self.namespace_selector.matches(labels_of(namespace))


def labels_of(obj: Obj | None) -> Mapping[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}


def webhooks_of(configuration: Obj) -> list[Webhook]:
    """The webhooks of a stored configuration, which has been defaulted and validated."""
    return [
        Webhook(
            name=webhook["name"],
            configuration=configuration["metadata"]["name"],
            mutating=configuration["kind"] == "MutatingWebhookConfiguration",
            client=webhook["clientConfig"],
            rules=tuple(_rule(rule) for rule in webhook.get("rules") or ()),
            namespace_selector=from_label_selector(webhook.get("namespaceSelector") or {}),
            object_selector=from_label_selector(webhook.get("objectSelector") or {}),
            conditions=tuple((c["name"], c["expression"]) for c in webhook.get("matchConditions") or ()),
            ignores_failure=webhook.get("failurePolicy") == "Ignore",
            timeout_seconds=float(webhook.get("timeoutSeconds") or 10),
            reinvoked=webhook.get("reinvocationPolicy") == "IfNeeded",
        )
        for webhook in configuration.get("webhooks") or ()
    ]


def _rule(rule: Obj) -> WebhookRule:
    return WebhookRule(
        frozenset(rule.get("operations") or ()),
        frozenset(rule.get("apiGroups") or ()),
        frozenset(rule.get("apiVersions") or ()),
        frozenset(rule.get("resources") or ()),
        rule.get("scope") or _ALL,
    )


def _holds(values: frozenset[str], value: str) -> bool:
    return value in values or _ALL in values


def conditions_hold(webhook: Webhook, request: AdmissionRequest, review: Obj) -> bool:
    """Whether all match conditions are true. Raises `Invalid` if one fails and none is false."""
    variables = {"object": request.obj, "oldObject": request.old_obj, "request": review}
    failures = []
    for name, expression in webhook.conditions:
        try:
            if _evaluate(expression, variables) is not True:
                return False
        except (ValueError, TypeError, LookupError, RuntimeError, ArithmeticError) as error:
            failures.append(f"{name}: {error}")
    if failures:
        raise Invalid(f"failed evaluating match conditions: {'; '.join(failures)}")
    return True


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    import cel  # takes half a second, so only once a condition is met

    return cel.compile(expression)


def _evaluate(expression: str, variables: Mapping[str, Any]) -> object:
    import cel

    result: object = _compiled(expression).execute(cel.Context(variables=dict(variables)))
    return result
