"""AWS on loopback for the tests in this folder: one moto for all of them, wiped for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from stratos.testing.aws import moto_process
from stratos.testing.aws.loopback import ACCESS_KEY, SECRET_KEY


@pytest.fixture(scope="session")
def aws_loop() -> Iterator[asyncio.Runner]:
    """The loop that moto's process belongs to, and the tests that talk to it."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def moto_url(aws_loop: asyncio.Runner) -> Iterator[str]:
    process = moto_process()
    yield aws_loop.run(process.__aenter__())
    aws_loop.run(process.__aexit__(None, None, None))


@pytest.fixture(autouse=True)
def loopback_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that lead nowhere else, whatever the machine of the tests has."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
