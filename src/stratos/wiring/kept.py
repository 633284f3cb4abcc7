"""A cluster kept in a directory and served on a socket: what `stratos up` runs.

The directory holds the objects (``state.db``), the certificates (``pki/``), the kubeconfig, the machines of the
simulated cloud, and, when time is hurried, the time of the cluster. Started again on it, the cluster goes on: machines
that were up boot again, as after a power failure.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apiserver.auth.certificates import CertificateStore
from stratos.apiserver.auth.contract import SYSTEM_MASTERS
from stratos.apiserver.auth.files import write_whole
from stratos.apiserver.auth.kubeconfig import kubeconfig, write_kubeconfig
from stratos.apiserver.http.serving import TlsFiles, serving
from stratos.apiserver.storage.sqlite import open_sqlite
from stratos.base.clock import Clock
from stratos.base.errors import Conflict, Invalid
from stratos.base.ids import SeededIds
from stratos.controllers import disruption, provisioning
from stratos.controllers.disruption import DisruptionSettings
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.providers.simulated.cloud import CallMoment, FaultHook, SimulatedCloud
from stratos.wiring.api import ApiSecrets
from stratos.wiring.clock import HurriedClock, SystemClock
from stratos.wiring.cluster import DEFAULT_CATALOG, Cluster, ClusterOptions, catalog_named

_SAVE_SECONDS = 2.0  # of real time
_CHANGING_CALLS = frozenset({"launch", "start", "stop", "terminate", "tag"})
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class KeptCluster:
    cluster: Cluster
    clock: Clock
    url: str
    kubeconfig: Path


@asynccontextmanager
async def kept_cluster(
    directory: Path, *, port: int, speed: float = 1.0, catalog: str = "", limits: ClusterLimits | None = None
) -> AsyncIterator[KeptCluster]:
    """Run the cluster of ``directory``, made if it is new, for the length of the block.

    ``catalog`` is what its cloud sells, ``cloud/region``; empty: as before, or the default for a new one.
    ``limits`` are for the machines of all templates together.
    With a ``speed`` other than 1 the running event loop must be a `HurriedLoop` of the same speed.
    """
    files = _Files(directory)
    with files.locked():
        async with _kept_cluster(directory, files, port, speed, catalog, limits or ClusterLimits()) as kept:
            yield kept


@asynccontextmanager
async def _kept_cluster(
    directory: Path, files: _Files, port: int, speed: float, catalog: str, limits: ClusterLimits
) -> AsyncIterator[KeptCluster]:
    sold = files.catalog(catalog)
    clock = files.clock(speed)
    certificates = CertificateStore(directory / "pki", SystemClock())
    authority = certificates.authority()
    certificates.serving()
    chance = random.SystemRandom()
    cluster = Cluster(
        open_sqlite(directory / "state.db"),
        clock=clock,
        ids=SeededIds(chance),
        rng=chance,
        options=ClusterOptions(
            catalog=sold,
            root_certificate_pem=authority.certificate_pem,
            kubelets=KubeletOptions(tells_events=True),
            provisioning=ProvisioningSettings(limits=limits, planner=provisioning.plan_aside),
            disruption=DisruptionSettings(planner=disruption.plan_aside),
        ),
        secrets=ApiSecrets(authority.certificate_pem, certificates.service_account_key(), SystemClock()),
    )
    files.restore_cloud(cluster)
    cluster.cloud.fault_hook = files.remember_calls_of(cluster.cloud)
    tls = TlsFiles(*certificates.paths("apiserver"), client_authority=certificates.paths("ca")[0])
    async with serving(cluster.api.server.app, host=_HOST, port=port, tls=tls) as bound:
        url = f"https://{_HOST}:{bound}"
        admin = certificates.client("stratos-admin", [SYSTEM_MASTERS])
        write_kubeconfig(files.kubeconfig, kubeconfig(url, authority.certificate_pem, admin))
        async with cluster.running():
            saving = asyncio.create_task(files.keep_saving(cluster.cloud, clock, speed), name="save the cloud")
            try:
                yield KeptCluster(cluster, clock, url, files.kubeconfig)
            finally:
                saving.cancel()
                files.save_cloud(cluster.cloud)
                files.save_time(clock.now())


class _Files:
    """What is kept beside the objects."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            (directory / "lock").touch()
        except OSError as error:
            raise Invalid(f"cannot keep a cluster in {directory}: {error.strerror}") from error
        self.kubeconfig = directory / "kubeconfig"
        self._cloud = directory / "cloud.json"
        self._clock = directory / "clock"
        self._catalog = directory / "catalog"
        self._lock = directory / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held by one process at a time. The system lets go of it when the process ends, however it ends."""
        with self._lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().strip()
                raise Conflict(
                    f"{self._lock.parent} is in use by another stratos up" + (f", process {holder}" if holder else ""),
                    hint="stop it, or choose another folder with --data-dir",
                ) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def catalog(self, wanted: str) -> str:
        """What the cloud of this folder sells: its machines are of these types, so that never changes."""
        kept = self._catalog.read_text().strip() if self._catalog.exists() else ""
        if kept and wanted and kept != wanted:
            raise Conflict(
                f"the cloud of {self._lock.parent} sells {kept}, not {wanted}",
                hint="leave out --catalog, or choose another folder with --data-dir",
            )
        chosen = kept or wanted or DEFAULT_CATALOG
        catalog_named(chosen)  # found wanting before it is written down
        if not kept:
            write_whole(self._catalog, chosen, private=True)
        return chosen

    def clock(self, speed: float) -> Clock:
        """Never earlier than the cluster has been before, or its objects would come from the future."""
        now, seen = datetime.now(UTC), self._last_time()
        if speed == 1.0 and seen <= now:
            return SystemClock()
        return HurriedClock(speed, max(now, seen))

    def _last_time(self) -> datetime:
        if not self._clock.exists():
            return datetime.min.replace(tzinfo=UTC)
        try:
            return datetime.fromisoformat(self._clock.read_text())
        except ValueError as error:
            raise Invalid(
                f"{self._clock} does not hold a time", hint="remove it, or start with a new folder"
            ) from error

    def restore_cloud(self, cluster: Cluster) -> None:
        if self._cloud.exists():
            cluster.cloud.restore(self._cloud.read_bytes())

    def remember_calls_of(self, cloud: SimulatedCloud) -> FaultHook:
        """A real cloud does not forget what it was asked for when our process is killed: nor does this one."""

        def remember(moment: CallMoment, operation: str, _: str) -> None:
            if moment is CallMoment.AFTER and operation in _CHANGING_CALLS:
                self.save_cloud(cloud)

        return remember

    def save_cloud(self, cloud: SimulatedCloud) -> None:
        """Whole or not at all. It is not synced, which takes longer than most calls: a power failure is not meant."""
        unfinished = self._cloud.with_suffix(".new")
        unfinished.write_bytes(cloud.save())
        unfinished.replace(self._cloud)

    def save_time(self, moment: datetime) -> None:
        write_whole(self._clock, moment.isoformat(), private=True)

    async def keep_saving(self, cloud: SimulatedCloud, clock: Clock, speed: float) -> None:
        """What happens without being asked for, and a time that the cluster has not reached when it is next saved."""
        period = timedelta(seconds=_SAVE_SECONDS * speed)
        ahead = timedelta() if speed == 1 else period
        while True:
            self.save_cloud(cloud)
            self.save_time(clock.now() + ahead)
            await asyncio.sleep(period.total_seconds())
