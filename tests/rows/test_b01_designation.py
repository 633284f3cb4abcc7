"""Which pods get machines, and whether the scheduler agrees: the real controllers on the embedded cluster."""

from __future__ import annotations

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, wait_running
from rows.template_world import LUNA, add_pod, node_of
from stratos.apis import labels
from stratos.apis.pod import POD
from stratos.base.quantity import parse_quantity

SELF_MADE = {"matchExpressions": [{"key": "node.elotl.co/created-by", "operator": "In", "values": ["luna"]}]}
FIXED = {"matchExpressions": [{"key": "node.elotl.co/created-by", "operator": "DoesNotExist"}]}


def test_b01_b02_b03_only_marked_pods_get_machines_and_ignored_ones_never() -> None:
    """By any of several labels, or by an annotation; a pod that asks to be ignored waits for somebody else's node."""

    async def plot(story: Story) -> None:
        marks = {"labels": {**LUNA, "team": "ml"}, "annotations": {"machines": "please"}}
        await add_template(story, pods=marks, strategy="thresholds")
        await add_pod(story, "plain", cpu="2")
        await add_pod(story, "ignored", cpu="2", labels=LUNA, annotations={"pod.elotl.co/ignore": "true"})
        await add_pod(story, "marked", cpu="2", labels=LUNA)
        await add_pod(story, "other", cpu="2", labels={"team": "ml"})
        await add_pod(story, "annotated", cpu="2", annotations={"machines": "please"})

        await wait_running(story, 3, every=5)

        planned = {pod for claim in await story.claims() if claim.spec.decision for pod in claim.spec.decision.pods}
        assert planned == {"default/marked", "default/other", "default/annotated"}
        assert (await story.pod("ignored")).unschedulable

    tell(plot)


def test_b07_a_tiny_pod_that_names_a_family_runs_alone_on_a_machine_of_it() -> None:
    """Its like share a node of the usual shape; it gets one of its own, whatever its size."""

    async def plot(story: Story) -> None:
        await add_template(story, pods={"labels": LUNA}, strategy="thresholds", binPacking={"nodeMemory": "16Gi"})
        family = {"node.elotl.co/instance-family-inclusions": "c6a"}
        await add_pod(story, "choosy", labels=LUNA, annotations=family)
        await story.wait_pod("Running", "choosy", 900)
        await add_pod(story, "larger", labels=LUNA, cpu="1900m")
        await story.wait_pod("Running", "larger", 900)

        own, shared = await node_of(story, "choosy"), await node_of(story, "larger")
        assert own.metadata.labels[labels.INSTANCE_TYPE] == "c6a.large"
        assert own.metadata.name != shared.metadata.name
        assert parse_quantity(shared.status.allocatable["cpu"]) > 3, "of the shape of shared nodes"

    tell(plot)


def test_b51_two_designations_side_by_side_never_touch_each_others_nodes() -> None:
    """Two teams, two shapes of shared nodes, one cluster: as two autoscalers beside each other would."""

    async def plot(story: Story) -> None:
        await add_template(
            story,
            "small",
            pods={"labels": {"shape": "small"}},
            strategy="thresholds",
            binPacking={"nodeCpu": 2, "nodeMemory": "4Gi"},
        )
        await add_template(
            story,
            "large",
            pods={"labels": {"shape": "large"}},
            strategy="thresholds",
            binPacking={"nodeCpu": 8, "nodeMemory": "32Gi"},
        )
        for number in range(3):
            for shape in ("small", "large"):
                await add_pod(story, f"{shape}-{number}", labels={"shape": shape})

        await wait_running(story, 6, every=5)

        by_template = {claim.spec.template: claim for claim in await story.claims()}
        assert len(await story.claims()) == 2
        for shape in ("small", "large"):
            decision = by_template[shape].spec.decision
            assert decision is not None
            assert decision.pods == tuple(f"default/{shape}-{number}" for number in range(3))
        before = by_template["large"].metadata.name
        for number in range(3):
            await story.client.delete(POD, f"default/small-{number}")

        async def small_is_gone() -> bool:
            return [claim.spec.template for claim in await story.claims()] == ["large"]

        await story.wait(small_is_gone, 1200, every=5)
        assert [claim.metadata.name for claim in await story.claims()] == [before]

    tell(plot)


def test_b61_the_node_carries_what_the_pod_selects_and_the_scheduler_puts_it_there() -> None:
    """Selector, required affinity and toleration; a pod that does not tolerate the node never lands on it."""

    async def plot(story: Story) -> None:
        await add_template(
            story,
            isDefault=True,
            customLabels={"team": "ml"},
            shouldTaint=True,
            customTaints=[{"key": "ml", "value": "yes", "effect": "NoSchedule"}],
        )
        term = {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
        tolerates = [{"key": "ml", "operator": "Exists"}]
        await add_pod(story, "in", nodeSelector={"team": "ml"}, affinity=affinity, tolerations=tolerates)
        await add_pod(story, "out")

        await wait_running(story, 1, every=5)

        node = await node_of(story, "in")
        assert node.metadata.labels["team"] == "ml"
        assert ("ml", "yes", "NoSchedule") in [
            (taint.key, taint.value, taint.effect) for taint in node.spec.taints or ()
        ]
        assert (await story.pod("out")).unschedulable

    tell(plot)


@pytest.mark.parametrize("fixed_node_first", [False, True])
def test_b62_a_pod_that_takes_either_kind_of_node_runs_on_whichever_there_is(fixed_node_first: bool) -> None:
    """The alternative of the founding text: a node that was always there, or one that is made for it."""

    async def plot(story: Story) -> None:
        terms = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [FIXED, SELF_MADE]}}
        if fixed_node_first:
            await story.add_filled_pool("fixed", size=1)
            await add_pod(story, "opener", nodeSelector={"stratos.sh/pool": "fixed"})
            await story.wait_pod("Running", "opener")
        await add_template(story, isDefault=True)
        await add_pod(story, "either", affinity={"nodeAffinity": terms})

        await story.wait_pod("Running", "either", 900)

        bought = [claim for claim in await story.claims() if claim.spec.template]
        node = await node_of(story, "either")
        assert (not bought) is fixed_node_first
        assert ("node.elotl.co/created-by" in node.metadata.labels) is not fixed_node_first

    tell(plot)


def test_b13_a_pod_that_asks_for_on_demand_never_lands_on_spot_however_much_room_there_is() -> None:
    """The cheap node beside it can be taken away at any time: that is why the pod asks."""

    async def plot(story: Story) -> None:
        constraints = {"spot": True, "onDemand": True, "minCpu": 8, "instanceFamilies": {"include": ["c6a"]}}
        await add_template(story, pods={"labels": LUNA}, constraints=constraints)
        await add_pod(story, "cheap", labels=LUNA)
        await story.wait_pod("Running", "cheap", 900)
        offerings = {"node.elotl.co/instance-offerings": "on-demand"}
        await add_pod(story, "careful", labels=LUNA, annotations=offerings)
        await story.wait_pod("Running", "careful", 900)

        terms = [(await node_of(story, pod)).metadata.labels[labels.CAPACITY_TYPE] for pod in ("cheap", "careful")]
        assert terms == ["spot", "on-demand"]

    tell(plot)
