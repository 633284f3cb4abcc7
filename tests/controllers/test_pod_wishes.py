"""What pods say of their machine by annotations holds when they are bound, too, not only when a machine is bought."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import ANY, add_template, types_in_use
from rows.template_world import LUNA, add_pod, node_of
from stratos.apis import labels
from stratos.apis.nodetemplate import NodeTemplate
from stratos.controllers.webhook.reviews import review_pod
from stratos.testing.provisioning_builders import a_gpu, a_shop, a_template, a_type

SHOP = a_shop(
    (a_type("c6a.large", 2, 4), 0.1),
    (a_type("m5.large", 2, 8), 0.1),
    (a_type("p4d.24xlarge", 96, 1152, gpu=a_gpu("A100-40", 8)), 22.0),
)
TEMPLATE = a_template("luna", pods={"labels": LUNA})
DEFAULT = a_template("default", isDefault=True)
COST = {"key": "stratos.sh/price-micro-usd-per-hour", "operator": "Lt", "values": ["4750001"]}
CAPPED = {"stratos.sh/instance-max-cost": "4.75"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def reviewed(
    annotations: Mapping[str, str],
    *,
    templates: Sequence[NodeTemplate] = (TEMPLATE,),
    marks: Mapping[str, str] = LUNA,
    **spec: Any,
) -> list[dict[str, Any]]:
    """What the webhook changes of a pod."""
    pod = {
        "metadata": {"name": "p", "namespace": "default", "labels": dict(marks), "annotations": dict(annotations)},
        "spec": {"containers": [{"name": "main", "image": "app:1"}], **spec},
    }
    verdict = review_pod({"uid": "1", "operation": "CREATE", "name": "p", "object": pod}, templates, SHOP)
    assert verdict["allowed"] is True
    return json.loads(base64.b64decode(verdict["patch"])) if "patch" in verdict else []


def terms_of(patch: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The alternatives of required node affinity that the pod has afterwards. None where it is left as it was."""
    found = [step["value"] for step in patch if step["path"].endswith(REQUIRED)]
    return found[0]["nodeSelectorTerms"] if found else []


@pytest.mark.parametrize("prefix", ["node.elotl.co/instance-", "stratos.sh/instance-"])
@pytest.mark.parametrize(
    ("annotation", "value", "asked"),
    [
        ("family-inclusions", "m5,c6a", [("stratos.sh/instance-family", "In", ["c6a", "m5"])]),
        ("family-exclusions", "m5", [("stratos.sh/instance-family", "Exists", None),
                                     ("stratos.sh/instance-family", "NotIn", ["m5"])]),
        ("type-regexp", "^[cm].*large$", [("stratos.sh/instance-type", "In", ["c6a.large", "m5.large"])]),
        ("type-regexp", "^none$", [("stratos.sh/instance-type", "Exists", None),
                                   ("stratos.sh/instance-type", "DoesNotExist", None)]),
        ("gpu-skus", "A100, b300", [("stratos.sh/gpu-sku", "In", ["a100", "a100-40", "b300"])]),
        ("max-gpus", "2", [("stratos.sh/gpu-count", "Lt", ["3"])]),
        ("max-cost", "4.75", [("stratos.sh/price-micro-usd-per-hour", "Lt", ["4750001"])]),
        ("offerings", "spot", [("stratos.sh/capacity-type", "In", ["spot"])]),
        ("offerings", "spot,on-demand", [("stratos.sh/capacity-type", "In", ["on-demand", "spot"])]),
    ],
)  # fmt: skip
def test_b07_b13_b04_the_scheduler_is_told_what_a_pod_s_annotations_ask_for(
    prefix: str, annotation: str, value: str, asked: list[tuple[str, str, list[str] | None]]
) -> None:
    """Else it puts the pod on whichever node of its template has room."""
    (term,) = terms_of(reviewed({prefix + annotation: value}))

    assert [(each["key"], each["operator"], each.get("values")) for each in term["matchExpressions"]] == asked


