"""Whole stories, with what they print beside them. When one changes on purpose: `make scenarios-accept`, read the diff.

All run in virtual time from a seed, so they print the same everywhere; only what the controllers themselves took is
measured on a real clock, and is masked.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STORIES = {path.stem: path.read_text().split() for path in sorted(HERE.glob("*.cmd"))}


@pytest.mark.parametrize("story", STORIES)
def test_the_story_is_told_as_recorded(story: str) -> None:
    command = [sys.executable, "-m", "stratos.cli", *STORIES[story]]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    output = re.sub(r"p99\s+[\d.]+\s+ms", "p99 … ms", told.stdout) + told.stderr + f"exit status {told.returncode}\n"
    recorded = HERE / f"{story}.txt"
    if os.environ.get("STRATOS_ACCEPT"):
        recorded.write_text(output)
    assert output == recorded.read_text()
