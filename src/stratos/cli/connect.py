"""Which cluster a command speaks to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from stratos.apis.meta import Kind, KubeObject
from stratos.base.clock import Clock
from stratos.base.errors import NotFound, StratosError
from stratos.kube.client import Client
from stratos.kube.http import AiohttpTransport
from stratos.kube.kubeconfig import ClusterAccess, find_access, load_kubeconfig
from stratos.wiring.clock import HurriedClock, SystemClock

DATA_DIRECTORY = Path("~/.stratos")
KUBECONFIG_NAME = "kubeconfig"

_SELF = Kind(
    group="authentication.k8s.io",
    version="v1",
    plural="selfsubjectreviews",
    kind="SelfSubjectReview",
    namespaced=False,
    type=KubeObject,
)


@asynccontextmanager
async def connected(kubeconfig: Path | None) -> AsyncIterator[Client]:
    """A client of the cluster that ``kubeconfig`` names, or of the one at hand."""
    transport = AiohttpTransport(choose_access(kubeconfig), clock=SystemClock())
    try:
        yield Client(transport)
    finally:
        await transport.close()


@contextmanager
def needing_pools() -> Iterator[None]:
    """Around the first request for pools: says what is missing in a cluster that has never heard of them."""
    try:
        yield
    except NotFound as error:
        raise NotFound(
            "this cluster knows no NodePools",
            hint="install Stratos there: stratos install; or its kinds alone: stratos crds | kubectl apply -f -",
        ) from error


async def set_watch(client: Client) -> Clock:
    """A clock that shows the cluster's time. One that was hurried is far ahead of ours, and ages would be negative."""
    try:
        answer = await client.create(_SELF, {"metadata": {}})
    except StratosError:
        return SystemClock()  # an old server, or one that does not let us ask: its time is that of everybody
    seen = answer.metadata.creation_timestamp
    return HurriedClock(1.0, seen) if seen is not None else SystemClock()


def choose_access(kubeconfig: Path | None) -> ClusterAccess:
    """The kubeconfig given, else ``KUBECONFIG``, else the cluster of `stratos up`, else what kubectl would use."""
    if kubeconfig is not None:
        return load_kubeconfig([kubeconfig])
    ours = DATA_DIRECTORY.expanduser() / KUBECONFIG_NAME
    if "KUBECONFIG" not in os.environ and ours.exists():
        return load_kubeconfig([ours])
    return find_access(os.environ)
