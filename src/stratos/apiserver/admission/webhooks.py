"""Admission webhooks: who is asked, in what order, and what their answers do to the request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stratos.apiserver.admission.contract import AdmissionRefused, AdmissionRequest, Operation
from stratos.apiserver.admission.webhook_call import Verdict, WebhookCaller
from stratos.apiserver.admission.webhook_match import Webhook, conditions_hold, webhooks_of
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.patching import MalformedPatch, PatchFailed, json_patch
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import Invalid, StratosError, Unavailable
from stratos.base.ids import IdSource

_GROUP = "admissionregistration.k8s.io"
_MUTATING = f"mutatingwebhookconfigurations.{_GROUP}"
_VALIDATING = f"validatingwebhookconfigurations.{_GROUP}"


class Webhooks:
    """Asks mutating webhooks one after the other and validating ones all at once.

    Writes of webhook configurations are never sent: a broken webhook could not be removed any more.
    """

    def __init__(self, objects: ObservedObjects, caller: WebhookCaller, ids: IdSource) -> None:
        self._objects = objects
        self._caller = caller
        self._ids = ids
        self._known: dict[str, tuple[tuple[int, ...], tuple[Webhook, ...]]] = {}

    async def mutate(self, request: AdmissionRequest) -> bool:
        """Let webhooks change the object; says whether one did."""
        changes, asked = 0, []
        for webhook in self._matching(_MUTATING, request):
            changes += await self._ask_for_change(webhook, request)
            asked.append((webhook, changes))
        for webhook, changes_seen in asked:
            # Once more for those who want to see what others did after them.
            if webhook.reinvoked and changes > changes_seen:
                changes += await self._ask_for_change(webhook, request)
        return changes > 0

    async def validate(self, request: AdmissionRequest) -> None:
        wanted = self._matching(_VALIDATING, request)
        answers = await asyncio.gather(*(self._ask(webhook, request) for webhook in wanted), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    def _matching(self, group_resource: str, request: AdmissionRequest) -> list[Webhook]:
        if request.resource.group_resource in (_MUTATING, _VALIDATING):
            return []
        webhooks = self._webhooks(group_resource)
        if not webhooks:
            return []
        namespace = self._objects.get("namespaces", "", request.namespace) if request.namespace else None
        return [webhook for webhook in webhooks if webhook.concerns(request, namespace)]

    def _webhooks(self, group_resource: str) -> Sequence[Webhook]:
        """The webhooks of all configurations, by the name of the configuration and their place in it."""
        changes = self._objects.changes((group_resource,))
        known = self._known.get(group_resource)
        if known is None or known[0] != changes:
            found = [webhook for obj in self._objects.all(group_resource) for webhook in webhooks_of(obj)]
            known = self._known[group_resource] = changes, tuple(found)
        return known[1]

    async def _ask_for_change(self, webhook: Webhook, request: AdmissionRequest) -> int:
        """1 if the webhook changed the object, else 0."""
        verdict = await self._ask(webhook, request)
        if verdict is None or not verdict.patch or request.obj is None:
            return 0
        try:
            changed = json_patch(request.obj, verdict.patch)
        except (MalformedPatch, PatchFailed) as error:
            if webhook.ignores_failure:
                return 0
            raise _failed(webhook, error) from error
        if changed == request.obj:
            return 0
        request.obj = changed
        return 1

    async def _ask(self, webhook: Webhook, request: AdmissionRequest) -> Verdict | None:
        """The verdict of a webhook that allows the request; `None` when it was not asked or its failure is ignored."""
        review = self._review_of(request)
        try:
            if not conditions_hold(webhook, request, review):
                return None
            verdict = await self._caller.call(webhook, review)
        except (Invalid, Unavailable) as error:
            if webhook.ignores_failure:
                return None
            raise _failed(webhook, error) from error
        request.warnings.extend(verdict.warnings)
        if not verdict.allowed:
            raise _denied(webhook, verdict)
        return verdict

    def _review_of(self, request: AdmissionRequest) -> Obj:
        resource = request.resource
        group, version, kind = request.object_kind
        kind_of_object = {"group": group, "version": version, "kind": kind}
        plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
        review: Obj = {
            "uid": self._ids.uid(),
            "kind": kind_of_object,
            "resource": plural,
            "requestKind": kind_of_object,
            "requestResource": plural,
            "name": request.name,
            "operation": request.operation.value,
            "userInfo": request.user.as_user_info(),
            "object": _with_kind(request, request.obj),
            "oldObject": _with_kind(request, request.old_obj),
            "dryRun": request.dry_run,
            "options": request.options or _options_of(request.operation),
        }
        if request.namespace:
            review["namespace"] = request.namespace
        if request.subresource:
            review["subResource"] = review["requestSubResource"] = request.subresource
        return review


def _with_kind(request: AdmissionRequest, obj: Obj | None) -> Obj | None:
    """A copy that says what it is, and that nothing in flight can change."""
    if obj is None:
        return None
    kind = {"apiVersion": request.resource.group_version, "kind": request.resource.kind}
    copied: Obj = copy_json({**kind, **obj})
    return copied


def _options_of(operation: Operation) -> Obj | None:
    if operation is Operation.CONNECT:
        return None
    return {"kind": f"{operation.value.capitalize()}Options", "apiVersion": "meta.k8s.io/v1"}


def _failed(webhook: Webhook, error: StratosError) -> AdmissionRefused:
    message = f'Internal error occurred: failed calling webhook "{webhook.name}": {error.message}'
    return AdmissionRefused(message, code=500, reason="InternalError")


def _denied(webhook: Webhook, verdict: Verdict) -> AdmissionRefused:
    status = verdict.status
    said = status.get("message") or status.get("reason")
    message = f'admission webhook "{webhook.name}" denied the request'
    code = status.get("code")
    return AdmissionRefused(
        f"{message}: {said}" if said else f"{message} without explanation",
        code=code if isinstance(code, int) and code >= 400 else 403,
        reason=status.get("reason") or "Forbidden",
        details=status.get("details"),
    )
