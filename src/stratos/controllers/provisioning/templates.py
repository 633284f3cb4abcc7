"""The loop for the templates themselves: what they match, what their nodes cost, and how they end.

A template that is deleted takes its machines with it. The default template does not go: its deletion waits until it is
the default no more.
"""

from __future__ import annotations

import random
from typing import Any

from stratos.apis import labels
from stratos.apis.meta import Condition, with_condition
from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.apis.nodeclasses import NodeClass
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate, NodeTemplateStatus
from stratos.base.clock import Clock
from stratos.base.errors import Invalid, NotFound
from stratos.base.words import counted
from stratos.controllers.provisioning.claims import ClaimWrites
from stratos.controllers.provisioning.look import Lookout
from stratos.controllers.provisioning.metrics import ProvisioningMetrics
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.codec import merge_patch
from stratos.kube.controller import Controller, Manager
from stratos.kube.recorder import EventRecorder
from stratos.planning.provisioning.candidates import Candidates, candidates_of
from stratos.planning.provisioning.validation import check_template
from stratos.providers.contract import Provider
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_GATHER_SECONDS = 0.1  # for news of machines, which come in hundreds

log = get_logger(__name__)


def template_controller(
    manager: Manager,
    provider: Provider,
    seen: Lookout,
    writes: ClaimWrites,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    metrics: ProvisioningMetrics,
    controller_metrics: ControllerMetrics | None = None,
) -> Controller:
    """Make the loop and add it to ``manager``."""
    loop = _Templates(manager, provider, seen, writes, recorder, clock=clock, metrics=metrics)
    controller = Controller("templates", loop.reconcile, clock=clock, rng=rng, metrics=controller_metrics)
    loop.connect(controller)
    manager.add(controller)
    return controller


