"""Admission reviews in, verdicts out: plain values, as the API server sends and reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.node import Taint
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.catalog.instance_type import CapacityType
from stratos.planning.provisioning.annotations import wishes_of
from stratos.planning.provisioning.draft import taints_of
from stratos.planning.provisioning.serving import designating_template
from stratos.planning.provisioning.validation import check_template

Review = Mapping[str, Any]
"""The ``request`` of an AdmissionReview."""

Verdict = dict[str, Any]
"""The ``response`` to it."""


def review_pod(request: Review, templates: Sequence[NodeTemplate]) -> Verdict:
    """A pod that a template selects gets the selector of its nodes, and tolerates their taints.

    Of what its annotations ask for, the scheduler is told the terms: a pod that must not be interrupted never lands on
    spot, however much room there is.
    """
    written = request["object"]
    pod = msgspec.convert(written, Pod, strict=False)
    template = designating_template(pod, templates)
    if template is None:
        return _allowed(request)
    selector = {labels.TEMPLATE: template.metadata.name, **_terms(pod)}
    patch = [*_select(written, selector), *_tolerate(written, taints_of(template))]
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


def _terms(pod: Pod) -> dict[str, str]:
    """The label of the only terms that the pod's annotations allow, unless it selects by that label itself."""
    try:
        terms = wishes_of(pod).terms or frozenset()
    except Invalid:
        return {}  # the pod is told when a machine is looked for
    if len(terms) != 1 or not terms <= set(CapacityType) or labels.CAPACITY_TYPE in (pod.spec.node_selector or {}):
        return {}
    return {labels.CAPACITY_TYPE: str(*terms)}


def _select(pod: Mapping[str, Any], selector: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    if not pod["spec"].get("nodeSelector"):
        yield {"op": "add", "path": "/spec/nodeSelector", "value": {}}
    for key, value in selector.items():
        yield {"op": "add", "path": f"/spec/nodeSelector/{key.replace('/', '~1')}", "value": value}


def _tolerate(pod: Mapping[str, Any], taints: Sequence[Taint]) -> Iterable[dict[str, Any]]:
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
