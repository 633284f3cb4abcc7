"""The page that tells which test proves which capability can be believed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DUE = {
    "A": (*range(1, 48),),
    "B": (*range(1, 31), *range(36, 42), *range(45, 63)),
    "D": (*range(1, 26),),
}


def rows() -> dict[str, list[str]]:
    """By letter and number, the tests that the page names."""
    page = (ROOT / "docs" / "capabilities.md").read_text()
    return {
        found[1]: re.findall(r"`([\w/]+\.py::\w+)`", found[2])
        for found in re.finditer(r"^\| ([A-Z]\d+) \|(.*)$", page, re.MULTILINE)
    }


def named_tests() -> list[tuple[str, str]]:
    return [(row, test) for row, tests in rows().items() for test in tests]


def test_each_row_that_is_due_names_at_least_one_test() -> None:
    """A promise that nothing proves is a wish."""
    assert list(rows()) == [f"{letter}{number}" for letter, numbers in DUE.items() for number in numbers]
    assert [row for row, tests in rows().items() if not tests] == []


@pytest.mark.parametrize(("row", "test"), named_tests())
def test_each_test_that_the_page_names_exists_and_bears_the_number_of_its_row(row: str, test: str) -> None:
    """So that whoever reads the page finds the test, and `pytest -k a17` finds it too."""
    file, name = test.split("::")

    assert f"{row[0].lower()}{int(row[1:]):02}" in name.split("_")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text()
