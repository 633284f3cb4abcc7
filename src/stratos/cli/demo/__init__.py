"""``stratos demo``: the founding use cases played in virtual time, and what a warm pool changes about them."""

from __future__ import annotations

import json

from rich.console import Console

from stratos.base.errors import NotFound
from stratos.cli.demo.play import play, play_without_standby
from stratos.cli.demo.report import as_document, print_report
from stratos.cli.demo.scenarios import SCENARIOS

_COLUMNS = 118  # the same on every terminal and in every pipe


def run_demo(name: str, *, seed: int, as_json: bool) -> int:
    """Play and show it. The exit status is 0 when the scenario's promise was kept, else 1."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise NotFound(f"there is no demo {name!r}", hint=f"try one of: {', '.join(SCENARIOS)}")
    warm, cold = play(scenario, seed=seed), play_without_standby(scenario, seed=seed)
    document = as_document(scenario, warm, cold)
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        print_report(Console(highlight=False, width=_COLUMNS), scenario, warm, cold, document)
    return 0 if document["summary"]["promise_kept"] else 1
