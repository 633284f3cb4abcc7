"""Whole simulated days: short ones for every change, and the promise that a seed replays exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from stratos.base.errors import Invalid
from stratos.cli.sim import run_sim
from stratos.sim.faults import FAULTS, choose_faults
from stratos.sim.run import simulate

SLICE = 12
"""How many seeds every change is tried on; ``stratos sim --seed 1 --seeds 1000 --hours 0.2`` tries more, for longer."""


@pytest.mark.parametrize("seed", range(1, 1 + SLICE))
def test_a_bad_day_breaks_no_law(seed: int) -> None:
    """Whatever goes wrong, nothing is doubled, lost or broken, and in the end all is as it was asked for."""
    assert simulate(seed, 0.1).violations == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_works_on_its_own(fault: str) -> None:
    """Who looks for the cause of a failure takes faults away, one by one."""
    assert simulate(1, 0.15, [fault]).violations == ()


def test_a_good_day_is_served_by_the_machines_it_needs() -> None:
    """Without trouble nothing is evicted for nothing, and pods do run: a simulation of nothing would be clean, too."""
    outcome = simulate(3, 0.5, [])

    assert outcome.violations == ()
    assert outcome.machines_launched >= 5
    assert outcome.starts >= 1


def test_a_seed_replays_action_by_action() -> None:
    """A failure that cannot be played again cannot be understood."""
    first, second = simulate(12, 0.3), simulate(12, 0.3)

    assert first == second
    assert first.actions > 100
    assert first.digest != simulate(13, 0.3).digest


def test_a_seed_replays_in_another_process() -> None:
    """Nor may it hang on where objects lie in memory, or on how this process hashes its strings."""
    program = "from stratos.sim.run import simulate; print(simulate(12, 0.3).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == simulate(12, 0.3).digest


def test_the_command_tells_a_program_what_became_of_each_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """Other programs collect the numbers, and store what is needed to replay a failure."""
    assert run_sim(2, 2, 0.05, "crashes,throttling", as_json=True) == 0

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["seed"] for each in told] == [2, 3]
    assert told[0]["violations"] == []
    assert told[0]["simulated_hours_per_second"] > 0
    assert {"laws", "actions", "machines_launched", "starts", "evictions", "digest"} <= set(told[0])


@pytest.mark.parametrize("names", ["earthquakes", "crashes,earthquakes", "", ","])
def test_a_fault_that_nobody_knows_is_refused_by_name(names: str) -> None:
    """A misspelt fault would make every run look clean."""
    with pytest.raises(Invalid) as refused:
        choose_faults(names)

    assert "--faults" in refused.value.message
    assert refused.value.hint is not None
    assert "crashes" in refused.value.hint


def test_faults_are_chosen_all_none_or_by_name() -> None:
    """Each name once, in the order given."""
    assert choose_faults("all") == tuple(FAULTS)
    assert choose_faults("none") == ()
    assert choose_faults("quota, crashes,quota") == ("quota", "crashes")
