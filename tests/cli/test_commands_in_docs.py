"""Whatever `stratos` command the pages show can be typed: no page outlives an option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stratos.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def commands() -> Iterator[tuple[str, str]]:
    """The page, and what follows ``stratos`` on each line that somebody is shown to type."""
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            for line in re.findall(r"^\$ (.*(?:\\\n.*)*)", block, re.MULTILINE):
                for part in re.split(r"\||&&|;|(?<!\S)>", re.sub(r"\$\(.*?\)", "x", line.replace("\\\n", " "))):
                    if found := re.fullmatch(r"\s*(?:python3 tasks\.py )?stratos (.*)", part):
                        yield str(page.relative_to(ROOT)), found[1].strip()


@pytest.mark.parametrize(("page", "words"), sorted(set(commands())))
def test_a_command_that_a_page_shows_is_understood(page: str, words: str) -> None:
    """A guide that ends in "No such option" ends there for most of its readers."""
    # Help is given once all words have been understood, and instead of doing what they say.
    result = CliRunner().invoke(app, [*shlex.split(words, comments=True), "--help"])

    assert result.exit_code == 0, f"{page}: {result.output}"
