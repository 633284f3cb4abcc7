"""Which template serves a waiting pod. Several may; all who ask get the same answer.

1. A pod that asks to be ignored, or that selects a NodePool, is nobody's here. Nor is one that a NodePool has a machine
   at hand for: warm first, because a start takes seconds and a launch minutes, and the pod waits for one of them. Pools
   tell which pods these are, before anybody asks here.
2. A pod that selects templates, by ``stratos.sh/template`` or ``scheduling.cast.ai/node-template`` in its node selector
   or required affinity, is served by those alone.
3. Else by templates that select it, by any of their labels or annotations.
4. Else by the default template.

Of several the heaviest comes first, then the first by name; the next are for what it cannot serve. A disabled template
serves nobody, one for GPUs alone no pod without, and one that waits for certain reasons only pods that wait for these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stratos.apis import labels
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.base.selectors import LabelSelector, Operator, Requirement
from stratos.planning.pools.drain import belongs_to_node
from stratos.planning.provisioning.annotations import compile_regexp, is_ignored
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.scheduling.requirements import NodeRules

_NAMING = (labels.TEMPLATE, labels.CAST_TEMPLATE)
_BELONGING = frozenset({*_NAMING, labels.POOL, labels.CREATED_BY})


@dataclass(frozen=True, slots=True)
class Serving:
    """Who serves a pod, best first, and why the others do not."""

    templates: tuple[str, ...]
    report: tuple[str, ...] = ()
    is_named: bool = False  # the pod selects templates itself: if none serves it, nobody else will


def can_serve(template: NodeTemplate) -> bool:
    """Whether what the template says of pods can be read at all."""
    try:
        compile_regexp(template.spec.pods.pending_reason_regexp)
    except Invalid:
        return False
    return True


def serving_order(pod: Pod, asks: PodAsks, templates: Sequence[NodeTemplate]) -> Serving:
    """``templates`` in any order. Raises `Invalid` for a template's malformed ``pendingReasonRegexp``."""
    if is_ignored(pod):
        return Serving((), ("the pod asks to be ignored",))
    if _demands(asks.requirements.node_rules, (labels.POOL,)):
        return Serving((), ("the pod selects a NodePool, whose machines are not templates'",))
    ordered = sorted(templates, key=lambda each: (-each.spec.weight, each.metadata.name))
    names_templates = _demands(asks.requirements.node_rules, _NAMING)
    refused: dict[str, str] = {}
    chosen: list[NodeTemplate] = []
    defaults: list[NodeTemplate] = []
    for template in ordered:
        if names_templates:
            why = "" if _is_named(asks.requirements.node_rules, template) else "the pod selects another"
            found = chosen
        else:
            found = defaults if template.spec.is_default else chosen
            why = "" if template.spec.is_default else _selects(template, pod)
        why = why or _cannot(template, pod, asks)
        if why:
            refused[template.metadata.name] = why
        else:
            found.append(template)
    if chosen:
        refused |= {each.metadata.name: "another template selects the pod" for each in defaults}
    return Serving(
        templates=tuple(template.metadata.name for template in chosen or defaults),
        report=tuple(f"template {name}: {why}" for name, why in sorted(refused.items())),
        is_named=names_templates,
    )


def designating_template(pod: Pod, templates: Iterable[NodeTemplate]) -> NodeTemplate | None:
    """The template that selects a pod by its labels or annotations, before it is scheduled; None: the pod decides.

    A pod that says itself where it belongs is left alone, and so are those that belong to a node.
    """
    if _says_where_it_belongs(pod) or is_ignored(pod) or belongs_to_node(pod):
        return None
    for template in sorted(templates, key=lambda each: (-each.spec.weight, each.metadata.name)):
        if _is_usable(template) and not template.spec.is_default and not _selects(template, pod):
            return template
    return None


def is_for_templates(pod: Pod, asks: PodAsks, templates: Iterable[NodeTemplate]) -> bool:
    """Whether a pod, before it is scheduled, is for machines of templates: it selects them, a template selects it, or
    the default template is there for it.
    """
    if is_ignored(pod) or belongs_to_node(pod):
        return False
    if _says_where_it_belongs(pod):
        return _demands(asks.requirements.node_rules, (*_NAMING, labels.CREATED_BY))
    return any(_is_usable(each) and (each.spec.is_default or not _selects(each, pod)) for each in templates)


def _says_where_it_belongs(pod: Pod) -> bool:
    spec = pod.spec
    affinity = spec.affinity.node_affinity if spec.affinity else None
    terms = affinity.required.node_selector_terms if affinity and affinity.required else ()
    expressions = (each for term in terms for each in term.match_expressions or ())
    named = {*(spec.node_selector or {}), *(each.key for each in expressions)}
    return bool(named & _BELONGING)


def _is_usable(template: NodeTemplate) -> bool:
    return template.spec.is_enabled and not template.metadata.deletion_timestamp


def waits_for(template: NodeTemplate, pod: Pod) -> bool:
    """Whether the reason why the pod waits is one that the template adds machines for."""
    pattern = template.spec.pods.pending_reason_regexp
    return not pattern or compile_regexp(pattern).search(waiting_reason(pod)) is not None


def waiting_reason(pod: Pod) -> str:
    """What the scheduler says."""
    said = (each.message for each in pod.status.conditions if each.type == "PodScheduled" and each.status == "False")
    return next(said, "")


def _selects(template: NodeTemplate, pod: Pod) -> str:
    """Why the template does not select the pod. Empty when it does."""
    selection = template.spec.pods
    if not selection.labels and not selection.annotations:
        return "it serves pods that select it"
    if _any(selection.labels, pod.metadata.labels) or _any(selection.annotations, pod.metadata.annotations):
        return ""
    wanted = [f"{key}={value}" for key, value in sorted({**selection.labels, **selection.annotations}.items())]
    return f"the pod carries none of {', '.join(wanted)}"


def _any(wanted: Mapping[str, str], carried: Mapping[str, str]) -> bool:
    return any(carried.get(key) == value for key, value in wanted.items())


def _cannot(template: NodeTemplate, pod: Pod, asks: PodAsks) -> str:
    spec = template.spec
    if not spec.is_enabled:
        return "it is disabled"
    if template.metadata.deletion_timestamp is not None:
        return "it is being deleted"
    if spec.constraints.is_gpu_only and not asks.gpus:
        return "it is for pods that ask for GPUs"
    if not pod.spec.scheduling_gates and not waits_for(template, pod):
        return f"the pod waits for another reason than its pendingReasonRegexp: {waiting_reason(pod) or 'none is told'}"
    return ""


def _demands(rules: NodeRules, keys: Iterable[str]) -> bool:
    """Whether every node the pod may run on has to carry one of the labels."""
    wanted = frozenset(keys)
    if _asks_for(rules.selector, wanted):
        return True
    return bool(rules.required) and all(_asks_for(term.labels, wanted) for term in rules.required or ())


def _asks_for(selector: LabelSelector, keys: frozenset[str]) -> bool:
    return any(each.key in keys and each.operator in (Operator.IN, Operator.EXISTS) for each in selector.requirements)


def _is_named(rules: NodeRules, template: NodeTemplate) -> bool:
    carried = dict.fromkeys(_NAMING, template.metadata.name)

    def holds(requirements: Iterable[Requirement]) -> bool:
        return all(each.matches(carried) for each in requirements if each.key in _NAMING)

    if not holds(rules.selector.requirements):
        return False
    return not rules.required or any(holds(term.labels.requirements) for term in rules.required)