class _Templates:
    def __init__(
        self,
        manager: Manager,
        provider: Provider,
        seen: Lookout,
        writes: ClaimWrites,
        recorder: EventRecorder,
        *,
        clock: Clock,
        metrics: ProvisioningMetrics,
    ) -> None:
        self._client = manager.client
        self._provider = provider
        self._seen = seen
        self._writes = writes
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self._shown: set[str] = set()  # templates with numbers in the metrics

    def connect(self, controller: Controller) -> None:
        seen, enqueue = self._seen, controller.enqueue

        def template_changed(event: CacheEvent[NodeTemplate]) -> None:
            if event.old is None or event.change is Change.DELETED or _decides(event.old) != _decides(event.object):
                enqueue(event.key)

        def claim_changed(event: CacheEvent[NodeClaim]) -> None:
            if event.object.spec.template:
                enqueue(event.object.spec.template, _GATHER_SECONDS)

        def watch_class(kind: str, cache: Cache[NodeClass]) -> None:
            def changed(event: CacheEvent[NodeClass]) -> None:
                for template in seen.templates:
                    ref = template.spec.node_class_ref
                    if (ref.kind, ref.name) == (kind, event.key):
                        enqueue(template.metadata.name)

            cache.subscribe(changed)

        seen.templates.subscribe(template_changed)
        seen.claims.subscribe(claim_changed)
        for kind, cache in seen.classes.items():
            watch_class(kind, cache)

    async def reconcile(self, key: str) -> None:
        template = self._seen.templates.get(key)
        if template is None:
            self._forget(key)
            return
        template = await self._take_charge(template)
        status = self._status(template)
        if status != template.status:
            patch = {"status": merge_patch(template.status, status)}
            try:
                written = await self._client.patch(NODE_TEMPLATE, key, patch, subresource="status")
            except NotFound:
                return
            self._seen.templates.observe(written)
        self._metrics.show(key, status)
        self._shown.add(key)
        if template.metadata.deletion_timestamp is not None and not template.spec.is_default:
            await self._end(template)

    async def _take_charge(self, template: NodeTemplate) -> NodeTemplate:
        """Hold the template back from deletion until its machines are gone."""
        metadata = template.metadata
        if metadata.deletion_timestamp is not None or labels.TEMPLATE_FINALIZER in metadata.finalizers:
            return template
        finalizers = [*metadata.finalizers, labels.TEMPLATE_FINALIZER]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata.resource_version}}
        template = await self._client.patch(NODE_TEMPLATE, metadata.name, patch)
        self._seen.templates.observe(template)
        return template

    async def _end(self, template: NodeTemplate) -> None:
        claims = self._seen.claims_of(template.metadata.name)
        for claim in claims:
            if claim.spec.wanted is not Wanted.GONE:
                await self._writes.let_go(claim, "TemplateDeleted", "the template is being deleted", self._clock.now())
        if not claims:
            left = [held for held in template.metadata.finalizers if held != labels.TEMPLATE_FINALIZER]
            try:
                await self._client.patch(NODE_TEMPLATE, template.metadata.name, {"metadata": {"finalizers": left}})
            except NotFound:
                log.debug("template was gone already", template=template.metadata.name)

    # What it reports

    def _status(self, template: NodeTemplate) -> NodeTemplateStatus:
        found, reason, message = self._candidates(template)
        conditions = template.status.conditions

        def state(type_: str, status: bool, why: str, text: str) -> None:
            nonlocal conditions
            conditions = self._with(conditions, template, type_, status, why, text)

        usable = reason in ("Ready", "Disabled")
        state("Ready", reason == "Ready", reason, message)
        deleting = template.metadata.deletion_timestamp is not None
        if deleting:
            held = template.spec.is_default
            why = "it is the default template: set isDefault to false, or isEnabled, to stop new nodes" if held else ""
            claims = self._seen.claims_of(template.metadata.name)
            text = why or f"its nodes go first: {counted(len(claims), 'machine')}"
            state("Deleting", not held, "DefaultTemplate" if held else "Deleting", text)
        alive = [claim for claim in self._seen.claims_of(template.metadata.name) if claim.wish is not Wanted.GONE]
        cheapest = (
            min(found.all, key=lambda each: (each.price_usd_per_hour, each.offering)) if found and found.all else None
        )
        return NodeTemplateStatus(
            conditions=conditions,
            observed_generation=template.metadata.generation,
            matching_types=found.matching_types if found is not None and usable else 0,
            cheapest_type=cheapest.offering.instance_type if cheapest is not None else "",
            nodes=len(alive),
            cost_usd_per_hour=round(sum(claim.price_usd_per_hour for claim in alive), 6),
            backed_off=template.status.backed_off,
        )

    def _candidates(self, template: NodeTemplate) -> tuple[Candidates | None, str, str]:
        """What the template may buy; and whether it is ready to, with a reason and a message."""
        ground = self._seen.ground_of(template)
        try:
            check_template(template)
            found = candidates_of(template, self._provider.catalog, ground, self._seen.daemons())
        except Invalid as error:
            return None, "Invalid", "; ".join((error.message, *error.looked_at))
        if ground.problem:
            return found, "NodeClassNotReady", ground.problem
        if not template.spec.is_enabled:
            return found, "Disabled", "isEnabled is false: no new nodes are made"
        if not found.types:
            ruled_out = ", ".join(f"{rule} rules out {number}" for rule, number in found.rejections().items())
            return found, "NothingMatches", "; ".join((f"no instance type is left: {ruled_out}", *found.notes))
        return found, "Ready", "; ".join((counted(found.matching_types, "matching type"), *found.notes))

    def _with(
        self,
        conditions: tuple[Condition, ...],
        template: NodeTemplate,
        type_: str,
        status: bool,
        reason: str,
        message: str,
    ) -> tuple[Condition, ...]:
        return with_condition(
            conditions,
            type_,
            status,
            reason=reason,
            message=message,
            now=self._clock.now(),
            observed_generation=template.metadata.generation,
        )

    def _forget(self, template: str) -> None:
        if template in self._shown:
            self._shown.discard(template)
            self._metrics.forget(template)


def _decides(template: NodeTemplate) -> tuple[Any, ...]:
    metadata = template.metadata
    return metadata.uid, metadata.generation, metadata.deletion_timestamp, template.status.backed_off
