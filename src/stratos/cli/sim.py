"""``stratos sim``: play seeds, and print for each what became of it. What fails is told so that it can be replayed."""

from __future__ import annotations

import json
import time
from typing import Any

from stratos.sim.faults import choose_faults
from stratos.sim.laws import every_law
from stratos.sim.rest import RULES
from stratos.sim.run import Outcome, simulate


def run_sim(seed: int, seeds: int, hours: float, faults: str, *, as_json: bool) -> int:
    """Returns the exit status: 1 if a law was broken."""
    chosen = choose_faults(faults)
    broken = 0
    for number in range(seed, seed + seeds):
        began = time.perf_counter()
        outcome = simulate(number, hours, chosen)
        wall_seconds = time.perf_counter() - began
        broken += bool(outcome.violations)
        if as_json:
            print(json.dumps(_as_json(outcome, wall_seconds)), flush=True)
        else:
            print(_line(outcome, wall_seconds), flush=True)
            _tell_violations(outcome, hours, faults)
    if not as_json and seeds > 1:
        print(f"{seeds} seeds, {seeds - broken} clean" + (f", {broken} broken" if broken else ""))
    return 1 if broken else 0


def _line(outcome: Outcome, wall_seconds: float) -> str:
    verdict = "BROKEN" if outcome.violations else "clean"
    return (
        f"seed {outcome.seed}: {verdict}  {outcome.hours:.1f} h in {wall_seconds:.1f} s  "
        f"{outcome.actions} actions, {outcome.machines_launched} launches, {outcome.starts} starts, "
        f"{outcome.evictions} evictions  digest {outcome.digest[:16]}"
    )


def _tell_violations(outcome: Outcome, hours: float, faults: str) -> None:
    for violation in outcome.violations:
        print(f"  law: {violation.sentence} ({violation.law})")
        print(f"  seen after {violation.at_seconds:.3f} s: {violation.seen}")
        print("  what came before:")
        for action in violation.actions:
            print(f"    {action}")
        print(f"  replay: stratos sim --seed {outcome.seed} --hours {hours:g} --faults {faults}")


def _as_json(outcome: Outcome, wall_seconds: float) -> dict[str, Any]:
    laws = {law.name: law.sentence for law in every_law()} | {rule.__name__: rule.__doc__ for rule in RULES}
    return {
        "seed": outcome.seed,
        "hours": round(outcome.hours, 3),
        "laws": laws,
        "violations": [
            {
                "law": violation.law,
                "sentence": violation.sentence,
                "at_seconds": round(violation.at_seconds, 3),
                "seen": violation.seen,
                "actions": [str(action) for action in violation.actions],
            }
            for violation in outcome.violations
        ],
        "actions": outcome.actions,
        "machines_launched": outcome.machines_launched,
        "starts": outcome.starts,
        "evictions": outcome.evictions,
        "wall_seconds": round(wall_seconds, 3),
        "simulated_hours_per_second": round(outcome.hours / wall_seconds, 3),
        "digest": outcome.digest,
    }
