"""The short way from selectors to objects and back must find exactly what the long way finds."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import ObjectMeta
from stratos.apis.pod import POD, LabelSelectorSpec, Pod, SelectorRequirement
from stratos.apis.poddisruptionbudget import (
    POD_DISRUPTION_BUDGET,
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
)
from stratos.base.selectors import LabelSelector
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.matching import BY_ANCHOR, BY_LABEL, anchor_values, label_values, matching, selecting

KEYS, VALUES, NAMESPACES = ["app", "tier"], ["a", "b", "c"], ["one", "two"]

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
requirements = st.builds(
    SelectorRequirement,
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(["In", "NotIn"]),
    values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(tuple),
) | st.builds(SelectorRequirement, key=st.sampled_from(KEYS), operator=st.sampled_from(["Exists", "DoesNotExist"]))
selectors = st.none() | st.builds(
    LabelSelectorSpec, match_labels=labels, match_expressions=st.lists(requirements, max_size=2).map(tuple)
)


def selector_of(budget: PodDisruptionBudget) -> LabelSelector | None:
    return compile_label_selector(budget.spec.selector, "spec.selector")


async def nobody(*_: object) -> None:
    raise AssertionError("these caches are filled by hand")


@given(
    pods=st.lists(st.tuples(st.sampled_from(NAMESPACES), labels), max_size=8),
    budgets=st.lists(st.tuples(st.sampled_from(NAMESPACES), selectors), max_size=5),
)
def test_indexes_find_what_comparing_every_pair_finds(
    pods: list[tuple[str, dict[str, str]]], budgets: list[tuple[str, LabelSelectorSpec | None]]
) -> None:
    client, rng = Client(InProcessTransport(nobody)), random.Random(0)
    pod_cache = Cache(client, POD, rng=rng, indexes={BY_LABEL: label_values})
    budget_cache = Cache(client, POD_DISRUPTION_BUDGET, rng=rng, indexes={BY_ANCHOR: anchor_values(selector_of)})
    for number, (namespace, of_pod) in enumerate(pods):
        metadata = ObjectMeta(name=f"p{number}", namespace=namespace, labels=of_pod, resource_version=str(number + 1))
        pod_cache.observe(Pod(metadata=metadata))
    for number, (namespace, selector) in enumerate(budgets):
        metadata = ObjectMeta(name=f"b{number}", namespace=namespace, resource_version=str(number + 1))
        budget_cache.observe(PodDisruptionBudget(metadata=metadata, spec=PodDisruptionBudgetSpec(selector=selector)))

    pairs = {
        (budget.metadata.key, pod.metadata.key)
        for budget in budget_cache
        for pod in pod_cache
        if budget.metadata.namespace == pod.metadata.namespace
        and (wanted := selector_of(budget)) is not None
        and wanted.matches(pod.metadata.labels)
    }
    down = [
        (budget.metadata.key, pod.metadata.key)
        for budget in budget_cache
        for pod in matching(pod_cache, budget.metadata.namespace, selector_of(budget))
    ]
    up = [(key, pod.metadata.key) for pod in pod_cache for key in selecting(budget_cache, selector_of, pod)]
    assert sorted(down) == sorted(up) == sorted(pairs)
