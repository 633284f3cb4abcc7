"""`stratos explain` for templates, and for pods they serve: the machine, what lost against it, what each wish costs."""

from __future__ import annotations

import asyncio

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pods, wait_running
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.base.errors import NotFound
from stratos.cli.explain import explain
from stratos.cli.explaining.story import Story as Told
from stratos.testing.virtual_time import VirtualClock


async def told_of(story: Story, kind: str, name: str) -> Told:
    return await explain(story.client, VirtualClock(), kind, name, "default")


async def told_of_only_pod(story: Story) -> Told:
    [pod] = await pods(story)
    return await told_of(story, "pod", pod.metadata.name)


def test_b59_a_pod_on_a_templates_machine_is_told_why_that_type_and_why_no_other() -> None:
    """Each rule with the number of types it ruled out, the next by price, and the cheaper ones that were too small."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"minCpu": 4, "instanceFamilies": {"exclude": ["t3a", "t3"]}})
        await add_deployment(story, "web", 1)
        await wait_running(story, 1, within=300)
        [claim] = await story.claims()

        found = await told_of_only_pod(story)

        assert found.facts["template"] == "any"
        assert found.facts["path"] == "cold"
        assert any(claim.spec.instance_type in reason for reason in found.reasons)
        assert found.rejected[0].startswith("alone it would get ")
        assert any("dearer" in line or "costs the same" in line for line in found.rejected)
        assert any(line.endswith("types: constraints.minCpu") for line in found.rejected)
        assert any(line.endswith("types: constraints.instanceFamilies.exclude") for line in found.rejected)
        assert any(line.startswith("without constraints.minCpu: ") and line.endswith("less") for line in found.what_if)
        assert any(step.text == f"template any acted: {claim.metadata.name} is to serve it" for step in found.steps)
        assert "what if:" in found.to_text()

    tell(plot)


def test_b59_a_pod_that_nothing_fits_is_told_which_constraint_stands_in_the_way() -> None:
    """One thing to change, and what it would cost then."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"maxCpu": 2})
        await asyncio.sleep(5)
        await add_deployment(story, "large", 1, cpu="6")
        await asyncio.sleep(30)

        found = await told_of_only_pod(story)

        assert "no machine that template any may buy fits it" in found.headline
        assert found.hint.startswith("give up constraints.maxCpu: ")
        assert found.what_if[0].startswith("without constraints.maxCpu: ")
        assert not found.what_if[0].endswith("less")
        assert any("too small, leaves" in line for line in found.rejected)

    tell(plot)


def test_a_pod_whose_machine_is_coming_names_it() -> None:
    """Between the decision and the node there is a minute in which one wonders."""

    async def plot(story: Story) -> None:
        await add_template(story)
        await asyncio.sleep(5)
        await add_deployment(story, "web", 1)
        await asyncio.sleep(20)
        [claim] = await story.claims()

        found = await told_of_only_pod(story)

        coming = f"template any has asked for {claim.metadata.name} ({claim.spec.instance_type}) for it"
        assert found.headline.endswith(coming)

    tell(plot)


def test_a_node_of_a_template_tells_its_price_and_why_it_was_asked_for() -> None:
    """By the name of the node or of its claim."""

    async def plot(story: Story) -> None:
        await add_template(story)
        await add_deployment(story, "web", 1)
        await wait_running(story, 1, within=300)
        [claim] = await story.claims()

        found = await told_of(story, "node", claim.status.node_name)

        assert f"node {claim.status.node_name} of template any has been in service" in found.headline
        assert found.facts["usd_per_hour"] == claim.spec.price_usd_per_hour
        assert str(found.facts["running"]).startswith("default/web-")
        assert found.reasons[0].startswith("running is wanted. ScaleUp: ")
        assert (await told_of(story, "node", claim.metadata.name)).headline == found.headline

    tell(plot)


