"""The admission webhook: pods that a template selects are told so, all others pass as they were written."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import ANY, add_template, pods
from stratos.apis.meta import ObjectMeta
from stratos.apis.nodepool import NodeClassRef
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate, NodeTemplateSpec, PodSelection
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.base.errors import Forbidden
from stratos.controllers.webhook import AdmissionWebhook
from stratos.controllers.webhook.reviews import review_pod
from stratos.kube.controller import Manager
from stratos.kube.in_process import InProcessTransport
from stratos.testing.provisioning_builders import a_shop, a_type

LUNA = {"elotl-luna": "true"}
SHOP = a_shop((a_type("m.large", 2, 8), 0.1))


def a_template(name: str = "luna", **spec: Any) -> NodeTemplate:
    spec.setdefault("pods", PodSelection(labels=LUNA))
    made = NodeTemplateSpec(node_class_ref=NodeClassRef(kind="SimNodeClass", name="sim"), **spec)
    return NodeTemplate(metadata=ObjectMeta(name=name), spec=made)


def a_review(labels: dict[str, str], metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    pod = {
        "metadata": {"name": "web", "namespace": "default", "labels": labels, **(metadata or {})},
        "spec": {"containers": [{"name": "main", "image": "app:1"}], **spec},
    }
    return {"uid": "review-1", "operation": "CREATE", "name": "web", "object": pod}


def patch_of(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    assert verdict["allowed"] is True
    assert verdict["uid"] == "review-1"
    return json.loads(base64.b64decode(verdict["patch"])) if "patch" in verdict else []


def test_b04_a_pod_that_a_template_selects_gets_the_selector_of_its_nodes() -> None:
    """A label is enough: nobody has to know what the nodes are called."""
    patch = patch_of(review_pod(a_review(LUNA), [a_template()], SHOP))

    assert patch == [
        {"op": "add", "path": "/spec/nodeSelector", "value": {}},
        {"op": "add", "path": "/spec/nodeSelector/stratos.sh~1template", "value": "luna"},
    ]


def test_b04_a_pod_for_tainted_nodes_tolerates_them_and_keeps_what_it_had() -> None:
    """Its own selector and tolerations say more about it than we do."""
    had = {"key": "team", "operator": "Exists"}
    review = a_review(LUNA, nodeSelector={"disk": "ssd"}, tolerations=[had])

    patch = patch_of(review_pod(review, [a_template(should_taint=True)], SHOP))

    taint = {"key": "scheduling.cast.ai/node-template", "operator": "Equal", "value": "luna", "effect": "NoSchedule"}
    assert patch == [
        {"op": "add", "path": "/spec/nodeSelector/stratos.sh~1template", "value": "luna"},
        {"op": "add", "path": "/spec/tolerations/-", "value": taint},
    ]


@pytest.mark.parametrize(
    "review",
    [
        a_review({"app": "web"}),
        a_review(LUNA, {"annotations": {"pod.elotl.co/ignore": "true"}}),
        a_review(LUNA, nodeSelector={"stratos.sh/pool": "ci"}),
        a_review(LUNA, nodeSelector={"scheduling.cast.ai/node-template": "other"}),
        a_review(LUNA, {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "a", "uid": "u",
                                             "controller": True}]}),
    ],
    ids=["not selected", "ignored", "for a pool", "for another template", "of a DaemonSet"],
)  # fmt: skip
def test_b04_every_other_pod_passes_as_it_was_written(review: dict[str, Any]) -> None:
    """What is not ours to place is not ours to change."""
    assert patch_of(review_pod(review, [a_template()], SHOP)) == []


def test_b04_of_several_templates_the_heaviest_that_is_enabled_takes_the_pod() -> None:
    """The same one that provisioning would choose."""
    templates = [
        a_template("light"),
        a_template("heavy", weight=10),
        a_template("off", weight=20, is_enabled=False),
        a_template("default", weight=30, is_default=True, pods=PodSelection()),
    ]

    assert patch_of(review_pod(a_review(LUNA), templates, SHOP))[-1]["value"] == "heavy"


def test_b05_a_pod_passes_unmodified_while_stratos_is_down() -> None:
    """Better a pod on any node than one that waits for nodes that nobody makes."""

    async def plot(story: Story) -> None:
        await add_template(story, pods={"labels": LUNA})
        await story.add_pod("before", labels=LUNA, selector={"disk": "ssd"})
        await story.cluster.stratos.stop()
        await story.add_pod("while-down", labels=LUNA, selector={"disk": "ssd"})
        await story.cluster.stratos.start()
        await story.add_pod("after", labels=LUNA, selector={"disk": "ssd"})

        found = {pod.metadata.name: pod.spec.node_selector for pod in await pods(story)}
        assert found == {
            "before": {"disk": "ssd", **ANY},
            "while-down": {"disk": "ssd"},
            "after": {"disk": "ssd", **ANY},
        }

    tell(plot)


def test_b51_two_sets_of_labels_lead_to_two_templates() -> None:
    """Several autoscalers in one cluster, each with a shape of its own, do not touch each other's pods."""

    async def plot(story: Story) -> None:
        await add_template(story, "small", pods={"labels": {"size": "small"}}, constraints={"maxCpu": 4, "minCpu": 4})
        await add_template(story, "big", pods={"labels": {"size": "big"}}, constraints={"minCpu": 16})
        for size in ("small", "big"):
            await story.add_pod(size, labels={"size": size}, selector={"kubernetes.io/os": "linux"})
        for size in ("small", "big"):
            await story.wait_pod("Running", size)

        claims = {claim.spec.template: claim for claim in await story.claims()}
        assert set(claims) == {"small", "big"}
        for size in ("small", "big"):
            assert (await story.pod(size)).spec.node_name == claims[size].status.node_name

    tell(plot)


