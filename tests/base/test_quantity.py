"""Sums of requests decide which node a pod goes to: quantities must be exact and round as the scheduler rounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.base.errors import Invalid
from stratos.base.quantity import format_amount, millis, resource_amount, units


@pytest.mark.parametrize(
    ("text", "expected"), [("500m", 500), ("2", 2000), ("0.1", 100), ("1e2", 100_000), ("1n", 1), (".5", 500)]
)
def test_cpu_counts_in_millicores_rounded_up(text: str, expected: int) -> None:
    assert millis(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("64M", 64_000_000), ("1500m", 2)])
def test_everything_else_counts_in_base_units(text: str, expected: int) -> None:
    assert units(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1gi", "--1", "1Kim", "0x10", "1e", "٣"])
def test_what_is_not_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        units(text)


@given(st.sampled_from(["cpu", "memory", "pods"]), st.integers(min_value=0, max_value=2**60))
def test_formatting_an_amount_loses_nothing(resource: str, amount: int) -> None:
    assert resource_amount(resource, format_amount(resource, amount)) == amount


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("0", 0)])
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert parse_duration_seconds(text) == seconds
    assert parse_duration_seconds(format_duration(seconds)) == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "1d", "10m5"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_duration_seconds(text)