def test_b04_all_alternatives_of_the_pod_s_own_have_to_hold_it_and_those_for_nothing_stay_for_nothing() -> None:
    """Terms are or-ed: one that is left out is a way around, and an empty one would turn into "any that suits"."""
    ssd = {"key": "disk", "operator": "In", "values": ["ssd"]}
    name = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    own = [{"matchExpressions": [ssd]}, {"matchFields": [name]}, {}]

    patch = reviewed(CAPPED, affinity={"podAffinity": {}, "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": own}}})

    assert terms_of(patch) == [
        {"matchExpressions": [ssd, COST]},
        {"matchFields": [name], "matchExpressions": [COST]},
        {},
    ]
    assert [step["path"] for step in patch if "affinity" in step["path"]] == [f"/spec/affinity/nodeAffinity/{REQUIRED}"]


def test_b04_a_pod_that_is_reviewed_twice_is_changed_once() -> None:
    """An API server asks again when another webhook has changed the pod after us."""
    told = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [COST]}]}}}

    assert reviewed(CAPPED, nodeSelector={"stratos.sh/template": "luna"}, affinity=told) == []


@pytest.mark.parametrize(
    ("marks", "spec", "templates", "told"),
    [
        ({}, {"nodeSelector": {"stratos.sh/template": "luna"}}, [TEMPLATE], True),
        ({}, {"nodeSelector": {"node.elotl.co/created-by": "luna"}}, [TEMPLATE], True),
        ({}, {}, [TEMPLATE, DEFAULT], True),
        ({}, {}, [TEMPLATE], False),
        ({}, {"nodeSelector": {"stratos.sh/pool": "ci"}}, [TEMPLATE, DEFAULT], False),
        ({}, {}, [a_template("off", isDefault=True, isEnabled=False)], False),
    ],
    ids=["names a template", "names templates' nodes", "for the default", "nobody's", "for a pool", "disabled"],
)
def test_b04_only_pods_for_templates_are_told_of_labels_that_only_templates_nodes_bear(
    marks: dict[str, str], spec: dict[str, Any], templates: list[NodeTemplate], told: bool
) -> None:
    """On nodes of pools, and of others, nothing says what the machine is: such pods would wait for ever."""
    assert bool(terms_of(reviewed(CAPPED, marks=marks, templates=templates, **spec))) is told


def test_b04_an_annotation_without_meaning_changes_nothing() -> None:
    """The pod is told so where it waits; a webhook has no better place to say it."""
    assert terms_of(reviewed({"stratos.sh/instance-max-cost": "cheap"})) == []


@pytest.mark.parametrize(
    ("annotations", "type_"),
    [
        ({"stratos.sh/instance-family-inclusions": "c5"}, "c5.4xlarge"),
        ({"node.elotl.co/instance-family-exclusions": "c5"}, "g4dn.xlarge"),
        ({"node.elotl.co/instance-gpu-skus": "t4"}, "g4dn.xlarge"),
        ({"stratos.sh/instance-max-gpus": "0"}, "c5.4xlarge"),
        ({"stratos.sh/instance-max-cost": "0.55"}, "g4dn.xlarge"),
        ({"stratos.sh/instance-type-regexp": "^g4dn"}, "g4dn.xlarge"),
        ({"stratos.sh/instance-offerings": "spot,on-demand"}, "either"),
        ({"stratos.sh/instance-family-inclusions": "m6a"}, "a new one"),
        ({"stratos.sh/instance-max-cost": "0.10"}, "a new one"),
    ],
)
def test_b07_b13_a_pod_is_bound_only_where_its_annotations_hold_and_else_gets_a_machine(
    annotations: dict[str, str], type_: str
) -> None:
    """Two nodes of its template have room for it, and the scheduler knows no annotations."""
    there = ("c5.4xlarge", "g4dn.xlarge")

    async def plot(story: Story) -> None:
        await add_template(story)
        for name in there:
            await add_pod(story, name.partition(".")[0], nodeSelector={**ANY, labels.INSTANCE_TYPE: name})
        for name in there:
            await story.wait_pod("Running", name.partition(".")[0])

        await add_pod(story, "choosy", annotations=annotations, nodeSelector=ANY)
        await story.wait_pod("Running", "choosy")

        bound = (await node_of(story, "choosy")).metadata.labels[labels.INSTANCE_TYPE]
        bought = sorted(set(types_in_use(story)) - set(there))
        if type_ == "a new one":
            assert bought == [bound]
        else:
            assert bought == []
            assert bound in there if type_ == "either" else bound == type_

    tell(plot)
