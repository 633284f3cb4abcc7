"""How stories read: without colour, within a hundred columns, and the same facts for programs."""

from datetime import timedelta

from stratos.cli.explaining.story import Step, Story, in_order
from stratos.testing.pool_builders import NOW

STORY = Story(
    kind="pod",
    name="default/web",
    headline="pod default/web runs on node-1",
    steps=(
        Step(NOW, "created", "created"),
        Step(NOW + timedelta(seconds=19.4), "bound", "bound to node-1 " + "and so on " * 20),
        Step(NOW + timedelta(days=1), "ended", "ended"),
    ),
    reasons=("ScaleUp: a standby machine",),
    rejected=("pool gpu: the pod does not tolerate its taint",),
    hint="nothing",
    facts={"path": "warm", "usd_per_hour": 0.1, "machine": None},
)


def test_a_story_reads_well_in_a_hundred_columns() -> None:
    """Wrapped lines stay under the words they belong to; what is unknown is not shown."""
    lines = STORY.to_text().splitlines()

    assert max(map(len, lines)) <= 100
    assert "  path          warm" in lines
    assert "  usd per hour  0.1" in lines
    assert not any("machine" in line and "None" in line for line in lines)
    assert "  12:00:19    +19s  bound to node-1 and so on" in "\n".join(lines)
    assert lines.index("2026-01-02 UTC") > lines.index("2026-01-01 UTC")
    assert lines[-1] == "hint: nothing"


def test_json_has_the_same_facts_with_exact_seconds() -> None:
    """Programs do the rounding themselves."""
    told = STORY.to_json()

    assert [step["seconds"] for step in told["steps"]] == [0.0, 19.4, 86380.6]
    assert told["steps"][1]["stage"] == "bound"
    assert told["facts"] == {"path": "warm", "usd_per_hour": 0.1, "machine": None}
    assert (told["reasons"], told["rejected"], told["hint"]) == (list(STORY.reasons), list(STORY.rejected), STORY.hint)


def test_within_one_second_causes_come_before_effects() -> None:
    """Most times in the API are whole seconds, so a cause may seem later than what it caused."""
    cause = Step(NOW + timedelta(milliseconds=700), "node-ready", "its node was ready")
    effect = Step(NOW, "bound", "bound, said in whole seconds")

    assert in_order((cause, effect)) == (cause, effect)
