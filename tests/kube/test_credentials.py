"""Tokens expire and are rotated while we run for weeks; the first request after that must not fail."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from stratos.base.clock import FixedClock
from stratos.base.errors import Unauthorized
from stratos.kube.credentials import Credentials, credentials_for
from stratos.kube.kubeconfig import ClusterAccess, ExecPlugin


def a_plugin(tmp_path: Path, script: str) -> ClusterAccess:
    path = tmp_path / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    plugin = ExecPlugin(
        command=str(path),
        args=(),
        env={"WHO": "me"},
        api_version="client.authentication.k8s.io/v1",
        provide_cluster_info=True,
        install_hint="install the plugin",
    )
    return ClusterAccess(server="https://example.com", exec=plugin)


def test_a_token_file_is_read_again_after_a_while_and_after_a_rejection(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", FixedClock()
    file.write_text("one\n")

    async def main() -> None:
        credentials = credentials_for(ClusterAccess(server="https://x", token_file=file), clock=clock)
        assert await credentials.headers() == {"authorization": "Bearer one"}
        file.write_text("two")
        assert await credentials.headers() == {"authorization": "Bearer one"}
        clock.set(clock.now() + timedelta(minutes=2))
        assert await credentials.headers() == {"authorization": "Bearer two"}
        file.write_text("three")
        credentials.reject()
        assert await credentials.headers() == {"authorization": "Bearer three"}
        file.unlink()
        credentials.reject()
        with pytest.raises(Unauthorized, match="token"):
            await credentials.headers()

    asyncio.run(main())


def test_a_plugin_is_asked_again_when_its_token_expires(tmp_path: Path) -> None:
    clock = FixedClock()
    expiry = (clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    runs = tmp_path / "runs"
    script = (
        f'echo "$WHO $KUBERNETES_EXEC_INFO" >> {runs}\n'
        f"""echo '{{"status": {{"token": "t'$(wc -l < {runs} | tr -d ' ')'", "expirationTimestamp": "{expiry}"}}}}'"""
    )

    async def main() -> None:
        credentials = credentials_for(a_plugin(tmp_path, script), clock=clock)
        both = tuple(await asyncio.gather(credentials.headers(), credentials.headers()))
        assert both == ({"authorization": "Bearer t1"}, {"authorization": "Bearer t1"})
        clock.set(clock.now() + timedelta(hours=1))
        assert await credentials.headers() == {"authorization": "Bearer t2"}

    asyncio.run(main())
    who, info = runs.read_text().splitlines()[0].split(" ", 1)
    assert who == "me"
    assert json.loads(info)["spec"]["cluster"] == {"server": "https://example.com"}


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo no luck >&2; exit 3", "status 3"),
        ("echo hello", "no ExecCredential"),
        ("echo '{}'", "should print a token"),
    ],
)
def test_a_plugin_that_fails_is_quoted(tmp_path: Path, script: str, complaint: str) -> None:
    credentials = credentials_for(a_plugin(tmp_path, script), clock=FixedClock())
    with pytest.raises(Unauthorized, match=complaint) as refused:
        asyncio.run(_headers(credentials))
    assert "no luck" not in script or refused.value.looked_at == ("no luck",)


def test_a_missing_plugin_says_how_to_install_it(tmp_path: Path) -> None:
    access = a_plugin(tmp_path, "true")
    (tmp_path / "plugin").unlink()
    with pytest.raises(Unauthorized) as refused:
        asyncio.run(_headers(credentials_for(access, clock=FixedClock())))
    assert refused.value.hint == "install the plugin"


def test_a_password_is_sent_as_basic_and_a_certificate_alone_needs_no_header() -> None:
    access = ClusterAccess(server="https://x", username="me", password="pw")
    basic = asyncio.run(_headers(credentials_for(access, clock=FixedClock())))
    nothing = asyncio.run(_headers(credentials_for(ClusterAccess(server="https://x"), clock=FixedClock())))
    assert (basic, nothing) == ({"authorization": "Basic bWU6cHc="}, {})


async def _headers(credentials: Credentials) -> dict[str, str]:
    return dict(await credentials.headers())
