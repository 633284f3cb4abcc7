"""Admission reviews in, verdicts out: plain values, as the API server sends and reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.node import Taint
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.catalog.catalog import Catalog
from stratos.planning.provisioning.annotations import NO_WISHES
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.draft import taints_of
from stratos.planning.provisioning.machine_labels import asked_of_nodes
from stratos.planning.provisioning.serving import designating_template, is_for_templates
from stratos.planning.provisioning.validation import check_template

Review = Mapping[str, Any]
"""The ``request`` of an AdmissionReview."""

Verdict = dict[str, Any]
"""The ``response`` to it."""

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def review_pod(request: Review, templates: Sequence[NodeTemplate], catalog: Catalog) -> Verdict:
    """A pod that a template selects gets the selector of its nodes, and tolerates their taints.

    What its annotations say of its machine is said to the scheduler, too: a pod that must not be interrupted never
    lands on spot, however much room there is.
    """
    written = request["object"]
    pod = msgspec.convert(written, Pod, strict=False)
    patch: list[dict[str, Any]] = []
    template = designating_template(pod, templates)
    if template is not None:
        patch += _select(written, labels.TEMPLATE, template.metadata.name)
        patch += _tolerate(written, taints_of(template))
    patch += _require(written, _wished_for(pod, templates, catalog))
    return _allowed(request, patch)


def review_template(request: Review, templates: Sequence[NodeTemplate]) -> Verdict:
    """The default template stays, there is one at most, and what contradicts itself is not let in."""
    name = request["name"]
    if request["operation"] == "DELETE":
        known = next((each for each in templates if each.metadata.name == name), None)
        if known is not None and known.spec.is_default:
            hint = "set isEnabled to false to stop new nodes, or make another template the default first"
            return _refused(request, f"NodeTemplate {name} is the default template and cannot be deleted: {hint}")
        return _allowed(request)
    template = msgspec.convert(request["object"], NodeTemplate, strict=False)
    try:
        check_template(template)
    except Invalid as error:
        return _refused(request, "; ".join((error.message, *error.looked_at)))
    defaults = sorted(each.metadata.name for each in templates if each.spec.is_default and each.metadata.name != name)
    if template.spec.is_default and defaults:
        return _refused(request, f"NodeTemplate {defaults[0]} is the default already, and there is one at most")
    return _allowed(request)


def _wished_for(pod: Pod, templates: Sequence[NodeTemplate], catalog: Catalog) -> list[dict[str, Any]]:
    """What the pod's annotations ask of nodes, as node affinity has it; nothing of other than templates' nodes."""
    try:
        asks = asks_of(pod)
    except Invalid:
        return []  # the pod is told when a machine is looked for
    if asks.wishes == NO_WISHES or not is_for_templates(pod, asks, templates):
        return []
    written: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(asked_of_nodes(asks.wishes, catalog)))
    return written


def _require(pod: Mapping[str, Any], expressions: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Alternatives of the pod's own stay alternatives, and each has to hold ``expressions`` besides."""
    if not expressions:
        return
    affinity = pod["spec"].get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get(_REQUIRED)
    before = required["nodeSelectorTerms"] if required else []
    terms = [_narrowed(term, expressions) for term in before] if required else [{"matchExpressions": [*expressions]}]
    if terms == before:
        return
    if not affinity:
        yield {"op": "add", "path": "/spec/affinity", "value": {}}
    if not node_affinity:
        yield {"op": "add", "path": "/spec/affinity/nodeAffinity", "value": {}}
    yield {"op": "add", "path": f"/spec/affinity/nodeAffinity/{_REQUIRED}", "value": {"nodeSelectorTerms": terms}}


def _narrowed(term: Mapping[str, Any], expressions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    stated = term.get("matchExpressions") or []
    if not stated and not term.get("matchFields"):
        return term  # it selects nothing, and would select something if it were narrowed
    return {**term, "matchExpressions": [*stated, *(each for each in expressions if each not in stated)]}


def _select(pod: Mapping[str, Any], key: str, value: str) -> Iterator[dict[str, Any]]:
    if not pod["spec"].get("nodeSelector"):
        yield {"op": "add", "path": "/spec/nodeSelector", "value": {}}
    yield {"op": "add", "path": f"/spec/nodeSelector/{key.replace('/', '~1')}", "value": value}


def _tolerate(pod: Mapping[str, Any], taints: Sequence[Taint]) -> Iterator[dict[str, Any]]:
    present = pod["spec"].get("tolerations") or []
    missing = [toleration for taint in taints if (toleration := _toleration(taint)) not in present]
    if missing and not present:
        yield {"op": "add", "path": "/spec/tolerations", "value": []}
    for toleration in missing:
        yield {"op": "add", "path": "/spec/tolerations/-", "value": toleration}


def _toleration(taint: Taint) -> dict[str, str]:
    return {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}


def _allowed(request: Review, patch: Sequence[Mapping[str, Any]] = ()) -> Verdict:
    verdict: Verdict = {"uid": request["uid"], "allowed": True}
    if patch:
        verdict |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    return verdict


def _refused(request: Review, message: str) -> Verdict:
    return {"uid": request["uid"], "allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": message}}
