"""Which images a pool's machines had better have on disk: those of the workloads that select the pool.

A pool need not list what the manifests beside it already say. A workload selects a pool when it demands one of the
labels of the pool's own template, by node selector or by required affinity, and contradicts none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stratos.apis.pod import Pod, PodSpec
from stratos.base.errors import Invalid
from stratos.base.selectors import Requirement
from stratos.planning.scheduling.requirements import NodeRules, requirements_of


def images_of_workloads(pool_labels: Mapping[str, str], workloads: Iterable[PodSpec]) -> tuple[str, ...]:
    """The images of the workloads that select the pool, each once, by name."""
    return tuple(
        sorted(
            {
                container.image
                for spec in workloads
                if selects(spec, pool_labels)
                for container in (*(spec.init_containers or ()), *spec.containers)
                if container.image
            }
        )
    )


def selects(spec: PodSpec, pool_labels: Mapping[str, str]) -> bool:
    try:
        rules = requirements_of(Pod(spec=spec)).node_rules
    except Invalid:
        return False  # it will never run anywhere
    demands, demanded = _demands(rules, pool_labels), False
    for alternatives in demands:
        held = [about for about in alternatives if all(each.matches(pool_labels) for each in about)]
        if not held:
            return False
        demanded = demanded or all(held)
    return demanded


def _demands(rules: NodeRules, pool_labels: Mapping[str, str]) -> list[list[Sequence[Requirement]]]:
    """What must hold about the pool's own labels: of each list, one alternative."""
    selector = [each for each in rules.selector.requirements if each.key in pool_labels]
    demands: list[list[Sequence[Requirement]]] = [[selector]]
    if rules.required is not None:
        demands.append(
            [[each for each in term.labels.requirements if each.key in pool_labels] for term in rules.required]
        )
    return demands
