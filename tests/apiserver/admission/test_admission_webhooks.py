"""Admission webhooks, asked over real HTTPS on this machine."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from stratos.apiserver.admission.chain import AdmissionChain
from stratos.apiserver.admission.contract import AdmissionRefused, AdmissionRequest, Operation
from stratos.apiserver.admission.webhook_call import WebhookCaller
from stratos.apiserver.admission.webhooks import Webhooks
from stratos.apiserver.auth.certificates import CertificateStore
from stratos.apiserver.auth.contract import User
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.builtin import builtin_resources
from stratos.base.ids import SeededIds
from stratos.wiring.clock import SystemClock

Obj = dict[str, Any]
Answer = Callable[[Obj], Obj]

RESOURCES = {resource.kind: resource for resource in builtin_resources()}
ANY_RULE = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}


def allow(_: Obj) -> Obj:
    return {"allowed": True}


def deny(_: Obj) -> Obj:
    return {"allowed": False, "status": {"message": "not on my watch", "code": 418, "reason": "Teapot"}}


def add_label(key: str) -> Answer:
    def answer(request: Obj) -> Obj:
        labels = request["object"]["metadata"].get("labels", {})
        operations = [{"op": "add", "path": "/metadata/labels", "value": {**labels, key: "yes"}}]
        patch = base64.b64encode(json.dumps(operations).encode()).decode()
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}

    return answer


@dataclass
class Story:
    """Webhooks by path, the configurations that name them, and one write that meets them all."""

    answers: dict[str, Answer]
    webhooks: list[Obj]
    mutating: bool = False
    request: AdmissionRequest = field(default_factory=lambda: a_write("Pod"))
    namespace_labels: Obj = field(default_factory=dict)
    asked: list[tuple[str, Obj]] = field(default_factory=list)

    async def play(self, directory: Path) -> None:
        """Serve the webhooks and run the whole admission; a refusal comes through."""
        store = CertificateStore(directory, SystemClock())  # TLS itself looks at the machine's time
        store.serving(["localhost", "127.0.0.1", "hook.tools.svc"])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*store.paths("apiserver"))
        app = web.Application()
        app.router.add_post("/{path}", self._serve)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        address = runner.addresses[0]
        url = f"https://127.0.0.1:{address[1]}"
        caller = WebhookCaller(lambda namespace, name, port: url if (namespace, name) == ("tools", "hook") else None)
        try:
            await self._admit(url, base64.b64encode(store.authority().certificate_pem.encode()).decode(), caller)
        finally:
            await caller.close()
            await runner.cleanup()

    async def _admit(self, url: str, bundle: str, caller: WebhookCaller) -> None:
        objects = ObservedObjects()
        objects.put("namespaces", {"metadata": {"name": "a", "labels": self.namespace_labels}})
        kind = f"{'Mutating' if self.mutating else 'Validating'}WebhookConfiguration"
        for number, webhook in enumerate(self.webhooks):
            client = {"caBundle": bundle, **webhook.pop("client", {})}
            if "service" not in client:
                client["url"] = f"{url}/{webhook['name'].split('.')[0]}"
            configuration: Obj = {
                "kind": kind,
                "metadata": {"name": f"configuration-{number}"},
                "webhooks": [{"rules": [ANY_RULE], **webhook, "clientConfig": client}],
            }
            RESOURCES[kind].default(configuration)
            objects.put(RESOURCES[kind].group_resource, configuration)
        chain = AdmissionChain([], Webhooks(objects, caller, SeededIds(random.Random(1))))
        await chain.mutate(self.request)
        await chain.validate(self.request)

    async def _serve(self, request: web.Request) -> web.Response:
        path, review = request.match_info["path"], await request.json()
        self.asked.append((path, review["request"]))
        answer = self.answers[path](review["request"])
        if "raw" in answer:
            return web.Response(text=answer["raw"], status=answer.get("http", 200))
        if "sleep" in answer:
            await asyncio.sleep(answer["sleep"])
        response = {"uid": review["request"]["uid"], **answer}
        return web.json_response({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})


def a_write(
    kind: str = "Pod", operation: Operation = Operation.CREATE, subresource: str = "", **metadata: Any
) -> AdmissionRequest:
    resource = RESOURCES[kind]
    namespace = "a" if resource.namespaced else ""
    obj: Obj = {"metadata": {"name": "web", **metadata}, "spec": {}}
    old = None if operation is Operation.CREATE else {"metadata": {"name": "web"}, "spec": {}}
    return AdmissionRequest(
        operation,
        resource,
        "web",
        namespace,
        User("ann", groups=("team",)),
        None if operation is Operation.DELETE else obj,
        old,
        subresource=subresource,
    )


def a_hook(name: str = "check.example.com", **fields: Any) -> Obj:
    return {"name": name, **fields}


def refusal(story: Story, directory: Path) -> AdmissionRefused:
    with pytest.raises(AdmissionRefused) as caught:
        asyncio.run(story.play(directory))
    return caught.value


def test_a_webhook_sees_what_is_about_to_happen(tmp_path: Path) -> None:
    """Policies decide on who does what to what; each part must be there under its usual name."""
    story = Story({"check": allow}, [a_hook()], request=a_write(operation=Operation.UPDATE, labels={"new": "1"}))

    asyncio.run(story.play(tmp_path))

    review = story.asked[0][1]
    assert review["kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert review["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    assert (review["operation"], review["namespace"], review["name"]) == ("UPDATE", "a", "web")
    assert review["userInfo"] == {"username": "ann", "groups": ["team"]}
    assert review["object"]["metadata"]["labels"] == {"new": "1"}
    assert review["oldObject"]["kind"] == "Pod"
    assert review["dryRun"] is False


def test_a_denial_carries_the_webhooks_own_words(tmp_path: Path) -> None:
    """The policy's author wrote the message for the person who reads it now."""
    error = refusal(Story({"check": deny}, [a_hook()]), tmp_path)

    assert error.message == 'admission webhook "check.example.com" denied the request: not on my watch'
    assert (error.code, error.reason) == (418, "Teapot")


