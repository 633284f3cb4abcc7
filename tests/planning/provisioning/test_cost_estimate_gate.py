"""Pods that ask what a machine would cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from planning.provisioning.plans import LUNA, plan_of, selected
from stratos.apis.pod import Pod, SchedulingGate
from stratos.snapshot.provisioning import Told
from stratos.testing.provisioning_builders import NOW, a_template, a_waiting_pod, claims_for, refused


def gated(name: str, **asks: Any) -> Pod:
    pod = a_waiting_pod(name, labels=LUNA, **asks)
    return msgspec.structs.replace(
        pod, spec=msgspec.structs.replace(pod.spec, scheduling_gates=(SchedulingGate("nodecostestimate"),))
    )


LUNA_TEMPLATE = a_template("luna", strategy="thresholds", pods={"labels": LUNA})


def parse(message: str) -> tuple[float, int]:
    """As the script of the founding text does, with cut and awk."""
    assert message.startswith("Estimated cost $")
    return float(message[16:24]), int(message.split("; ")[1].split(" ")[3])


def test_b20_gated_pods_are_told_the_machine_the_price_and_the_number() -> None:
    """Three small pods share a node, three large ones need three; and no machine is asked for."""
    small = plan_of(LUNA_TEMPLATE, gated=tuple(gated(f"s{n}") for n in range(3)))
    large = plan_of(LUNA_TEMPLATE, gated=tuple(gated(f"l{n}", cpu=3) for n in range(3)))

    assert small.machines == large.machines == ()
    assert {parse(event.message) for event in small.events} == {(0.153, 1)}
    assert {parse(event.message) for event in large.events} == {(0.153, 3)}
    assert [event.reason for event in (*small.events, *large.events)] == ["NodeCostEstimate"] * 6


def test_b21_the_message_is_parsed_as_its_readers_parse_it() -> None:
    """Equal messages are counted once, so two groups of equal cost must not say the same."""
    pods = (gated("a", cpu=3), gated("b", cpu=3), gated("c", cpu="3500m"), gated("d", cpu="3500m"))
    messages = {event.message for event in plan_of(LUNA_TEMPLATE, gated=pods).events}

    assert sum(price * count for price, count in map(parse, messages)) == pytest.approx(4 * 0.153)
    assert len(messages) == 2


def test_b22_an_estimate_is_not_repeated_until_it_expires_or_is_deleted() -> None:
    """A pod has one answer at a time."""
    pods = (gated("a"), gated("b"))
    first = plan_of(LUNA_TEMPLATE, gated=pods)
    told = tuple(Told(event.pod, event.reason, event.message, NOW) for event in first.events)

    assert plan_of(LUNA_TEMPLATE, gated=pods, told=told).events == ()
    assert [event.pod for event in plan_of(LUNA_TEMPLATE, gated=pods, told=told[:1]).events] == ["default/b"]
    later = NOW + timedelta(minutes=61)
    assert plan_of(LUNA_TEMPLATE, gated=pods, told=told, at=later).events == first.events


def test_b23_an_estimate_heeds_back_offs_and_ignores_what_is_free() -> None:
    """It says what a machine would cost now, not whether one is needed."""
    pod = gated("p", cpu=3)
    claims = claims_for(plan_of(LUNA_TEMPLATE, waiting=[selected("other", labels=LUNA)]))
    failed = [refused(claim, "QuotaExceeded") for claim in claims]

    assert parse(plan_of(LUNA_TEMPLATE, gated=(pod,), claims=claims).events[0].message) == (0.153, 1)
    assert parse(plan_of(LUNA_TEMPLATE, gated=(pod,), claims=failed).events[-1].message) == (0.173, 1)


def test_b24_an_estimate_without_a_machine_says_so() -> None:
    """The cluster is then left out of the comparison."""
    (event,) = plan_of(LUNA_TEMPLATE, gated=(gated("p", cpu=500),)).events

    assert event.message.startswith("No node type found")


def test_a_gated_pod_with_an_annotation_without_meaning_is_told_so() -> None:
    """It asked a question, and this is the answer."""
    pod = gated("p", annotations={"stratos.sh/instance-max-gpus": "two"})
    (event,) = plan_of(LUNA_TEMPLATE, gated=(pod,)).events

    assert event.message.startswith("No node type found: metadata.annotations[stratos.sh/instance-max-gpus]: 'two'")
