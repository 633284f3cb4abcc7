"""One cluster for all of these tests, each of which works in a namespace of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kubectl.served_cluster import KUBECTL, Kubectl, served_cluster

_MACHINES = {
    "apiVersion": "stratos.sh/v1alpha1",
    "kind": "SimNodeClass",
    "metadata": {"name": "small"},
    "spec": {"instanceType": "m5.large", "bootTime": "20s", "startTime": "10s"},
}
_POOL = {
    "apiVersion": "stratos.sh/v1alpha1",
    "kind": "NodePool",
    "metadata": {"name": "workers"},
    "spec": {
        "poolSize": 8,
        "minStandby": 2,
        "template": {"nodeClassRef": {"kind": "SimNodeClass", "name": "small"}, "labels": {"pool": "workers"}},
        "scaleDown": {"enabled": False},
    },
}


@pytest.fixture(scope="session")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The administrator of a cluster with a warm pool, in the namespace ``default``."""
    if KUBECTL is None:
        pytest.skip("kubectl is not on the PATH; Debian has it in the package kubernetes-client")
    with served_cluster(tmp_path_factory.mktemp("cluster")) as kubectl:
        kubectl.apply(_MACHINES, _POOL)
        yield kubectl


@pytest.fixture
def kubectl(admin: Kubectl, request: pytest.FixtureRequest) -> Kubectl:
    """The administrator, in a namespace named for the test."""
    test = request.node.name.removeprefix("test_")
    namespace = re.sub(r"[^a-z0-9]+", "-", test)[:60].strip("-")
    admin(f"create namespace {namespace}")
    return admin.within(namespace)
