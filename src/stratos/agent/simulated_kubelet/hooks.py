"""The boot script of a simulated host. It is no shell: it knows three commands and ignores every other line.

sleep 30                      takes that many seconds
prefetch /models/llama 40Gi   downloads a file of that size onto the machine's disk
poweroff                      turns the machine off once it is prepared (also: shutdown -h now)
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from stratos.base.errors import Invalid
from stratos.base.quantity import parse_quantity, units


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Prefetch:
    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PowerOff:
    pass


Command = Sleep | Prefetch | PowerOff


def parse_script(script: str) -> tuple[Command, ...]:
    """The commands of a script, in order. Whatever is not one of them, or not well formed, is not there."""
    return tuple(command for line in script.splitlines() if (command := _parse_line(line)) is not None)


def _parse_line(line: str) -> Command | None:
    try:
        match shlex.split(line, comments=True):
            case ["sleep", seconds]:
                return Sleep(float(parse_quantity(seconds.removesuffix("s"))))
            case ["prefetch", path, size]:
                return Prefetch(path, units(size))
            case ["poweroff"] | ["shutdown", *_]:
                return PowerOff()
            case _:
                return None
    except (ValueError, Invalid):  # no balanced quotes, no number: a line of some other script
        return None
