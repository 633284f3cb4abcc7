"""A part of the kill matrix, in one story: the command dies again and again on its way through it.

All of it, each point alone, is `make kill-matrix`. In virtual time `tests/rows/test_a45_crashes.py` goes through more
calls in less time; here a process really dies, and its sockets, threads and memory with it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from e2e.kills import STORIES, FaultPoint, Killer, heading, play, row
from stratos.testing.aws import CallMoment

# Every call that changes something outside: after each, only the cloud or the API knows of it.
UNANSWERED = (
    "ec2:RunInstances",
    "ec2:CreateTags",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "POST nodeclaims",
    "PATCH nodeclaims",
    "PATCH nodeclaims/status",
    "DELETE nodeclaims",
    "PATCH nodes",
    "DELETE nodes",
    "POST pods/eviction",
    "PATCH nodepools/status",
)
# What was written down and not done yet.
NOT_ARRIVED = (
    "ec2:RunInstances",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "POST nodeclaims",
    "PATCH nodeclaims",
    "PATCH nodeclaims/status",
)
POINTS = {FaultPoint(call, CallMoment.AFTER) for call in UNANSWERED} | {
    FaultPoint(call, CallMoment.BEFORE) for call in NOT_ARRIVED
}


@pytest.mark.timeout(300)
def test_a45_a_command_killed_at_twenty_points_loses_no_machine_and_doubles_none(tmp_path: Path, moto_url: str) -> None:
    """Whatever is in memory is gone, and what was asked for last was done or was not: only the ledger tells."""
    assert len(POINTS) == 20
    killer = Killer(set(POINTS))

    outcome = asyncio.run(play(STORIES["pool and template"], tmp_path, moto_url, killer))

    sys.stdout.write(f"{heading()}\n{row(f'at {len(killer.struck)} points of one story', outcome)}\n")
    assert outcome.wrongs == [], "\n".join((*map(str, killer.struck), *outcome.wrongs, *outcome.log[-40:]))
    assert killer.armed == set()
