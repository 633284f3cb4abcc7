"""The page that tells which test proves which capability can be believed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DUE = (*range(1, 29), *range(36, 48))


def rows() -> dict[int, list[str]]:
    """By number, the tests that the page names."""
    page = (ROOT / "docs" / "capabilities.md").read_text()
    return {
        int(found[1]): re.findall(r"`([\w/]+\.py::\w+)`", found[2])
        for found in re.finditer(r"^\| A(\d+) \|(.*)$", page, re.MULTILINE)
    }


def named_tests() -> list[tuple[int, str]]:
    return [(row, test) for row, tests in rows().items() for test in tests]


def test_each_row_that_is_due_names_at_least_one_test() -> None:
    """A promise that nothing proves is a wish."""
    assert list(rows()) == list(DUE)
    assert [row for row, tests in rows().items() if not tests] == []


@pytest.mark.parametrize(("row", "test"), named_tests())
def test_each_test_that_the_page_names_exists_and_bears_the_number_of_its_row(row: int, test: str) -> None:
    """So that whoever reads the page finds the test, and `pytest -k a17` finds it too."""
    file, name = test.split("::")

    assert f"a{row:02}" in name.split("_")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text()
