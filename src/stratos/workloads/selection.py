"""From the ``LabelSelector`` of a manifest to one that can be asked."""

from __future__ import annotations

from stratos.apis.pod import LabelSelectorSpec, SelectorRequirement
from stratos.base.selectors import LabelSelector, Operator, Requirement, from_match_labels


def label_selector(spec: LabelSelectorSpec | None) -> LabelSelector | None:
    """``None`` selects nothing, and an empty selector everything."""
    if spec is None:
        return None
    labels = from_match_labels(spec.match_labels or {})
    expressions = tuple(requirement(expression) for expression in spec.match_expressions or ())
    return LabelSelector(labels.requirements + expressions)


def requirement(spec: SelectorRequirement) -> Requirement:
    return Requirement(spec.key, Operator(spec.operator), frozenset(spec.values or ()))
