"""A log line is read by a person at night or by a machine at any time: both must find every field."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from stratos.base.clock import FixedClock
from stratos.telemetry.logs import ROOT, configure, get_logger


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger(ROOT)
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before


def lines(*, json_lines: bool = False, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    configure(stream, clock=FixedClock(), json_lines=json_lines, level=level)
    return stream


def test_a_plain_line_shows_the_event_and_its_fields() -> None:
    stream = lines()
    get_logger("stratos.test").info("machine started", pool="gpu", reason="a pod waits", seconds=18.2, note="")
    assert stream.getvalue() == (
        '2026-01-01T00:00:00.000Z INFO    machine started pool=gpu reason="a pod waits" seconds=18.2 note=""\n'
    )


def test_a_value_cannot_forge_a_second_line() -> None:
    """Names and messages come from outside; a newline in one must not look like a line of ours."""
    stream = lines()
    get_logger("stratos.test").info("pod seen", name="x\n2026-01-01T00:00:00.000Z INFO all is well")
    assert stream.getvalue().count("\n") == 1


def test_a_json_line_is_one_object_and_fields_hide_nothing() -> None:
    stream = lines(json_lines=True)
    get_logger("stratos.test").warning("slow", level="mine", pool="gpu")
    assert json.loads(stream.getvalue()) == {
        "time": "2026-01-01T00:00:00.000Z",
        "level": "warning",
        "logger": "stratos.test",
        "event": "slow",
        "field_level": "mine",
        "pool": "gpu",
    }


@pytest.mark.parametrize("json_lines", [False, True])
def test_the_unexpected_comes_with_its_traceback(json_lines: bool) -> None:
    stream = lines(json_lines=json_lines)
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        get_logger("stratos.test").error("crashed", error=error)
    assert "ZeroDivisionError: by zero" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()


def test_only_what_is_asked_for_is_shown_and_once() -> None:
    lines(level="debug")
    stream = lines(level="warning")
    log = get_logger("stratos.test")
    log.debug("no")
    log.info("no")
    log.warning("yes")
    assert [line.split()[2] for line in stream.getvalue().splitlines()] == ["yes"]
