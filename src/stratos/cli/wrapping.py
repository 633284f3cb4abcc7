"""Long lines for people, broken where words end."""

from __future__ import annotations

import textwrap

WIDTH = 100


def wrapped(text: str, first: str = "", *, hanging: int = 0) -> str:
    """``text`` after ``first``; lines that follow begin where it does, or ``hanging`` columns further in."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * (len(first) + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
