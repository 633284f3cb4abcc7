"""Pods that get no machine are told what would have to change, annotations about machines among it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stratos.planning.estimating.choice import choice_for
from stratos.planning.packing.pack import Effort
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.annotations import Wishes
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.machine_labels import asked_of_nodes
from stratos.planning.provisioning.strategies import Shelf, choose_machines
from stratos.testing.provisioning_builders import GROUND, a_gpu, a_look, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop(
    (a_type("m6a.xlarge", 4, 16), 0.173),
    (a_type("m6a.4xlarge", 16, 64), 0.692),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4")), 0.526),
)


@pytest.mark.parametrize("strategy", ["optimal", "thresholds"])
@pytest.mark.parametrize(
    ("annotations", "asks", "way"),
    [
        ({"instance-gpu-skus": "V100"}, {"gpus": 1}, "g4dn.xlarge (r-a, on-demand) at $0.5260/h"),
        ({"instance-max-cost": "0.2"}, {"cpu": "6"}, "m6a.4xlarge (r-a, on-demand) at $0.6920/h"),
    ],
)
def test_an_annotation_that_leaves_no_machine_is_named(
    strategy: str, annotations: dict[str, str], asks: dict[str, Any], way: str
) -> None:
    """What a pod says about its machine rules machines out like any other constraint, and earlier."""
    pod = a_waiting_pod("p", annotations={f"node.elotl.co/{key}": value for key, value in annotations.items()}, **asks)

    (group,) = choose_machines([asks_of(pod)], a_template(strategy=strategy), SHOP, effort=Effort.FAST)

    (name,) = annotations
    told = [str(each) for each in group.packing.unplaced[0].relaxations]
    assert told[0] == f"would fit {way} if this were changed: annotation {name}"


def test_giving_up_an_annotation_gives_up_what_the_webhook_made_of_it() -> None:
    """The pod's owner wrote one thing, and is told of one thing."""
    asked = [msgspec.to_builtins(each) for each in asked_of_nodes(Wishes(max_cost_usd_per_hour=0.2), SHOP)]
    terms = {"nodeSelectorTerms": [{"matchExpressions": asked}]}
    pod = a_waiting_pod(
        "p",
        cpu="6",
        annotations={"stratos.sh/instance-max-cost": "0.2"},
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
    )

    (group,) = choose_machines([asks_of(pod)], a_template(), SHOP, effort=Effort.FAST)
    choice = choice_for(asks_of(pod), Shelf(a_template(), SHOP, GROUND))

    told = [way.constraints for way in group.packing.unplaced[0].relaxations]
    assert told[0] == ("annotation instance-max-cost",)
    assert [way.constraints for way in choice.ways_out] == told
    assert [(each.constraint, each.instance_type) for each in choice.what_if] == [
        ("annotation instance-max-cost", "m6a.4xlarge")
    ]


def test_an_annotation_and_a_selector_are_named_together_where_both_are_in_the_way() -> None:
    """Without the annotation alone nothing would be won."""
    annotations = {"stratos.sh/instance-gpu-skus": "V100"}
    pod = a_waiting_pod("p", annotations=annotations, nodeSelector={"team": "a"})

    (group,) = choose_machines([asks_of(pod)], a_template(), SHOP, effort=Effort.FAST)

    (way,) = group.packing.unplaced[0].relaxations
    assert way.constraints == ("annotation instance-gpu-skus", "nodeSelector team=a")
    assert way.price_usd_per_hour == 0.173


def test_a_plan_tells_ways_out_to_those_who_ask_for_them() -> None:
    """People who look at a plan want them; the loop, for which pods wait, has no use for them."""
    pod = a_waiting_pod("p", nodeSelector={"scheduling.cast.ai/node-template": "general", "team": "a"})
    look = a_look(a_template(), waiting=[pod], shop=SHOP)

    (told,) = plan_provisioning(look, effort=Effort.FAST, tells_ways_out=True).unplaced
    (untold,) = plan_provisioning(look, effort=Effort.FAST).unplaced

    assert [way.constraints for way in told.relaxations] == [("nodeSelector team=a",)]
    assert untold.relaxations == ()


def test_who_asks_why_nothing_fits_one_pod_is_told_of_several_constraints_at_once() -> None:
    """Each of them alone changes nothing, so that nothing is said by trying them one by one."""
    pod = a_waiting_pod("p", cpu="20", nodeSelector={"team": "a"})

    choice = choice_for(asks_of(pod), Shelf(a_template(), SHOP, GROUND))

    assert choice.best is None
    assert [way.constraints for way in choice.ways_out] == [("nodeSelector team=a", "requests cpu 20 → at most 15.89")]
