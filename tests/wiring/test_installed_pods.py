"""Where the pods of an installation run, and with whose help they are pulled."""

from __future__ import annotations

from typing import Any

from stratos.apis import labels
from stratos.cli.install.values import read_values
from stratos.wiring.installation import installation


def pods_of(*settings: str) -> dict[str, dict[str, Any]]:
    """By kind and name of the workload, what its pods are to be."""
    everything = ("clusterName=prod", "doorman.enabled=true", "agent.enabled=true", *settings)
    objects = installation(read_values([], everything, create_namespace=True))
    workloads = [obj for obj in objects if obj["kind"] in ("Deployment", "DaemonSet")]
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj["spec"]["template"]["spec"] for obj in workloads}


def test_neither_controllers_nor_doorman_wake_a_machine_for_themselves() -> None:
    """A doorman on a pool's machine would keep awake what it is there to let sleep, and hold up its drain."""
    terms = {key: {"key": key, "operator": "DoesNotExist"} for key in (labels.POOL, labels.TEMPLATE)}
    deployments = {name: pod for name, pod in pods_of().items() if name.startswith("Deployment/")}

    assert set(deployments) == {"Deployment/stratos-controller", "Deployment/stratos-doorman"}
    for name, pod in deployments.items():
        required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = required["nodeSelectorTerms"]
        assert {each["key"]: each for each in term["matchExpressions"]} == terms, name


def test_all_parts_are_pulled_with_the_same_secrets() -> None:
    """The image is one; a part without them would never start where the registry is private."""
    for name, pod in pods_of("imagePullSecrets=[{name: registry}]").items():
        assert [dict(each) for each in pod["imagePullSecrets"]] == [{"name": "registry"}], name
