"""The client speaks for everybody: its errors are what people read at night, and its retries what servers suffer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from kube.embedded import a_pod, embedded_client
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import ObjectMeta
from stratos.apis.node import NODE
from stratos.apis.pod import POD, Pod
from stratos.base.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    StratosError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from stratos.kube.client import Bookmark, Client, EventType, PatchType, WatchEvent
from stratos.kube.transport import NOTHING, Response, StreamResponse
from stratos.testing.virtual_time import run


class Canned:
    """A transport that gives prepared answers, one after the other, and remembers what it was asked."""

    def __init__(self, *answers: Response | StratosError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], bytes | None]] = []
        self.content_types: list[str] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        self.asked.append((method, path, query, body))
        self.content_types.append(headers.get("content-type", ""))
        answer = self._answers.pop(0)
        if isinstance(answer, StratosError):
            raise answer
        return answer

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
    ) -> AsyncIterator[StreamResponse]:
        answer = await self.request(method, path, query=query, headers=headers)

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(answer.body), 7):
                yield answer.body[at : at + 7]

        yield StreamResponse(answer.status, answer.headers, chunks())

    async def close(self) -> None:
        return None


def answer(status: int, body: object, **headers: str) -> Response:
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


def refusal(code: int, reason: str, message: str = "no", **details: Any) -> Response:
    return answer(code, {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (refusal(400, "BadRequest"), Invalid),
        (refusal(401, "Unauthorized"), Unauthorized),
        (refusal(403, "Forbidden"), Forbidden),
        (refusal(404, "NotFound"), NotFound),
        (refusal(409, "AlreadyExists"), AlreadyExists),
        (refusal(409, "Conflict"), Conflict),
        (refusal(410, "Expired"), Expired),
        (refusal(422, "Invalid"), Invalid),
        (refusal(500, "InternalError"), Unavailable),
        (Response(502, {}, b"<html>Bad Gateway"), Unavailable),
    ],
)
def test_a_refusal_becomes_the_error_a_caller_can_act_on(response: Response, expected: type[StratosError]) -> None:
    async def main() -> None:
        with pytest.raises(expected) as refused:
            await Client(Canned(response)).patch(POD, "default/web", {})
        assert refused.value.message.startswith("patch pods default/web: ")

    run(main())


def test_an_invalid_object_is_told_by_field() -> None:
    cause = {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers[0].image"}

    async def main() -> None:
        with pytest.raises(Invalid) as refused:
            await Client(Canned(refusal(422, "Invalid", "Pod is invalid", causes=[cause]))).create(POD, a_pod("web"))
        assert [problem.field for problem in refused.value.problems] == ["spec.containers[0].image"]

    run(main())


def test_reads_are_tried_again_when_the_server_is_away() -> None:
    """A server that restarts is back in a second; nobody needs to hear of it."""

    async def main() -> None:
        away = Unavailable("connection refused")
        transport = Canned(away, away, answer(200, {"metadata": {"name": "web"}}))
        assert (await Client(transport).get(POD, "default/web")).metadata.name == "web"

        transport = Canned(*[away] * 10)
        with pytest.raises(Unavailable, match="get pods default/web: connection refused"):
            await Client(transport).get(POD, "default/web")
        assert len(transport.asked) == 4

    run(main())


def test_writes_are_not_repeated_blindly() -> None:
    """The first one may have taken effect; only the caller knows whether a second one is harmless."""

    async def main() -> None:
        transport = Canned(Unavailable("connection reset"))
        with pytest.raises(Unavailable):
            await Client(transport).create(POD, a_pod("web"))
        assert len(transport.asked) == 1

    run(main())


def test_a_server_that_asks_for_patience_gets_it() -> None:
    async def main() -> None:
        busy = answer(429, {"reason": "TooManyRequests"}, retry_after="7")
        transport = Canned(busy, answer(201, {"metadata": {"name": "web"}}))
        await Client(transport).create(POD, a_pod("web"))
        assert asyncio.get_running_loop().time() == pytest.approx(7, abs=0.1)

        with pytest.raises(Throttled) as refused:
            await Client(Canned(*[busy] * 10)).create(POD, a_pod("web"))
        assert refused.value.retry_after_seconds == 7

    run(main())


def test_an_eviction_that_a_budget_forbids_is_an_answer_and_not_tried_again() -> None:
    async def main() -> None:
        message = "Cannot evict pod as it would violate the pod's disruption budget."
        transport = Canned(refusal(429, "TooManyRequests", message, causes=[{"message": "The budget web needs 3"}]))
        with pytest.raises(Throttled, match="disruption budget") as refused:
            await Client(transport).evict("default/web")
        assert refused.value.looked_at == ("The budget web needs 3",)

    run(main())


@pytest.mark.parametrize("key", ["web", "default/", "default/a/b", "default/web?x=1", "default/.. /x"])
def test_a_key_that_cannot_name_a_pod_is_refused_before_it_reaches_a_path(key: str) -> None:
    async def main() -> None:
        with pytest.raises(Invalid, match="key"):
            await Client(Canned()).get(POD, key)

    run(main())


def test_nulls_where_lists_and_maps_belong_are_read_as_absent() -> None:
    """Go writes nil slices and maps as null; such an answer is as good as any other."""
    pod = {"metadata": {"name": "web", "labels": None, "finalizers": None}, "spec": {"containers": None}}
    line = {"type": "ADDED", "object": pod}

    async def main() -> None:
        expected = Pod(metadata=ObjectMeta(name="web"))
        assert await Client(Canned(answer(200, pod))).get(POD, "default/web") == expected
        page = await Client(Canned(answer(200, {"metadata": {}, "items": [pod, pod]}))).list(POD)
        assert page.items == (expected, expected)
        assert (await Client(Canned(answer(200, {"metadata": {}, "items": None}))).list(POD)).items == ()
        async with aclosing(Client(Canned(answer(200, line), Unavailable("end"))).watch(POD)) as events:
            assert [event async for event in events] == []  # the line has no end yet
        transport = Canned(Response(200, {}, json.dumps(line).encode() + b"\n"))
        events = Client(transport).watch(POD)
        assert [event async for event in events] == [WatchEvent(EventType.ADDED, expected)]

    run(main())


def test_an_answer_of_another_shape_names_the_field() -> None:
    async def main() -> None:
        with pytest.raises(Invalid, match=r"metadata\.name"):
            await Client(Canned(answer(200, {"metadata": {"name": 5}}))).get(POD, "default/web")

    run(main())


def test_a_watch_is_read_whatever_pieces_it_comes_in() -> None:
    lines = [
        {"type": "ADDED", "object": {"metadata": {"name": "a" * 50}}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9", "annotations": {}}}},
        {
            "type": "BOOKMARK",
            "object": {"metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}},
        },
        {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    async def main() -> None:
        seen = list[WatchEvent[Pod] | Bookmark]()
        with pytest.raises(Expired, match="watch pods: too old"):
            async for event in Client(Canned(Response(200, {}, body))).watch(POD):
                seen.append(event)
        assert seen == [
            WatchEvent(EventType.ADDED, Pod(metadata=ObjectMeta(name="a" * 50))),
            Bookmark("9"),
            Bookmark("9", initial_events_end=True),
        ]

    run(main())


def test_each_patch_says_its_type_and_a_struct_sends_only_what_it_sets() -> None:
    async def main() -> None:
        done = answer(200, {"metadata": {"name": "web"}})
        transport = Canned(done, done, done)
        client = Client(transport)
        await client.patch(POD, "default/web", Pod(metadata=ObjectMeta(labels={"a": "b"})), subresource="status")
        await client.patch(POD, "default/web", [{"op": "remove", "path": "/x"}], type=PatchType.JSON)
        await client.apply(POD, a_pod("web"), field_manager="me", force=True)
        assert transport.content_types == [
            "application/merge-patch+json",
            "application/json-patch+json",
            "application/apply-patch+yaml",
        ]
        assert transport.asked[0][1] == "/api/v1/namespaces/default/pods/web/status"
        assert transport.asked[0][3] == b'{"metadata":{"labels":{"a":"b"}}}'
        assert transport.asked[2][2] == {"fieldManager": "me", "force": "true"}

    run(main())


# Against the embedded server

Story = Callable[[Client], Awaitable[None]]


def with_embedded_server(story: Story) -> None:
    async def main() -> None:
        async with embedded_client() as client:
            await story(client)

    run(main())


def test_an_object_lives_from_create_to_delete() -> None:
    async def story(client: Client) -> None:
        created = await client.create(POD, a_pod("web", app="web"))
        assert created.metadata.uid
        with pytest.raises(AlreadyExists, match=r"create pods default/web"):
            await client.create(POD, a_pod("web"))
        patched = await client.patch(POD, "default/web", {"metadata": {"labels": {"app": "api"}}})
        assert patched.metadata.labels == {"app": "api"}
        whole = await client.get_raw(POD, "default/web")
        with pytest.raises(Conflict):
            await client.update(POD, {**whole, "metadata": {**whole["metadata"], "resourceVersion": "1"}})
        with pytest.raises(Conflict):
            await client.delete(POD, "default/web", uid="somebody-else")
        await client.delete(POD, "default/web", uid=created.metadata.uid, grace_seconds=0)
        with pytest.raises(NotFound, match=r"get pods default/web"):
            await client.get(POD, "default/web")

    with_embedded_server(story)


def test_a_dry_run_changes_nothing() -> None:
    async def story(client: Client) -> None:
        await client.create(POD, a_pod("web"), dry_run=True)
        assert (await client.list(POD)).items == ()

    with_embedded_server(story)


def test_a_long_list_is_read_page_by_page() -> None:
    async def story(client: Client) -> None:
        for number in range(7):
            await client.create(POD, a_pod(f"web-{number}", parity="even" if number % 2 == 0 else "odd"))
        names = [pod.metadata.name async for pod in client.list_all(POD, label_selector="parity=even", page_size=2)]
        assert names == ["web-0", "web-2", "web-4", "web-6"]
        await client.delete_collection(POD, namespace="default", label_selector="parity=odd", grace_seconds=0)
        assert len((await client.list(POD, namespace="default")).items) == 4

    with_embedded_server(story)


def test_server_side_apply_tells_who_owns_what() -> None:
    async def story(client: Client) -> None:
        mine = {"metadata": {"name": "web", "namespace": "default", "labels": {"tier": "gold"}}}
        await client.create(POD, a_pod("web", tier="tin"), field_manager="somebody")
        with pytest.raises(Conflict):
            await client.apply(POD, mine, field_manager="me")
        applied = await client.apply(POD, mine, field_manager="me", force=True)
        assert applied.metadata.labels == {"tier": "gold"}

    with_embedded_server(story)


def test_a_pod_is_bound_and_evicted() -> None:
    async def story(client: Client) -> None:
        await client.create(NODE, {"metadata": {"name": "node-1"}})
        await client.create(POD, a_pod("web"))
        await client.bind("default/web", "node-1")
        assert (await client.get(POD, "default/web")).spec.node_name == "node-1"
        with pytest.raises(Conflict):
            await client.bind("default/web", "node-2")
        await client.evict("default/web")
        assert (await client.get(POD, "default/web")).metadata.deletion_timestamp is not None

    with_embedded_server(story)


def test_a_scale_is_read_and_changed() -> None:
    async def story(client: Client) -> None:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": a_pod("x")["spec"]}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        await client.create(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
        scale = await client.patch_scale(DEPLOYMENT, "default/web", 5)
        assert (scale.spec.replicas, scale.status.selector) == (5, "app=web")
        assert (await client.get(DEPLOYMENT, "default/web")).spec.replicas == 5

    with_embedded_server(story)


def test_anything_else_is_within_reach() -> None:
    async def story(client: Client) -> None:
        version = await client.request_json("GET", "/version")
        assert version["major"] == "1"

    with_embedded_server(story)
