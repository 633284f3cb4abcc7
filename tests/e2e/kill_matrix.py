"""The kill matrix: `stratos controller` dies at every call it makes, one story for each, and what came of it.

``python3 tasks.py kill-matrix`` plays a calm story first, to learn which calls there are, and then one story for each
of them and each moment. Words after it choose calls: ``kill-matrix ec2:RunInstances 'PATCH nodes'``. It takes half a
minute a point, prints a line for each, and fails if anything was lost or doubled.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from e2e.kills import FaultPoint, Killer, Outcome, heading, play, row
from stratos.testing.aws import CallMoment, moto_process


def main(chosen: list[str]) -> int:
    failed = False
    with moto_process() as moto_url:
        calm = Killer(set())
        say(heading())
        failed |= tell("nobody is killed", asyncio.run(story(moto_url, calm)))
        for call in sorted(calm.met):
            if chosen and call not in chosen:
                continue
            for moment in CallMoment:
                point = FaultPoint(call, moment)
                killer = Killer({point})
                outcome = asyncio.run(story(moto_url, killer))
                if not killer.struck:
                    outcome.wrongs.append("the call was not made this time")
                failed |= tell(str(point), outcome)
    return int(failed)


async def story(moto_url: str, killer: Killer) -> Outcome:
    with tempfile.TemporaryDirectory() as directory:
        return await play(Path(directory), moto_url, killer)


def tell(name: str, outcome: Outcome) -> bool:
    say(row(name, outcome))
    return bool(outcome.wrongs)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
