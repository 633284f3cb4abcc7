"""The cluster's authority, its certificates on disk, and the kubeconfig that carries them."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from stratos.apiserver.auth.certificates import CertificateStore
from stratos.apiserver.auth.kubeconfig import kubeconfig, write_kubeconfig
from stratos.base.certificates import KeyPair
from stratos.base.clock import FixedClock
from stratos.wiring.clock import SystemClock


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the common name of the client's certificate."""
    certificate = writer.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    writer.write(",".join(names).encode())
    writer.close()


async def connect(store: CertificateStore, client: KeyPair | None, directory: Path, host: str) -> str:
    """What a TLS server with the store's certificate says to a client that trusts only its authority."""
    store.serving()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=store.authority().certificate_pem)
    server_side.load_cert_chain(*store.paths("apiserver"))
    server_side.verify_mode = ssl.CERT_OPTIONAL
    client_side = ssl.create_default_context(cadata=store.authority().certificate_pem)
    if client is not None:
        pem = directory / "client.pem"
        pem.write_text(client.certificate_pem + client.key_pem)
        client_side.load_cert_chain(pem)
    server = await asyncio.start_server(_greet, "127.0.0.1", 0, ssl=server_side)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side, server_hostname=host)
        said = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    return said


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "kubernetes.default.svc"])
def test_clients_that_trust_the_authority_reach_the_server_by_each_of_its_names(tmp_path: Path, host: str) -> None:
    """kubectl from this machine and pods from within use different names for the same server."""
    store = CertificateStore(tmp_path / "pki", SystemClock())  # TLS itself looks at the machine's time

    said = asyncio.run(connect(store, store.client("ann", ["team"]), tmp_path, host))

    assert said == "ann"


def test_a_name_that_was_not_certified_is_not_believed(tmp_path: Path) -> None:
    """Otherwise anybody with any certificate of the cluster could pose as the server."""
    store = CertificateStore(tmp_path / "pki", SystemClock())

    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(connect(store, None, tmp_path, "example.com"))


def test_certificates_are_made_once_and_keys_are_private(tmp_path: Path) -> None:
    """A restart must not lock out everybody who has a kubeconfig, and no other user may read the keys."""
    clock = FixedClock()
    first, second = CertificateStore(tmp_path, clock), CertificateStore(tmp_path, clock)

    assert first.authority() == second.authority()
    assert first.serving() == second.serving()
    assert first.client("ann", ["team"]) == second.client("ann", ["team"])
    assert first.service_account_key() == second.service_account_key()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert {mode for name, mode in modes.items() if name.endswith(".key")} == {0o600}


def test_a_certificate_is_renewed_before_it_ends_or_when_it_says_too_little(tmp_path: Path) -> None:
    """A turnkey cluster has nobody who remembers to renew certificates."""
    clock = FixedClock()
    store = CertificateStore(tmp_path, clock)
    before, client = store.serving(), store.client("ann")
    clock.set(clock.now() + timedelta(days=340))

    assert store.serving() != before
    assert store.client("ann") != client
    assert store.serving(["localhost", "cluster.example"]) == store.serving(["localhost", "cluster.example"])
    assert store.client("ann", ["team"]) != store.client("ann")


def test_a_torn_write_is_made_good(tmp_path: Path) -> None:
    """Killed between the two files of a pair, the next start issues a new one."""
    store = CertificateStore(tmp_path, FixedClock())
    store.serving()
    certificate, _ = store.paths("apiserver")
    certificate.unlink()

    assert store.serving().certificate_pem == certificate.read_text()


def test_a_kubeconfig_holds_all_a_client_needs_and_is_private(tmp_path: Path) -> None:
    """One file, no questions: that is what people copy to another machine."""
    store = CertificateStore(tmp_path / "pki", FixedClock())
    pair = store.client("admin", ["system:masters"])
    path = tmp_path / "kubeconfig"

    write_kubeconfig(path, kubeconfig("https://127.0.0.1:6443", store.authority().certificate_pem, pair))

    config = yaml.safe_load(path.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    assert cluster["server"] == "https://127.0.0.1:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == store.authority().certificate_pem
    assert base64.b64decode(user["client-key-data"]).decode() == pair.key_pem
    assert config["current-context"] == config["contexts"][0]["name"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_kubeconfig_may_carry_a_token_instead() -> None:
    """Service accounts have tokens, not certificates."""
    config = kubeconfig("https://host", "pem", "t0ken", user="bot")

    assert config["users"] == [{"name": "bot", "user": {"token": "t0ken"}}]
