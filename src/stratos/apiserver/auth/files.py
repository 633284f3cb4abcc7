"""Writing the files that hold keys."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str, *, private: bool) -> None:
    """Replace a file at once, so that a crash leaves the old one or the new one. Private ones are their owner's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
