"""Price lists as clouds publish them, served on the loopback."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web

from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.quotes import PriceKey, Quote
from stratos.catalog.tables import ListPrice, PriceRow
from stratos.providers.prices.source import KnownRegion, Reading
from stratos.providers.prices.web import Web

Answer = Callable[[web.Request], web.StreamResponse]


@dataclass
class Served:
    """Where it is served, what was asked, and a `Web` that does not wait long between tries."""

    url: str
    reader: Web
    asked: list[web.Request] = field(default_factory=list)


@asynccontextmanager
async def served(answers: dict[str, Sequence[Answer]]) -> AsyncIterator[Served]:
    """Each path gives its answers in turn, and its last one from then on. Others are not found."""
    asked: list[web.Request] = []
    counts: dict[str, int] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        if request.path not in answers:
            return web.Response(status=404, text="no such list")
        turn = counts.get(request.path, 0)
        counts[request.path] = turn + 1
        scripted = answers[request.path]
        return scripted[min(turn, len(scripted) - 1)](request)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession() as session:
            yield Served(f"http://{host}:{port}", Web(session, waits_seconds=(0.0, 0.001)), asked)
    finally:
        await runner.cleanup()


def as_json(document: object) -> Answer:
    return lambda _: web.json_response(document)


def as_text(text: str) -> Answer:
    return lambda _: web.Response(text=text)


def as_gzip(text: str) -> Answer:
    return lambda _: web.Response(body=gzip.compress(text.encode()), headers={"content-encoding": "gzip"})


def as_status(status: int, **headers: str) -> Answer:
    return lambda _: web.Response(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def cut_off(text: str) -> Answer:
    """The first half of an answer that promised to be whole."""
    return lambda _: web.Response(text=text[: len(text) // 2])


def a_type(name: str, family: str, vcpu: int, gib: float, **facts: Any) -> InstanceType:
    return replace(InstanceType(name, family, "amd64", vcpu, int(gib * GIBIBYTE), max_pods=110), **facts)


def known(region: str, *types: InstanceType, spot: bool = False, parts: Sequence[str] = ()) -> KnownRegion:
    """A region in which these are sold, at prices that do not matter here."""
    some = ListPrice(1.0, "before", "2026-01-01")
    names = [*(type_.name for type_ in types), *parts]
    rows = {name: PriceRow(region, name, ("1",), some, some if spot else None) for name in names}
    return KnownRegion(region, {type_.name: type_ for type_ in types}, rows)


def ours(reading: Reading) -> dict[PriceKey, Quote]:
    """The quotes that are for Linux on shared hardware by the hour."""
    return {quote.key: quote for quote in reading.quotes if quote.sold_as is None}
