"""How built-in kinds are named and what can be asked of them."""

from __future__ import annotations

import pytest

from stratos.apiserver.registry.builtin import builtin_resources
from stratos.apiserver.registry.resource import Resource

RESOURCES: dict[str, Resource] = {resource.kind: resource for resource in builtin_resources()}


@pytest.mark.parametrize(
    ("kind", "name", "short_names"),
    [
        ("Pod", "pods", ("po",)),
        ("Deployment", "deployments.apps", ("deploy",)),
        ("Endpoints", "endpoints", ("ep",)),
        ("Ingress", "ingresses.networking.k8s.io", ("ing",)),
        ("NetworkPolicy", "networkpolicies.networking.k8s.io", ("netpol",)),
        ("PriorityClass", "priorityclasses.scheduling.k8s.io", ("pc",)),
        ("PodDisruptionBudget", "poddisruptionbudgets.policy", ("pdb",)),
    ],
)
def test_kinds_go_by_the_names_people_type(kind: str, name: str, short_names: tuple[str, ...]) -> None:
    """``kubectl get po`` and every client's URLs depend on these."""
    assert (RESOURCES[kind].group_resource, RESOURCES[kind].short_names) == (name, short_names)


def test_no_two_kinds_answer_to_the_same_name() -> None:
    """A short name that means two things would be resolved by chance."""
    names = [name for r in RESOURCES.values() for name in (r.plural, *r.short_names)]

    assert len(names) == len(set(names))


def test_all_means_workloads_and_services() -> None:
    """``kubectl get all`` lists what runs, and no secrets."""
    listed = {kind for kind, resource in RESOURCES.items() if "all" in resource.categories}

    assert listed == {
        "CronJob",
        "DaemonSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "Pod",
        "ReplicaSet",
        "Service",
        "StatefulSet",
    }


def test_field_selectors_see_absent_and_odd_values_as_text() -> None:
    """``spec.nodeName=`` finds unscheduled pods, ``spec.unschedulable=true`` cordoned nodes."""
    assert RESOURCES["Pod"].selectable["spec.nodeName"]({"spec": {}}) == ""
    assert RESOURCES["Node"].selectable["spec.unschedulable"]({"spec": {"unschedulable": True}}) == "true"
    assert RESOURCES["Job"].selectable["status.successful"]({"status": {"succeeded": 2}}) == "2"


def test_kinds_with_replicas_can_be_scaled() -> None:
    """``kubectl scale`` and autoscalers find replicas and selector by these paths, whatever the kind."""
    scaled = {kind: resource.scale for kind, resource in RESOURCES.items() if "scale" in resource.subresources}

    assert set(scaled) == {"Deployment", "ReplicaSet", "StatefulSet"}
    assert all(
        paths is not None
        and (paths.spec_replicas, paths.status_replicas, paths.label_selector)
        == (".spec.replicas", ".status.replicas", ".spec.selector")
        for paths in scaled.values()
    )
