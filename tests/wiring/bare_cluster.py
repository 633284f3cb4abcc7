"""A Kubernetes behind a TLS socket, with a scheduler and workload controllers but without Stratos: what users bring."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stratos.apiserver.auth.certificates import CertificateStore
from stratos.apiserver.auth.contract import SYSTEM_MASTERS
from stratos.apiserver.auth.kubeconfig import kubeconfig, write_kubeconfig
from stratos.apiserver.http.serving import TlsFiles, serving
from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.wiring.api import ADMIN, CONTROLLER_MANAGER, SCHEDULER, ApiSecrets, EmbeddedApi
from stratos.wiring.clock import SystemClock
from stratos.workloads.run import workload_controllers
from stratos.workloads.scheduler.scheduler import add_scheduler
from wiring.controller_runs import WriteRecorder


@dataclass(frozen=True, slots=True)
class BareCluster:
    api: EmbeddedApi
    url: str
    certificates: CertificateStore
    directory: Path
    recorder: WriteRecorder

    @property
    def admin(self) -> Client:
        return self.api.client(ADMIN)

    def kubeconfig(self, user: str, groups: Iterable[str] = (SYSTEM_MASTERS,)) -> Path:
        path = self.directory / f"{user}.kubeconfig"
        authority = self.certificates.authority().certificate_pem
        write_kubeconfig(path, kubeconfig(self.url, authority, self.certificates.client(user, list(groups))))
        return path


@asynccontextmanager
async def bare_cluster(directory: Path) -> AsyncIterator[BareCluster]:
    clock, chance = SystemClock(), random.Random(1)
    certificates = CertificateStore(directory / "pki", clock)
    authority = certificates.authority()
    certificates.serving()
    secrets = ApiSecrets(authority.certificate_pem, certificates.service_account_key(), clock)
    api = EmbeddedApi(open_memory(), clock=clock, ids=SeededIds(chance), secrets=secrets, stratos_installed=False)
    tls = TlsFiles(*certificates.paths("apiserver"), client_authority=certificates.paths("ca")[0])
    recorder = WriteRecorder(api.server.app)
    await api.start()
    scheduler = Manager(api.client(SCHEDULER), rng=chance)
    add_scheduler(scheduler, clock=clock, ids=SeededIds(chance))
    workloads = Manager(api.client(CONTROLLER_MANAGER), rng=chance)
    workload_controllers(workloads, clock=clock, ids=SeededIds(chance), rng=chance, root_certificate="")
    parts = [asyncio.create_task(manager.run()) for manager in (scheduler, workloads)]
    try:
        async with serving(recorder.as_app(), host="127.0.0.1", port=0, tls=tls) as port:
            yield BareCluster(api, f"https://127.0.0.1:{port}", certificates, directory, recorder)
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)
            await api.stop()
    finally:
        for part in parts:
            part.cancel()
