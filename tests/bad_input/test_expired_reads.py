"""What the server no longer remembers it says so, with the words that make a client start over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apiserver.core.api_calls import a_config_map
from bad_input.furnished_api import CONFIG_MAPS, FurnishedApi, furnished_api


@pytest.fixture
def api() -> Iterator[FurnishedApi]:
    """A server that has forgotten how it began."""
    with furnished_api() as furnished:
        for number in range(5):
            furnished.call("POST", CONFIG_MAPS, body=a_config_map(f"extra-{number}"))
        yield furnished


def forget(api: FurnishedApi) -> None:
    api.loop.run_until_complete(api.api.storage.compact(api.api.storage.revision))


def test_a_list_as_it_was_long_ago_has_expired(api: FurnishedApi) -> None:
    forget(api)
    before = api.fingerprint()

    reply = api.call("GET", CONFIG_MAPS, resourceVersion="2", resourceVersionMatch="Exact")

    assert (reply.code, reply.obj["reason"]) == (410, "Expired")
    assert "resource version" in reply.obj["message"] or "resourceVersion" in reply.obj["message"]
    assert api.fingerprint() == before


def test_a_page_token_that_outlived_its_list_has_expired(api: FurnishedApi) -> None:
    token = api.call("GET", CONFIG_MAPS, limit=2).obj["metadata"]["continue"]
    api.call("DELETE", f"{CONFIG_MAPS}/extra-0")
    forget(api)

    reply = api.call("GET", CONFIG_MAPS, limit=2, **{"continue": token})

    assert (reply.code, reply.obj["reason"]) == (410, "Expired")
    assert "continue parameter is too old" in reply.obj["message"]


def test_a_watch_from_long_ago_is_told_in_its_first_event(api: FurnishedApi) -> None:
    """The answer has begun when the server finds out: so the refusal is an event, as on any other cluster."""
    forget(api)

    reply = api.call("GET", CONFIG_MAPS, watch="true", resourceVersion="2")

    event = reply.obj
    assert (event["type"], event["object"]["kind"], event["object"]["code"]) == ("ERROR", "Status", 410)
    assert event["object"]["reason"] == "Expired"
