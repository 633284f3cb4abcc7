"""AWS on loopback for the tests in this folder: one for all of them, since it takes seconds to furnish."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator

import pytest

from stratos.testing.aws import AwsFaults, LoopbackAws, aws_on_loopback, moto_process
from stratos.testing.aws.loopback import ACCESS_KEY, SECRET_KEY
from stratos.wiring.clock import SystemClock


@pytest.fixture(scope="session")
def aws_loop() -> Iterator[asyncio.Runner]:
    """The loop that AWS is served on, and that the tests run on which talk to it."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def served_aws(aws_loop: asyncio.Runner) -> Iterator[LoopbackAws]:
    with moto_process() as url:
        serving = aws_on_loopback(clock=SystemClock(), moto_url=url)
        yield aws_loop.run(serving.__aenter__())
        aws_loop.run(serving.__aexit__(None, None, None))


@pytest.fixture
def aws(served_aws: LoopbackAws) -> LoopbackAws:
    """AWS on a good day; what earlier tests launched there may still be seen."""
    usual = AwsFaults()
    for field in dataclasses.fields(AwsFaults):
        setattr(served_aws.faults, field.name, getattr(usual, field.name))
    served_aws.calls.clear()
    return served_aws


@pytest.fixture(autouse=True)
def loopback_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that lead nowhere else, whatever the machine of the tests has."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