def test_a_node_that_is_to_go_tells_why_and_for_whom_it_waits() -> None:
    """Somebody wonders why a machine is still paid for: it says what it waits for."""

    async def plot(story: Story) -> None:
        await add_template(story)
        await add_deployment(story, "web", 1)
        await wait_running(story, 1, within=300)
        [claim] = await story.claims()
        departure = {"reason": "Drifted", "message": "customLabels changed", "at": "2030-01-01T00:00:00Z"}
        await story.client.patch(
            NODE_CLAIM, claim.metadata.name, {"spec": {"departure": {**departure, "replacements": ["any-new"]}}}
        )

        found = await told_of(story, "node", claim.metadata.name)

        assert "it is to go, once any-new can serve instead. Drifted: customLabels changed" in found.reasons

    tell(plot)


def test_a_template_tells_what_it_has_whom_it_serves_and_what_it_rules_out() -> None:
    """One place to look when pods of a template wait, or when it costs more than one thought."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"maxCpu": 4}, limits={"nodes": 1})
        await add_template(story, "other")
        await add_deployment(story, "web", 1, cpu="3")
        await wait_running(story, 1, within=300)
        await add_deployment(story, "more", 1, cpu="3")
        await add_deployment(story, "foreign", 1, cpu="90", selector={"stratos.sh/template": "other", "disk": "ssd"})
        await asyncio.sleep(30)
        [claim] = [claim for claim in await story.claims() if claim.spec.template == "any"]

        found = await told_of(story, "nodetemplate", "any")

        assert found.headline.startswith("nodetemplate any is ready: ")
        assert found.headline.endswith(" types to choose from, 1 machine")
        assert found.facts["usd_per_hour"] == claim.price_usd_per_hour
        assert [step.text.partition(" wanted. ")[0] for step in found.steps] == [f"{claim.metadata.name}: running"]
        [more] = [pod.metadata.name for pod in await pods(story) if pod.metadata.name.startswith("more-")]
        assert f"acts for default/{more}" in found.reasons
        limited = f"default/{more}: limits.nodes of template any is 1, 1 of it used"
        assert any(line.startswith(limited) for line in found.reasons)
        assert any(line.endswith(" types: constraints.maxCpu") for line in found.rejected)
        assert any(line.startswith("default/foreign-") and "selects another" in line for line in found.rejected)
        assert found.hint.startswith(f"stratos explain pod/{more} -n default says")

    tell(plot)


def test_a_template_that_is_not_ready_says_since_when_and_what_is_missing() -> None:
    """A class that is not there keeps all of its pods waiting."""

    async def plot(story: Story) -> None:
        await story.client.create(
            NODE_TEMPLATE,
            {"metadata": {"name": "any"}, "spec": {"nodeClassRef": {"kind": "SimNodeClass", "name": "none"}}},
        )
        await asyncio.sleep(60)

        found = await told_of(story, "nodetemplate", "any")

        assert found.headline.startswith("nodetemplate any is not ready: ")
        assert "not Ready for 60s: there is no SimNodeClass none" in found.reasons

    tell(plot)


def test_what_a_template_leaves_alone_is_told_with_the_time_when_it_tries_again() -> None:
    """Sold out is no reason to edit anything: it passes."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"instanceFamilies": {"include": ["m6a"]}, "azs": ["us-east-1a"]})
        await asyncio.sleep(5)
        story.cloud.stock.sell_out("m6a.large")
        await add_deployment(story, "web", 1)
        await asyncio.sleep(30)

        found = await told_of(story, "nodetemplate", "any")

        assert any(
            line.startswith("m6a.large on-demand in us-east-1a is left alone until ") and line.endswith("1 failure")
            for line in found.reasons
        ), found.reasons

    tell(plot)


def test_an_unknown_template_is_answered_with_close_names() -> None:
    """A slip of the finger is the likeliest reason."""

    async def plot(story: Story) -> None:
        await add_template(story, "general")
        with pytest.raises(NotFound, match="there is no nodetemplate genral") as caught:
            await told_of(story, "nodetemplate", "genral")
        assert "general" in caught.value.explain()

    tell(plot)
