"""Selectors compiled for the scheduler: which nodes a pod may use, which pods a term speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stratos.apis.node import Taint
from stratos.apis.pod import LabelSelectorSpec, NodeSelector, NodeSelectorTerm, SelectorRequirement, Toleration
from stratos.base.errors import FieldProblem, Invalid
from stratos.base.selectors import LabelSelector, Operator, Requirement, from_match_labels

NODE_NAME_FIELD = "metadata.name"


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One alternative of a node selector: all its conditions hold on the labels and on the name."""

    labels: LabelSelector
    name: LabelSelector

    def matches(self, node_name: str, labels: Mapping[str, str]) -> bool:
        # A term that states nothing selects nothing.
        if not self.labels.requirements and not self.name.requirements:
            return False
        return self.labels.matches(labels) and self.name.matches({NODE_NAME_FIELD: node_name})


NodeTerms = tuple[NodeTerm, ...]


def matches_any(terms: NodeTerms, node_name: str, labels: Mapping[str, str]) -> bool:
    return any(term.matches(node_name, labels) for term in terms)


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Which pods an affinity term or a spread constraint speaks of. ``selector`` None speaks of none."""

    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None
    selector: LabelSelector | None

    @property
    def anchor(self) -> tuple[str, str] | None:
        """A label that every pod it speaks of carries, if one is certain: where a search may begin."""
        for requirement in self.selector.requirements if self.selector is not None else ():
            if requirement.operator is Operator.IN and len(requirement.values) == 1:
                return requirement.key, next(iter(requirement.values))
        return None

    def matches(self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        if self.selector is None:
            return False
        if namespace not in self.namespaces and (
            self.namespace_selector is None or not self.namespace_selector.matches(namespace_labels)
        ):
            return False
        return self.selector.matches(labels)


def compile_node_selector(selector: NodeSelector, path: str) -> NodeTerms:
    return tuple(
        compile_node_term(term, f"{path}.nodeSelectorTerms[{index}]")
        for index, term in enumerate(selector.node_selector_terms)
    )


def compile_node_term(term: NodeSelectorTerm, path: str) -> NodeTerm:
    fields = _compile_requirements(term.match_fields, f"{path}.matchFields")
    for index, requirement in enumerate(fields):
        if requirement.key != NODE_NAME_FIELD:
            raise _invalid(f"{path}.matchFields[{index}].key", f"{requirement.key!r} is not {NODE_NAME_FIELD!r}")
    return NodeTerm(
        labels=LabelSelector(_compile_requirements(term.match_expressions, f"{path}.matchExpressions")),
        name=LabelSelector(fields),
    )


def compile_label_selector(spec: LabelSelectorSpec | None, path: str) -> LabelSelector | None:
    """The selector of a manifest; None, which selects nothing, stays None."""
    if spec is None:
        return None
    labels = from_match_labels(spec.match_labels or {})
    expressions = _compile_requirements(spec.match_expressions, f"{path}.matchExpressions")
    return LabelSelector(labels.requirements + expressions)


def with_label_keys(
    selector: LabelSelector | None,
    labels: Mapping[str, str],
    *,
    match: tuple[str, ...] | None,
    mismatch: tuple[str, ...] | None = None,
) -> LabelSelector | None:
    """``selector`` narrowed to pods that share (or do not share) the pod's own values of some keys.

    A server that has written these conditions into the selector already loses nothing: they hold twice.
    """
    if selector is None:
        return None
    extra = [Requirement(key, Operator.IN, frozenset((labels[key],))) for key in match or () if key in labels]
    extra += [Requirement(key, Operator.NOT_IN, frozenset((labels[key],))) for key in mismatch or () if key in labels]
    return LabelSelector((*selector.requirements, *extra)) if extra else selector


def _compile_requirements(specs: tuple[SelectorRequirement, ...] | None, path: str) -> tuple[Requirement, ...]:
    compiled = []
    for index, spec in enumerate(specs or ()):
        try:
            operator = Operator(spec.operator)
        except ValueError as error:
            raise _invalid(f"{path}[{index}].operator", f"{spec.operator!r} is not an operator of selectors") from error
        compiled.append(Requirement(spec.key, operator, frozenset(spec.values or ())))
    return tuple(compiled)


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(f"{field}: {message}", problems=(FieldProblem(field, "FieldValueInvalid", message),))


def tolerates(tolerations: tuple[Toleration, ...], taint: Taint) -> bool:
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    # A toleration without a key means every taint, but only together with Exists.
    return bool(toleration.key) and toleration.value == taint.value
