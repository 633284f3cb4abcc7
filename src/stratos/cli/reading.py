"""Files that people name on the command line: read whole, unless they hold far more than they could have meant."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from stratos.base.errors import Invalid, NotFound
from stratos.base.quantity import MEBIBYTE

STANDARD_INPUT = Path("-")


def name_of(file: Path) -> str:
    return "standard input" if file == STANDARD_INPUT else str(file)


def read_bytes(file: Path, *, most_bytes: int, hint: str) -> bytes:
    """Never more than a byte too many. Raises `NotFound` and `Invalid`, with ``hint`` for who named the wrong file."""
    name = name_of(file)
    try:
        with nullcontext(sys.stdin.buffer) if file == STANDARD_INPUT else file.open("rb") as stream:
            content = stream.read(most_bytes + 1)
    except FileNotFoundError as error:
        raise NotFound(f"there is no {name}", hint=hint) from error
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror}", hint=hint) from error
    if len(content) > most_bytes:
        raise Invalid(f"{name} is larger than {most_bytes // MEBIBYTE} MiB", hint=hint)
    return content


def read_text(file: Path, *, most_bytes: int, hint: str) -> str:
    """The same of a file that is UTF-8."""
    try:
        return read_bytes(file, most_bytes=most_bytes, hint=hint).decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{name_of(file)} is not text: byte {error.start} is not UTF-8", hint=hint) from error
