"""A Kubernetes behind a TLS socket, with a scheduler and workload controllers but without Stratos: what users bring."""

from __future__ import annotations

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
from stratos.wiring.api import ADMIN, ApiSecrets, EmbeddedApi
from stratos.wiring.clock import SystemClock
from stratos.wiring.control_plane import ControlPlane, ControlPlaneOptions
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
    plane = ControlPlane(
        open_memory(),
        clock=clock,
        ids=SeededIds(chance),
        rng=chance,
        options=ControlPlaneOptions(stratos_installed=False),
        secrets=ApiSecrets(authority.certificate_pem, certificates.service_account_key(), clock),
    )
    recorder = WriteRecorder(plane.api.server.app)
    tls = TlsFiles(*certificates.paths("apiserver"), client_authority=certificates.paths("ca")[0])
    async with serving(recorder.as_app(), host="127.0.0.1", port=0, tls=tls) as port, plane.running():
        yield BareCluster(plane.api, f"https://127.0.0.1:{port}", certificates, directory, recorder)
