"""The cluster's own authority and the certificates it issues, made once and kept under the data directory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from stratos.apiserver.auth.files import write_whole
from stratos.base.certificates import (
    KeyPair,
    create_authority,
    identity_of,
    issue_client,
    issue_serving,
    new_key_pem,
    serves,
    was_issued_by,
)
from stratos.base.clock import Clock

_RENEW_BEFORE = timedelta(days=30)

SERVICE_HOSTS = (
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1",
)


class CertificateStore:
    """Certificates in a directory: read when they are there and good for a while, else issued and written.

    Keys are readable by their owner alone. Files are replaced whole, so a crash leaves the old or the new one.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self._clock = clock

    def authority(self) -> KeyPair:
        if (kept := self._read("ca")) is not None:
            return kept
        return self._write("ca", create_authority("stratos", self._clock.now()))

    def serving(self, hosts: Iterable[str] = SERVICE_HOSTS) -> KeyPair:
        """The API server's own. Asked for other hosts than last time, it is issued anew."""
        wanted = tuple(dict.fromkeys(hosts))
        kept = self._usable("apiserver")
        if kept is not None and serves(kept.certificate, wanted):
            return kept
        return self._write("apiserver", issue_serving(self.authority(), "kube-apiserver", wanted, self._clock.now()))

    def client(self, user: str, groups: Iterable[str] = ()) -> KeyPair:
        name = f"client-{user.replace(':', '-').replace('/', '-')}"
        wanted = tuple(groups)
        kept = self._usable(name)
        if kept is not None and identity_of(kept.certificate) == (user, wanted):
            return kept
        return self._write(name, issue_client(self.authority(), user, wanted, self._clock.now()))

    def service_account_key(self) -> str:
        """The private key that signs service account tokens; losing it makes all of them worthless."""
        path = self.directory / "service-accounts.key"
        if not path.exists():
            write_whole(path, new_key_pem(), private=True)
        return path.read_text()

    def paths(self, name: str) -> tuple[Path, Path]:
        """Where the certificate and the key called ``name`` (``ca``, ``apiserver``) are kept."""
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def _read(self, name: str) -> KeyPair | None:
        certificate, key = self.paths(name)
        return KeyPair(certificate.read_text(), key.read_text()) if certificate.exists() and key.exists() else None

    def _usable(self, name: str) -> KeyPair | None:
        kept = self._read(name)
        if kept is None or kept.certificate.not_valid_after_utc - self._clock.now() < _RENEW_BEFORE:
            return None
        return kept if was_issued_by(kept.certificate, self.authority().certificate) else None

    def _write(self, name: str, pair: KeyPair) -> KeyPair:
        certificate, key = self.paths(name)
        certificate.unlink(missing_ok=True)  # until the last write, there is no pair
        write_whole(key, pair.key_pem, private=True)
        write_whole(certificate, pair.certificate_pem, private=False)
        return pair