def test_a_denial_without_words_says_so(tmp_path: Path) -> None:
    """Even then the name of the webhook leads to who can help."""
    error = refusal(Story({"check": lambda _: {"allowed": False}}, [a_hook()]), tmp_path)

    assert error.message == 'admission webhook "check.example.com" denied the request without explanation'
    assert (error.code, error.reason) == (403, "Forbidden")


def test_warnings_reach_the_client(tmp_path: Path) -> None:
    """A policy may announce itself before it is enforced."""
    story = Story({"check": lambda _: {"allowed": True, "warnings": ["soon forbidden"]}}, [a_hook()])

    asyncio.run(story.play(tmp_path))

    assert story.request.warnings == ["soon forbidden"]


def test_each_mutating_webhook_sees_what_the_one_before_did(tmp_path: Path) -> None:
    """Changes add up in the order of the configurations' names."""
    story = Story(
        {"one": add_label("one"), "two": add_label("two")},
        [a_hook("one.example.com"), a_hook("two.example.com")],
        mutating=True,
    )

    asyncio.run(story.play(tmp_path))

    assert story.request.obj is not None
    assert story.request.obj["metadata"]["labels"] == {"one": "yes", "two": "yes"}
    assert story.asked[1][1]["object"]["metadata"]["labels"] == {"one": "yes"}


@pytest.mark.parametrize(("policy", "calls"), [("IfNeeded", ["one", "two", "one"]), ("Never", ["one", "two"])])
def test_a_webhook_is_asked_again_only_if_it_wishes(tmp_path: Path, policy: str, calls: list[str]) -> None:
    """A sidecar injector must also treat what a later webhook added; others must not be asked twice."""
    story = Story(
        {"one": add_label("one"), "two": add_label("two")},
        [a_hook("one.example.com", reinvocationPolicy=policy), a_hook("two.example.com", reinvocationPolicy=policy)],
        mutating=True,
    )

    asyncio.run(story.play(tmp_path))

    assert [path for path, _ in story.asked] == calls


def patching(operations: object) -> Answer:
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


