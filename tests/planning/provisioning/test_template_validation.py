from __future__ import annotations

from typing import Any

import pytest

from stratos.base.errors import Invalid
from stratos.planning.provisioning.validation import check_template, problems_of
from stratos.testing.provisioning_builders import a_template


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"constraints": {"instanceTypeRegexp": "(m5"}}, "spec.constraints.instanceTypeRegexp"),
        ({"binPacking": {"nodeTypeRegexp": "[a"}}, "spec.binPacking.nodeTypeRegexp"),
        ({"pods": {"pendingReasonRegexp": "a{2,1}"}}, "spec.pods.pendingReasonRegexp"),
        ({"binPacking": {"nodeMemory": "8 gigs"}}, "spec.binPacking.nodeMemory"),
        ({"binSelection": {"podCpuThreshold": "two"}}, "spec.binSelection.podCpuThreshold"),
        ({"limits": {"cpu": "-4"}}, "spec.limits.cpu"),
        ({"constraints": {"minCpu": 8, "maxCpu": 4}}, "spec.constraints.minCpu"),
        ({"constraints": {"minMemory": 8, "maxMemory": 4}}, "spec.constraints.minMemory"),
        ({"constraints": {"gpu": {"minCount": 2, "maxCount": 1}}}, "spec.constraints.gpu.minCount"),
        ({"constraints": {"isGpuOnly": True, "gpu": {"maxCount": 0}}}, "spec.constraints.gpu.maxCount"),
        ({"constraints": {"onDemand": False}}, "spec.constraints.onDemand"),
        (
            {"constraints": {"instanceFamilies": {"include": ["m5"], "exclude": ["m5"]}}},
            "spec.constraints.instanceFamilies",
        ),
        ({"customTaints": [{"key": "a", "effect": "NoSchedule"}]}, "spec.customTaints"),
        ({"isDefault": True, "pods": {"annotations": {"a": "b"}}}, "spec.pods.annotations"),
        (
            {
                "constraints": {
                    "dedicatedNodeAffinity": [
                        {
                            "name": "g",
                            "azName": "a",
                            "instanceTypes": ["m5"],
                            "affinity": [{"key": "k", "operator": "Gt", "values": ["x"]}],
                        }
                    ]
                }
            },
            "spec.constraints.dedicatedNodeAffinity[0].affinity[0].values",
        ),
    ],
)
def test_what_cannot_be_right_is_named_by_its_field(spec: dict[str, Any], field: str) -> None:
    """A template that matches nothing by mistake looks like a cloud that has nothing."""
    assert [problem.field for problem in problems_of(a_template(**spec).spec)] == [field]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Nobody likes to be corrected one field at a time."""
    template = a_template("team", constraints={"minCpu": 8, "maxCpu": 4, "instanceTypeRegexp": "("})

    with pytest.raises(Invalid) as caught:
        check_template(template)
    assert caught.value.message.startswith("NodeTemplate team cannot be used: spec.constraints.instanceTypeRegexp")
    assert len(caught.value.problems) == 2
    assert "spec.constraints.minCpu" in caught.value.looked_at[0]
    assert caught.value.hint


def test_a_template_that_says_nothing_is_right() -> None:
    """All fields have defaults, and the defaults agree."""
    check_template(a_template())
