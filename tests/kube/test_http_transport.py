"""What only a real socket can show: TLS, connections that break, tokens that are rejected, compressed answers."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from kube.embedded import a_pod, embedded_server
from stratos.apis.pod import POD
from stratos.base.certificates import create_authority, issue_client, issue_serving
from stratos.base.clock import FixedClock
from stratos.base.errors import Unauthorized, Unavailable
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.http import AiohttpTransport
from stratos.kube.kubeconfig import ClusterAccess
from stratos.wiring.clock import SystemClock

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

ISSUED = SystemClock().now()  # TLS judges certificates by the real clock, whatever ours shows


@dataclass(frozen=True)
class Pki:
    directory: Path
    authority_pem: bytes
    client_certificate: bytes
    client_key: bytes

    def access(self, port: int) -> ClusterAccess:
        return ClusterAccess(server=f"https://localhost:{port}", ca=self.authority_pem)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    directory = tmp_path_factory.mktemp("pki")
    authority = create_authority("test", ISSUED)
    serving = issue_serving(authority, "server", ["localhost"], ISSUED)
    client = issue_client(authority, "me", ["testers"], ISSUED)
    (directory / "ca.crt").write_text(authority.certificate_pem)
    (directory / "tls.crt").write_text(serving.certificate_pem)
    (directory / "tls.key").write_text(serving.key_pem)
    return Pki(directory, authority.certificate_pem.encode(), client.certificate_pem.encode(), client.key_pem.encode())


class _Server(uvicorn.Server):
    """Leaves the test's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: App, pki: Pki, *, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """The port on which ``app`` is served over TLS."""
    config = uvicorn.Config(
        app,
        host="localhost",
        port=port,
        lifespan="off",
        ws="none",
        log_level="critical",
        ssl_certfile=pki.directory / "tls.crt",
        ssl_keyfile=str(pki.directory / "tls.key"),
        ssl_ca_certs=str(pki.directory / "ca.crt"),
        timeout_graceful_shutdown=1,
        **options,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def connected(access: ClusterAccess) -> AsyncIterator[Client]:
    transport = AiohttpTransport(access, clock=FixedClock())
    try:
        yield Client(transport)
    finally:
        await transport.close()


def test_objects_are_written_listed_and_watched_over_tls(pki: Pki) -> None:
    async def main() -> None:
        async with (
            embedded_server(FixedClock()) as server,
            served(server.app, pki) as port,
            connected(pki.access(port)) as client,
        ):
            await client.create(POD, a_pod("one", note="x" * 60))
            cache = Cache(client, POD, rng=random.Random(1))
            following = asyncio.create_task(cache.run())
            async with asyncio.timeout(10):
                await cache.wait_synced()
            two = await client.create(POD, a_pod("two"))
            async with asyncio.timeout(10):
                await cache.wait_for_version(two.metadata.resource_version)
            assert [pod.metadata.name for pod in cache] == ["one", "two"]
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    asyncio.run(main())


def test_a_cache_outlives_its_server(pki: Pki) -> None:
    """The server's process ends with the stream open; the cache goes on with the next one at the same address."""

    async def main() -> None:
        async with embedded_server(FixedClock()) as server:
            async with served(server.app, pki) as port:
                transport = AiohttpTransport(pki.access(port), clock=FixedClock())
                cache = Cache(Client(transport), POD, rng=random.Random(1))
                following = asyncio.create_task(cache.run())
                async with asyncio.timeout(10):
                    await cache.wait_synced()
            with pytest.raises(Unavailable):
                await Client(transport).patch(POD, "default/x", {})
            async with served(server.app, pki, port=port):
                made = await Client(transport).create(POD, a_pod("later"))
                async with asyncio.timeout(10):
                    await cache.wait_for_version(made.metadata.resource_version)
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await transport.close()

    asyncio.run(main())


def test_a_server_with_a_strange_certificate_is_not_trusted(pki: Pki) -> None:
    stranger = create_authority("stranger", ISSUED).certificate_pem.encode()

    async def main() -> None:
        async with embedded_server(FixedClock()) as server, served(server.app, pki) as port:
            async with connected(replace(pki.access(port), ca=stranger)) as client:
                with pytest.raises(Unavailable) as refused:
                    await client.create(POD, a_pod("one"))
                assert "certificate-authority" in (refused.value.hint or "")
            async with connected(replace(pki.access(port), ca=None, verify=False)) as careless:
                assert (await careless.list(POD)).items == ()

    asyncio.run(main())


def test_a_client_certificate_is_shown_to_a_server_that_asks(pki: Pki) -> None:
    async def main() -> None:
        async with (
            embedded_server(FixedClock()) as server,
            served(server.app, pki, ssl_cert_reqs=ssl.CERT_REQUIRED) as port,
        ):
            async with connected(pki.access(port)) as nobody:
                with pytest.raises(Unavailable):
                    await nobody.create(POD, a_pod("one"))
            known = replace(pki.access(port), client_certificate=pki.client_certificate, client_key=pki.client_key)
            async with connected(known) as client:
                assert (await client.create(POD, a_pod("one"))).metadata.name == "one"

    asyncio.run(main())


def test_a_rejected_token_is_looked_up_again_once(pki: Pki, tmp_path: Path) -> None:
    """A token rotated a moment ago must not fail a request, and a wrong one must not be sent for ever."""
    file = tmp_path / "token"
    asked = list[str]()

    async def guarded(scope: Message, _receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        token = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
        asked.append(token)
        status = 200 if token == "new" else 401
        file.write_text("new" if len(asked) < 3 else "wrong")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b'{"reason":"Unauthorized"}'})

    async def main() -> None:
        file.write_text("old")
        async with (
            served(guarded, pki) as port,
            connected(replace(pki.access(port), token_file=file)) as client,
        ):
            await client.get(POD, "default/web")
            assert asked == ["old", "new"]
            client.transport._credentials.reject()  # type: ignore[attr-defined]
            await client.get(POD, "default/web")
            client.transport._credentials.reject()  # type: ignore[attr-defined]
            with pytest.raises(Unauthorized):
                await client.get(POD, "default/web")
            assert asked == ["old", "new", "new", "wrong", "wrong"]

    asyncio.run(main())


def test_a_stream_that_is_cut_is_told_from_one_that_ends(pki: Pki) -> None:
    async def cutting(_scope: Message, _receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        line = b'{"type":"ADDED","object":{"metadata":{"name":"web"}}}\n'
        await send({"type": "http.response.body", "body": line, "more_body": True})
        raise ConnectionResetError

    async def main() -> None:
        async with (
            served(cutting, pki) as port,
            connected(pki.access(port)) as client,
            aclosing(client.watch(POD)) as events,
        ):
            assert (await anext(events)) is not None
            with pytest.raises(Unavailable):
                await anext(events)

    asyncio.run(main())


def test_nobody_at_the_address_is_a_clear_answer() -> None:
    async def main() -> None:
        async with connected(ClusterAccess(server="http://127.0.0.1:9")) as client:
            with pytest.raises(Unavailable, match=r"create pods default/web: no answer from http://127\.0\.0\.1:9"):
                await client.create(POD, a_pod("web"))

    asyncio.run(main())
