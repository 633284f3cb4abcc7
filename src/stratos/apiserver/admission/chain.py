"""The order in which admission happens: plugins change, webhooks change, then both judge."""

from __future__ import annotations

from collections.abc import Sequence

from stratos.apiserver.admission.contract import AdmissionRequest
from stratos.apiserver.admission.limits import LimitRanger
from stratos.apiserver.admission.namespaces import NamespaceLifecycle
from stratos.apiserver.admission.plugins import Plugin
from stratos.apiserver.admission.pods import DefaultTolerationSeconds, PriorityAdmission, ServiceAccountAdmission
from stratos.apiserver.admission.roles import RoleEscalation
from stratos.apiserver.admission.services import ServiceAddresses
from stratos.apiserver.admission.webhook_call import WebhookCaller
from stratos.apiserver.admission.webhooks import Webhooks
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.observed import ObservedObjects
from stratos.base.ids import IdSource


class AdmissionChain:
    """Built-in plugins in their order, and webhooks after them."""

    def __init__(self, plugins: Sequence[Plugin], webhooks: Webhooks | None = None) -> None:
        self._plugins = tuple(plugins)
        self._webhooks = webhooks

    async def mutate(self, request: AdmissionRequest) -> None:
        for plugin in self._plugins:
            await plugin.mutate(request)
        if self._webhooks is not None and await self._webhooks.mutate(request):
            for plugin in self._plugins:
                await plugin.mutate(request)

    async def validate(self, request: AdmissionRequest) -> None:
        for plugin in self._plugins:
            await plugin.validate(request)
        if self._webhooks is not None:
            await self._webhooks.validate(request)


def builtin_plugins(objects: ObservedObjects, authorizer: RbacAuthorizer) -> list[Plugin]:
    return [
        NamespaceLifecycle(objects),
        LimitRanger(objects),
        ServiceAccountAdmission(objects),
        PriorityAdmission(objects),
        DefaultTolerationSeconds(),
        ServiceAddresses(objects),
        RoleEscalation(authorizer),
    ]


def build_admission(
    objects: ObservedObjects,
    authorizer: RbacAuthorizer,
    ids: IdSource,
    *,
    caller: WebhookCaller | None = None,
) -> AdmissionChain:
    """Everything admission does. Without a ``caller``, webhooks are not asked; its maker closes it."""
    webhooks = Webhooks(objects, caller, ids) if caller is not None else None
    return AdmissionChain(builtin_plugins(objects, authorizer), webhooks)