BROKEN: dict[str, Answer] = {
    "an error status": lambda _: {"raw": "oops", "http": 500},
    "no JSON": lambda _: {"raw": "<html>"},
    "another uid": lambda _: {"allowed": True, "uid": "other"},
    "another kind": lambda _: {"raw": json.dumps({"kind": "Pod", "apiVersion": "v1"})},
    "no patch type": lambda _: {"allowed": True, "patch": "W10="},
    "a patch that does not fit": patching([{"op": "remove", "path": "/spec/nowhere"}]),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_webhook_fails_the_request_unless_it_may_be_ignored(tmp_path: Path, answer: Answer) -> None:
    """``failurePolicy`` is the choice between safe and available, and nothing of a failed call may stick."""
    strict = Story({"check": answer}, [a_hook()], mutating=True)
    lenient = Story({"check": answer}, [a_hook(failurePolicy="Ignore")], mutating=True)

    error = refusal(strict, tmp_path)
    asyncio.run(lenient.play(tmp_path))

    assert (error.code, error.reason) == (500, "InternalError")
    assert error.message.startswith('Internal error occurred: failed calling webhook "check.example.com": ')
    assert lenient.request.obj == {"metadata": {"name": "web"}, "spec": {}}


def test_a_slow_webhook_is_not_waited_for(tmp_path: Path) -> None:
    """One webhook that hangs must not hang every client with it."""
    story = Story({"check": lambda _: {"sleep": 30, "allowed": True}}, [a_hook(timeoutSeconds=0.1)])

    assert refusal(story, tmp_path).message.endswith("context deadline exceeded")


def test_a_webhook_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    """Without this check, anybody on the network could admit anything."""
    stranger = CertificateStore(tmp_path / "other", SystemClock()).authority().certificate_pem
    bundle = base64.b64encode(stranger.encode()).decode()
    story = Story({"check": allow}, [a_hook(client={"caBundle": bundle})])

    assert "certificate" in refusal(story, tmp_path).message.lower()


def test_a_service_is_found_and_must_prove_its_name(tmp_path: Path) -> None:
    """In the cluster, webhooks are services; their certificates carry the service's DNS name."""
    service = {"namespace": "tools", "name": "hook", "path": "/check"}
    missing = {**service, "name": "gone"}

    story = Story({"check": allow}, [a_hook(client={"service": service})])
    asyncio.run(story.play(tmp_path))

    assert [path for path, _ in story.asked] == ["check"]
    error = refusal(Story({}, [a_hook(client={"service": missing})]), tmp_path)
    assert 'service "gone" in namespace "tools" not found' in error.message


def rule(**fields: Any) -> Obj:
    return {**ANY_RULE, **fields}


MATCHES: list[tuple[str, Obj, AdmissionRequest, bool]] = [
    ("operation", {"rules": [rule(operations=["CREATE"])]}, a_write(), True),
    ("other operation", {"rules": [rule(operations=["UPDATE", "DELETE"])]}, a_write(), False),
    ("deletion", {"rules": [rule(operations=["DELETE"])]}, a_write(operation=Operation.DELETE), True),
    ("resource", {"rules": [rule(resources=["pods"])]}, a_write(), True),
    ("other resource", {"rules": [rule(resources=["services"])]}, a_write(), False),
    ("group", {"rules": [rule(apiGroups=["apps"])]}, a_write(), False),
    ("version", {"rules": [rule(apiVersions=["v2"])]}, a_write(), False),
    ("not the subresource", {"rules": [rule(resources=["pods"])]}, a_write(subresource="status"), False),
    ("the subresource", {"rules": [rule(resources=["pods/status"])]}, a_write(subresource="status"), True),
    ("all resources, no subresources", {"rules": [rule(resources=["*"])]}, a_write(subresource="status"), False),
    ("every status", {"rules": [rule(resources=["*/status"])]}, a_write(subresource="status"), True),
    ("all of pods", {"rules": [rule(resources=["pods/*"])]}, a_write(), True),
    ("scope", {"rules": [rule(scope="Cluster")]}, a_write(), False),
    ("cluster scope", {"rules": [rule(scope="Cluster")]}, a_write("Node"), True),
    ("namespace", {"namespaceSelector": {"matchLabels": {"env": "prod"}}}, a_write(), True),
    ("other namespace", {"namespaceSelector": {"matchLabels": {"env": "test"}}}, a_write(), False),
    ("no namespace", {"namespaceSelector": {"matchLabels": {"env": "test"}}}, a_write("Node"), True),
    (
        "the namespace itself",
        {"namespaceSelector": {"matchLabels": {"env": "test"}}},
        a_write("Namespace", labels={"env": "test"}),
        True,
    ),
    ("object", {"objectSelector": {"matchLabels": {"app": "web"}}}, a_write(labels={"app": "web"}), True),
    ("other object", {"objectSelector": {"matchLabels": {"app": "web"}}}, a_write(), False),
    (
        "condition",
        {"matchConditions": [{"name": "n", "expression": "request.userInfo.username == 'ann'"}]},
        a_write(),
        True,
    ),
    (
        "false condition",
        {"matchConditions": [{"name": "n", "expression": "object.metadata.name != 'web'"}]},
        a_write(),
        False,
    ),
    ("webhook configurations", {}, a_write("ValidatingWebhookConfiguration"), False),
]


@pytest.mark.parametrize(("fields", "request_", "asked"), [m[1:] for m in MATCHES], ids=[m[0] for m in MATCHES])
def test_a_webhook_is_asked_only_about_what_concerns_it(
    tmp_path: Path, fields: Obj, request_: AdmissionRequest, asked: bool
) -> None:
    """A webhook that is asked too often slows the cluster down; one that is asked too rarely is a hole."""
    story = Story(
        {"check": allow}, [a_hook(**json.loads(json.dumps(fields)))], request=request_, namespace_labels={"env": "prod"}
    )

    asyncio.run(story.play(tmp_path))

    assert bool(story.asked) is asked


def test_a_condition_that_cannot_be_evaluated_follows_the_failure_policy(tmp_path: Path) -> None:
    """A typing error in a condition must not quietly switch a policy off."""
    conditions = [{"name": "typo", "expression": "object.spec.nothing.here == 1"}]

    error = refusal(Story({"check": allow}, [a_hook(matchConditions=conditions)]), tmp_path)
    lenient = Story({"check": allow}, [a_hook(matchConditions=conditions, failurePolicy="Ignore")])
    asyncio.run(lenient.play(tmp_path))

    assert "match conditions" in error.message
    assert lenient.asked == []
