"""What a container would do, told from its command and from annotations of its pod. Nothing is executed.

A command such as ``sleep 30`` or ``sh -c "echo hello; sleep 30; exit 1"`` takes the time and ends as it says; any other
runs until it is stopped. Annotations of the pod say it for commands that cannot be read, and win.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stratos.apis.pod import Container
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid

# Annotations of pods on simulated hosts (docs/reference/labels.md is made from these comments)
DURATION = "sim.stratos.sh/duration"  # how long the main containers run, such as 2m; or forever
EXIT_CODE = "sim.stratos.sh/exit-code"  # how they end
LOAD_SECONDS = "sim.stratos.sh/load-seconds"  # how long after its start a container becomes ready
STOP_SECONDS = "sim.stratos.sh/stop-seconds"  # how long it takes to stop when asked to; 1 unless said
CACHE_KEY = "sim.stratos.sh/cache-key"  # a cache on the machine's disk, filled by the first run that succeeds
CACHED_DURATION = "sim.stratos.sh/cached-duration"  # how long a run with a filled cache takes; a quarter unless said

_FOREVER = "forever"
_SPEED_UP_BY_CACHE = 4
_SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
_SLEEP_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Behaviour:
    run_seconds: float | None = None  # None: until it is stopped
    exit_code: int = 0
    output: str = ""
    ready_after_seconds: float = 0.0
    stop_seconds: float = 1.0
    fills_cache: str = ""  # the file that a successful run leaves on the machine's disk


def behaviour_of(
    container: Container,
    annotations: Mapping[str, str],
    files: Collection[str],
    *,
    init: bool = False,
    load_seconds: float = 0.0,
) -> Behaviour:
    """How one run of a container goes on a disk that holds ``files``. Raises `Invalid` for a bad annotation.

    ``load_seconds`` is what its image needs to become ready, unless an annotation says otherwise. Only the command
    speaks for an init container: annotations are about the main ones.
    """
    run = _read_command((*(container.command or ()), *(container.args or ())))
    if init:
        return run
    run_seconds = run.run_seconds
    if DURATION in annotations:
        run_seconds = _duration(annotations, DURATION)
    cache = f"/cache/{annotations[CACHE_KEY]}" if annotations.get(CACHE_KEY) else ""
    if cache and cache in files:
        if CACHED_DURATION in annotations:
            run_seconds = _duration(annotations, CACHED_DURATION)
        elif run_seconds is not None:
            run_seconds /= _SPEED_UP_BY_CACHE
    return Behaviour(
        run_seconds=run_seconds,
        exit_code=int(_number(annotations, EXIT_CODE, run.exit_code)),
        output=run.output,
        ready_after_seconds=_number(annotations, LOAD_SECONDS, load_seconds),
        stop_seconds=_number(annotations, STOP_SECONDS, 1.0),
        fills_cache=cache,
    )


def _read_command(words: tuple[str, ...]) -> Behaviour:
    if len(words) >= 3 and words[0] in _SHELLS and words[1] == "-c":
        return _read_script(words[2])
    return _read_statements([list(words)])


def _read_script(script: str) -> Behaviour:
    try:
        statements = [shlex.split(statement) for statement in re.split(r";|&&|\n", script)]
    except ValueError:  # quotes that span statements: more than can be read here
        return Behaviour()
    return _read_statements([words for words in statements if words])


def _read_statements(statements: list[list[str]]) -> Behaviour:
    seconds, output = 0.0, ""
    for words in statements:
        match words:
            case ["sleep", amount] if (pause := _sleep_seconds(amount)) is not None:
                seconds += pause
            case ["echo", *text]:
                output += " ".join(text) + "\n"
            case ["exit", code] if code.isdecimal():
                return Behaviour(seconds, int(code), output)
            case ["true"]:
                pass
            case ["false"]:
                return Behaviour(seconds, 1, output)
            case _:
                return Behaviour(output=output)
    return Behaviour(seconds, 0, output) if statements else Behaviour()


def _sleep_seconds(amount: str) -> float | None:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", amount)
    return float(found[1]) * _SLEEP_UNITS[found[2]] if found else None


def _duration(annotations: Mapping[str, str], key: str) -> float | None:
    text = annotations[key]
    if text == _FOREVER:
        return None
    try:
        return parse_duration_seconds(text)
    except Invalid as error:
        raise Invalid(f"annotation {key}: {error.message}", hint=error.hint) from error


def _number(annotations: Mapping[str, str], key: str, usual: float) -> float:
    """A plain number, not below zero."""
    text = annotations.get(key)
    if text is None:
        return usual
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise Invalid(f"annotation {key}: {text!r} is not a number", hint="write a number such as 90 or 1.5")
    return float(text)
