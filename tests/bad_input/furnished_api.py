"""A whole API server with our own kinds and a few objects, and the law that bad input must leave it as it was."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from apiserver.core.api_calls import Api, Reply, a_config_map, a_deployment, a_pod, an_api
from stratos.apis.crds import custom_resource_definitions
from stratos.testing import virtual_time

Obj = dict[str, Any]

STRATOS = "/apis/stratos.sh/v1alpha1"
POOLS = f"{STRATOS}/nodepools"
AWS_CLASSES = f"{STRATOS}/awsnodeclasses"
SIM_CLASSES = f"{STRATOS}/simnodeclasses"
NAMESPACE = "/api/v1/namespaces/default"
PODS = f"{NAMESPACE}/pods"
CONFIG_MAPS = f"{NAMESPACE}/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
NODES = "/api/v1/nodes"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True)
class FurnishedApi:
    """The server holds pod ``web-0``, config map ``cm``, deployment ``web``, node ``n1`` and the pool ``ci``."""

    api: Api
    loop: asyncio.AbstractEventLoop

    def call(self, method: str, path: str, **parts: Any) -> Reply:
        return self.loop.run_until_complete(self._call(method, path, parts))

    def fingerprint(self) -> tuple[int, str]:
        """The newest revision, and a digest of everything stored."""
        listing = self.loop.run_until_complete(self.api.storage.list("/"))
        digest = hashlib.sha256()
        for stored in listing.items:
            digest.update(f"{stored.key}\0{stored.revision}\0".encode() + stored.value)
        return listing.revision, digest.hexdigest()

    async def _call(self, method: str, path: str, parts: dict[str, Any]) -> Reply:
        """The answer; a stream that was wrongly opened would never end, so it is cut off."""
        async with asyncio.timeout(30):
            return await self.api.call(method, path, **parts)


@contextmanager
def furnished_api() -> Iterator[FurnishedApi]:
    with virtual_time.virtual_loop() as loop:
        server = an_api(objects=custom_resource_definitions())
        furnished = FurnishedApi(loop.run_until_complete(server.__aenter__()), loop)
        loop.run_until_complete(_furnish(furnished.api))
        try:
            yield furnished
        finally:
            loop.run_until_complete(server.__aexit__(None, None, None))


async def _furnish(api: Api) -> None:
    await api.create(PODS, a_pod("web-0"))
    await api.create(CONFIG_MAPS, a_config_map("cm", data={"a": "b"}))
    await api.create(DEPLOYMENTS, a_deployment("web"))
    await api.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    await api.create(AWS_CLASSES, an_aws_class("ci"))
    await api.create(POOLS, a_pool("ci"))


def a_pool(name: str = "new", **spec: Any) -> Obj:
    return {
        "apiVersion": "stratos.sh/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {
            "poolSize": 5,
            "minStandby": 2,
            "template": {"nodeClassRef": {"kind": "AWSNodeClass", "name": "ci"}},
            **spec,
        },
    }


def an_aws_class(name: str = "new", **spec: Any) -> Obj:
    """A field given as None is left out."""
    tags = {"tags": {"stratos.sh/discovery": "my-cluster"}}
    usual = {
        "bootstrapTemplate": "AL2023",
        "instanceType": "m5.large",
        "subnetSelector": tags,
        "securityGroupSelector": tags,
        "role": "node-role",
    }
    return {
        "apiVersion": "stratos.sh/v1alpha1",
        "kind": "AWSNodeClass",
        "metadata": {"name": name},
        "spec": {key: value for key, value in {**usual, **spec}.items() if value is not None},
    }


def a_sim_class(name: str = "new", **spec: Any) -> Obj:
    return {
        "apiVersion": "stratos.sh/v1alpha1",
        "kind": "SimNodeClass",
        "metadata": {"name": name},
        "spec": {"instanceType": "m5.large", **spec},
    }


def changed(obj: Obj, path: str, value: Any) -> Obj:
    """The object with the field at ``path`` (``spec.containers.0.image``) replaced."""
    *parents, last = path.split(".")
    at: Any = obj
    for step in parents:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    at[int(last) if isinstance(at, list) else last] = value
    return obj
