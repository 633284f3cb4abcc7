"""What an estimate takes for granted about nodes that nobody has described yet.

A pod may select nodes by labels that only its cluster's owner can explain (``pool: ci``, ``disktype: ssd``). Without a
cluster there is nobody to ask, and to say that no machine fits would be of no use to anyone: such labels are assumed.
Labels that follow from the machine, its place and its terms are not: they decide.
"""

from __future__ import annotations

import msgspec

from stratos.apis import labels
from stratos.apis.pod import Affinity, NodeAffinity, NodeSelector, NodeSelectorTerm, Pod
from stratos.planning.provisioning.machine_labels import MACHINE_LABELS

DECISIVE = frozenset(
    {
        labels.ARCH,
        labels.OS,
        labels.INSTANCE_TYPE,
        labels.ZONE,
        labels.REGION,
        labels.CAPACITY_TYPE,
        labels.CREATED_BY,
        labels.CAST_SPOT,
        labels.CAST_ON_DEMAND,
        *MACHINE_LABELS,
    }
)


def assume_labels(pod: Pod) -> tuple[Pod, tuple[str, ...]]:
    """``pod`` without its wishes for labels that nobody here can judge, and what was assumed instead."""
    spec = pod.spec
    selector = spec.node_selector or {}
    assumed = {f"{key}={value}" for key, value in selector.items() if key not in DECISIVE}
    affinity = spec.affinity
    required = affinity.node_affinity.required if affinity and affinity.node_affinity else None
    if required is not None:
        keys = {each.key for term in required.node_selector_terms for each in term.match_expressions or ()}
        assumed |= keys - DECISIVE
    if not assumed:
        return pod, ()
    kept = {key: value for key, value in selector.items() if key in DECISIVE}
    if affinity is not None and required is not None:
        affinity = _with_required(affinity, _decisive(required))
    spec = msgspec.structs.replace(spec, node_selector=kept, affinity=affinity)
    note = f"assumed that nodes can carry what it selects: {', '.join(sorted(assumed))}"
    return msgspec.structs.replace(pod, spec=spec), (note,)


def _decisive(required: NodeSelector) -> NodeSelector | None:
    """None when one of the alternatives asks for nothing that decides: then any node will do."""
    terms = []
    for term in required.node_selector_terms:
        expressions = tuple(each for each in term.match_expressions or () if each.key in DECISIVE)
        if not expressions and not term.match_fields:
            return None
        terms.append(NodeSelectorTerm(expressions, term.match_fields))
    return NodeSelector(tuple(terms))


def _with_required(affinity: Affinity, required: NodeSelector | None) -> Affinity:
    preferred = affinity.node_affinity.preferred if affinity.node_affinity else ()
    return msgspec.structs.replace(affinity, node_affinity=NodeAffinity(required=required, preferred=preferred))
