"""Which cluster a command speaks to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stratos.kube.client import Client
from stratos.kube.http import AiohttpTransport
from stratos.kube.kubeconfig import ClusterAccess, find_access, load_kubeconfig
from stratos.wiring.clock import SystemClock

DATA_DIRECTORY = Path("~/.stratos")
KUBECONFIG_NAME = "kubeconfig"


@asynccontextmanager
async def connected(kubeconfig: Path | None) -> AsyncIterator[Client]:
    """A client of the cluster that ``kubeconfig`` names, or of the one at hand."""
    transport = AiohttpTransport(_access(kubeconfig), clock=SystemClock())
    try:
        yield Client(transport)
    finally:
        await transport.close()


def _access(kubeconfig: Path | None) -> ClusterAccess:
    if kubeconfig is not None:
        return load_kubeconfig([kubeconfig])
    ours = DATA_DIRECTORY.expanduser() / KUBECONFIG_NAME
    if "KUBECONFIG" not in os.environ and ours.exists():
        return load_kubeconfig([ours])
    return find_access(os.environ)
