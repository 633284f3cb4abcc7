"""A host hears from its metadata service what is to happen to its machine, and lets its node say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from kube.embedded import embedded_client
from stratos.agent.notices import InstanceMetadata, MetadataUnavailable, watch_notices
from stratos.apis import labels
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import InterruptionKind
from stratos.kube.client import Client
from stratos.planning.interruptions.notices import HostNotice, read_notice, write_notice

SPOT = "spot/instance-action"
MAINTENANCE = "events/maintenance/scheduled"
REBALANCE = "events/recommendations/rebalance"
AT = datetime(2027, 1, 21, 9, tzinfo=UTC)
PATIENCE_SECONDS = 10.0


class Imds:
    """The metadata service, version 2: no page without a token, and tokens run out."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.url = ""
        self.tokens_given = 0
        self.token = ""

    def forget_token(self) -> None:
        self.token = "expired"

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.method == "PUT" and request.path == "/latest/api/token":
            assert "X-aws-ec2-metadata-token-ttl-seconds" in request.headers
            self.tokens_given += 1
            self.token = f"token-{self.tokens_given}"
            return web.Response(text=self.token)
        if request.headers.get("X-aws-ec2-metadata-token") != self.token:
            return web.Response(status=401)
        page = self.pages.get(request.path.removeprefix("/latest/meta-data/"))
        return web.Response(status=404) if page is None else web.Response(text=page)


@asynccontextmanager
async def an_imds() -> AsyncIterator[Imds]:
    imds = Imds()
    runner = web.ServerRunner(web.Server(imds.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    imds.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield imds
    finally:
        await runner.cleanup()


def listening(plot: Callable[[Imds, InstanceMetadata], Awaitable[None]]) -> None:
    async def main() -> None:
        async with an_imds() as imds, aiohttp.ClientSession() as session:
            await plot(imds, InstanceMetadata(session, imds.url))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ({}, None),
        ({MAINTENANCE: "[]"}, None),
        ({REBALANCE: '{"noticeTime":"2027-01-21T08:22:00Z"}'}, HostNotice(InterruptionKind.REBALANCE_RECOMMENDATION)),
        (
            {SPOT: '{"action":"terminate","time":"2027-01-21T09:00:00Z"}', REBALANCE: "{}"},
            HostNotice(InterruptionKind.SPOT_INTERRUPTION, AT),
        ),
        (
            {
                MAINTENANCE: '[{"NotBefore":"22 Jan 2027 09:00:00 GMT","Code":"system-reboot","State":"active"},'
                '{"NotBefore":"21 Jan 2027 09:00:00 GMT","Code":"instance-stop","State":"active"},'
                '{"NotBefore":"20 Jan 2027 09:00:00 GMT","Code":"instance-stop","State":"canceled"}]'
            },
            HostNotice(InterruptionKind.SCHEDULED_CHANGE, AT),
        ),
    ],
)
def test_the_gravest_of_what_is_said_counts(pages: dict[str, str], expected: HostNotice | None) -> None:
    """Three pages, each missing when there is nothing to say."""

    async def plot(imds: Imds, metadata: InstanceMetadata) -> None:
        imds.pages = pages
        assert await metadata.notice() == expected

    listening(plot)


def test_a_token_that_has_run_out_is_replaced() -> None:
    """A host may be up for months, a token lasts six hours."""

    async def plot(imds: Imds, metadata: InstanceMetadata) -> None:
        assert await metadata.notice() is None
        imds.forget_token()
        imds.pages = {REBALANCE: "{}"}
        assert await metadata.notice() == HostNotice(InterruptionKind.REBALANCE_RECOMMENDATION)
        assert imds.tokens_given == 2

    listening(plot)


@pytest.mark.parametrize("page", ["", "<html>", '{"action":"stop"}', '{"action":"stop","time":"soon"}'])
def test_a_page_that_makes_no_sense_is_no_notice(page: str) -> None:
    """Better to ask again than to drain a node for a captive portal."""

    async def plot(imds: Imds, metadata: InstanceMetadata) -> None:
        imds.pages = {SPOT: page}
        with pytest.raises(MetadataUnavailable):
            await metadata.notice()

    listening(plot)


def test_b56_the_node_says_what_its_host_hears_and_takes_it_back() -> None:
    """The controllers read it there; what no longer holds must not stay."""

    async def main() -> None:
        async with an_imds() as imds, aiohttp.ClientSession() as session, embedded_client() as client:
            node = {"metadata": {"name": "host-1", "annotations": {labels.INTERRUPTION: "RebalanceRecommendation"}}}
            await client.create(NODE, node)
            metadata = InstanceMetadata(session, imds.url)
            watching = asyncio.ensure_future(watch_notices(client, "host-1", metadata.notice, poll_seconds=0.01))
            await wait_said(client, None)
            imds.pages = {SPOT: '{"action":"terminate","time":"2027-01-21T09:00:00Z"}'}
            await wait_said(client, "SpotInterruption@2027-01-21T09:00:00+00:00")
            imds.pages = {}
            await wait_said(client, None)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(main())


async def wait_said(client: Client, text: str | None) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            annotations = (await client.get(NODE, "host-1")).metadata.annotations
            if annotations.get(labels.INTERRUPTION) == text:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "notice",
    [
        HostNotice(InterruptionKind.SPOT_INTERRUPTION, AT),
        HostNotice(InterruptionKind.SCHEDULED_CHANGE, AT),
        HostNotice(InterruptionKind.REBALANCE_RECOMMENDATION),
    ],
)
def test_what_a_host_writes_the_controllers_read(notice: HostNotice) -> None:
    """Two programs, and one line of text between them."""
    assert read_notice(write_notice(notice)) == notice


@pytest.mark.parametrize(
    "text", ["", "true", "SpotInterruption", "SpotInterruption@soon", "SpotInterruption@2027-01-21T09:00:00", "@"]
)
def test_an_annotation_that_makes_no_sense_is_not_heeded(text: str) -> None:
    """Anybody may annotate a node; a machine is not ended for a typing error."""
    assert read_notice(text) is None
