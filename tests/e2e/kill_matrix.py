"""The kill matrix: `stratos controller` dies at every call it makes, one story for each, and what came of it.

``python3 tasks.py kill-matrix`` plays each story calmly first, to learn which calls it makes, and then once for each of
those that no story before had, and each moment. Words after it choose calls: ``kill-matrix ec2:RunInstances``. It takes
half a minute a point, prints a line for each, and fails if anything was lost or doubled.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from e2e.kills import STORIES, FaultPoint, Killer, Outcome, Story, heading, play, row
from stratos.testing.aws import CallMoment, moto_process


def main(chosen: list[str]) -> int:
    failed = False
    seen: set[str] = set()
    with moto_process() as moto_url:
        for name, story in STORIES.items():
            say(f"\n{name}\n{heading()}")
            calm = Killer(set())
            failed |= tell("nobody is killed", told(story, moto_url, calm))
            for call in sorted(calm.met - seen):
                if not chosen or call in chosen:
                    for moment in CallMoment:
                        failed |= kill_at(FaultPoint(call, moment), story, moto_url)
            seen |= calm.met
    return int(failed)


def kill_at(point: FaultPoint, story: Story, moto_url: str) -> bool:
    """Whether it went wrong."""
    killer = Killer({point})
    outcome = told(story, moto_url, killer)
    if not killer.struck:
        outcome.wrongs.append("the call was not made this time")
    return tell(str(point), outcome)


def told(story: Story, moto_url: str, killer: Killer) -> Outcome:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(play(story, Path(directory), moto_url, killer))


def tell(name: str, outcome: Outcome) -> bool:
    say(row(name, outcome))
    return bool(outcome.wrongs)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
