"""Tells on every NodeTemplate whether API servers can ask the webhook about its pods.

While they cannot, pods pass unmodified: nothing is lost, but the scheduler does not learn which nodes are theirs.
"""

from __future__ import annotations

import msgspec

from stratos.apis.meta import find_condition, with_condition
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.base.clock import Clock
from stratos.base.errors import NotFound
from stratos.kube.codec import merge_patch
from stratos.kube.controller import Controller, Manager

ADMISSION_READY = "AdmissionReady"


class AdmissionHealth:
    """One condition, written on top of what the templates' own controller reports there."""

    def __init__(self, manager: Manager, clock: Clock) -> None:
        self._client = manager.client
        self._clock = clock
        self._templates = manager.cache(NODE_TEMPLATE)

    def connect(self, controller: Controller, key: str) -> None:
        """Bring up ``key`` when a template says nothing of it yet, or no longer."""

        def changed(template: NodeTemplate) -> None:
            if find_condition(template.status.conditions, ADMISSION_READY) is None:
                controller.enqueue(key)

        self._templates.subscribe(lambda event: changed(event.object))

    async def report(self, problem: str) -> None:
        """``problem`` says what is wrong and what to do; empty: nothing is."""
        ready = not problem
        reason, message = ("Trusted", "") if ready else ("CertificateFailed", problem)
        for template in self._templates.list():
            before = template.status
            conditions = with_condition(
                before.conditions, ADMISSION_READY, ready, reason=reason, message=message, now=self._clock.now()
            )
            if conditions == before.conditions:
                continue
            patch = merge_patch(before, msgspec.structs.replace(before, conditions=conditions))
            version = {"resourceVersion": template.metadata.resource_version}
            try:
                written = await self._client.patch(
                    NODE_TEMPLATE,
                    template.metadata.name,
                    {"metadata": version, "status": patch},
                    subresource="status",
                )
            except NotFound:
                continue
            self._templates.observe(written)