def test_d18_the_default_template_cannot_be_deleted_but_can_be_disabled() -> None:
    """There is always somebody for pods that name nobody; whether new nodes are made is another question."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True)
        with pytest.raises(Forbidden, match="is the default template and cannot be deleted: set isEnabled to false"):
            await story.client.delete(NODE_TEMPLATE, "any")
        with pytest.raises(Forbidden, match="any is the default already"):
            await add_template(story, "second", isDefault=True)

        await story.client.patch(NODE_TEMPLATE, "any", {"spec": {"isEnabled": False}})
        await story.add_pod("untargeted", selector={"kubernetes.io/os": "linux"})
        await asyncio.sleep(60)
        assert await story.claims() == []

        await story.client.patch(NODE_TEMPLATE, "any", {"spec": {"isEnabled": True}})
        await story.wait_pod("Running", "untargeted")

    tell(plot)


def test_a_template_that_contradicts_itself_is_refused_with_the_field_that_does() -> None:
    """Better now than a template that matches nothing and says so where nobody looks."""

    async def plot(story: Story) -> None:
        await story.client.create(SIM_NODE_CLASS, {"metadata": {"name": "sim"}, "spec": {}})
        with pytest.raises(Forbidden, match=r"constraints.minCpu: 8 is more than maxCpu, 4"):
            await add_template(story, constraints={"minCpu": 8, "maxCpu": 4})
        with pytest.raises(Forbidden, match="instanceTypeRegexp"):
            await add_template(story, constraints={"instanceTypeRegexp": "m5(["})

    tell(plot)


def test_b05_the_webhook_is_ready_while_its_manager_runs_and_not_a_moment_longer() -> None:
    """Whoever is asked whether it may be sent pods must not say yes for somebody else."""

    async def plot(story: Story) -> None:
        manager = Manager(story.client, rng=random.Random(1))
        asked = InProcessTransport(AdmissionWebhook(manager, story.cluster.cloud))

        async def status(method: str, path: str, body: bytes = b"") -> int:
            return (await asked.request(method, path, body=body)).status

        assert await status("GET", "/readyz") == 503
        running = asyncio.create_task(manager.run())
        await manager.wait_synced()
        await asyncio.sleep(1)
        assert await status("GET", "/readyz") == 200
        assert await status("POST", "/mutate-pods", json.dumps({"request": a_review(LUNA)}).encode()) == 200
        assert await status("POST", "/mutate-pods", b"{") == 400
        running.cancel()
        await asyncio.wait({running})

        assert await status("GET", "/readyz") == 503
        assert await status("POST", "/mutate-pods", json.dumps({"request": a_review(LUNA)}).encode()) == 503
        assert await status("GET", "/healthz") == 200

    tell(plot)
