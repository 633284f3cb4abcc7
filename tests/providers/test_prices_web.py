"""Lists are large, throttled and now and then cut: patience must help where it can, and say what happened where not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from providers.price_lists import Answer, as_gzip, as_json, as_status, as_text, cut_off, served
from stratos.base.errors import Invalid, Unavailable


class Numbers(msgspec.Struct):
    numbers: list[int]


async def read_json(answers: Sequence[Answer]) -> tuple[Numbers, int]:
    async with served({"/list": answers}) as server:
        return await server.reader.json(f"{server.url}/list", Numbers), len(server.asked)


@pytest.mark.parametrize(
    "trouble", [as_status(429, retry_after="0"), as_status(500), as_status(503), cut_off('{"numbers": [1, 2, 3, 4]}')]
)
def test_trouble_that_passes_is_waited_out(trouble: Answer) -> None:
    """Throttled, broken or cut half-way: the next try may do."""
    assert asyncio.run(read_json([trouble, trouble, as_json({"numbers": [1, 2]})])) == (Numbers([1, 2]), 3)


def test_trouble_that_stays_is_told_with_every_try() -> None:
    """After the last try the reader learns what each of them met."""
    with pytest.raises(Unavailable) as caught:
        asyncio.run(read_json([as_status(503), as_status(429), as_status(500)]))

    assert [line[:8] for line in caught.value.looked_at] == ["HTTP 503", "HTTP 429", "HTTP 500"]


def test_a_refusal_is_not_tried_again() -> None:
    """Waiting does not turn a wrong key into a right one."""
    with pytest.raises(Unavailable) as caught:
        asyncio.run(read_json([as_status(403), as_json({"numbers": []})]))

    assert len(caught.value.looked_at) == 1


def test_an_answer_of_another_shape_is_told_with_the_place() -> None:
    """An API that changed is no passing trouble, and the place tells what to look at."""
    with pytest.raises(Invalid, match=r"\$\.numbers\[1\]"):
        asyncio.run(read_json([as_json({"numbers": [1, "two"]})]))


def test_compressed_lines_are_read_one_by_one() -> None:
    """Hundreds of MB do not fit into memory as one text."""

    async def read() -> list[str]:
        async with served({"/list": [as_gzip("one\ntwo\n")]}) as server:
            return await server.reader.lines(f"{server.url}/list", gathered)

    assert asyncio.run(read()) == ["one\n", "two\n"]


def test_lines_that_break_off_are_read_anew_from_the_first() -> None:
    """Half a list would look like a list from which the other half has gone."""

    async def take(lines: AsyncIterator[str]) -> list[str]:
        got = await gathered(lines)
        if got[-1] != "end\n":
            raise ValueError("it ends in the middle")
        return got

    async def read() -> list[str]:
        async with served({"/list": [cut_off("one\ntwo\nend\n"), as_text("one\ntwo\nend\n")]}) as server:
            return await server.reader.lines(f"{server.url}/list", take)

    assert asyncio.run(read()) == ["one\n", "two\n", "end\n"]


async def gathered(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]
