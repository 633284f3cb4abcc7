"""Bad input is answered with what is wrong and where, and changes nothing at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bad_input.bad_requests import ALL, Bad
from bad_input.furnished_api import FurnishedApi, furnished_api


@pytest.fixture(scope="module")
def api() -> Iterator[FurnishedApi]:
    with furnished_api() as furnished:
        yield furnished


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.title)
def test_bad_input_is_refused_by_name_and_changes_nothing(api: FurnishedApi, bad: Bad) -> None:
    """Code and reason are for programs, the message is for people: it names the field or thing at fault."""
    before = api.fingerprint()

    reply = api.call(bad.method, bad.path, **bad.parts)

    assert reply.obj["kind"] == "Status"
    assert reply.obj["status"] == "Failure"
    assert (reply.code, reply.obj["reason"]) == bad.answer, reply.obj["message"]
    assert reply.obj["code"] == reply.code
    assert bad.says in reply.obj["message"]
    assert api.fingerprint() == before


def test_there_are_more_than_a_hundred_ways_to_be_wrong() -> None:
    """And each is listed once, so that a failure names the one it is about."""
    titles = [bad.title for bad in ALL]
    assert len(titles) > 200
    assert len(set(titles)) == len(titles)
