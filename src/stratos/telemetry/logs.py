"""Structured logging over the standard library: an event in words, and ``key=value`` fields beside it.

    log = get_logger(__name__)
    log.info("machine started", pool="gpu", seconds=18.2)

Which lines are shown, where and in which format is decided once, by `configure`, in the composition root.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from stratos.base.clock import Clock

ROOT = "stratos"
EVENTS = f"{ROOT}.events"  # the logger of what is told to the cluster as Events
FILE_BYTES_MAX = 100 * 1024 * 1024


class Logger:
    """A named logger whose messages are fixed words; whatever varies is a field."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, *, error: BaseException | None = None, **fields: object) -> None:
        """With ``error``, its traceback follows: for what only a bug or a broken machine explains."""
        self._log(logging.ERROR, event, fields, error)

    def _log(self, level: int, event: str, fields: Mapping[str, object], error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=error, extra={"fields": fields})


def get_logger(name: str) -> Logger:
    return Logger(logging.getLogger(name))


class PlainFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z INFO  machine started pool=gpu seconds=18.2``"""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        words = [_timestamp(self._clock), f"{record.levelname:<7}", record.getMessage()]
        words += [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``event``, then the fields."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _timestamp(self._clock),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        # A field never hides what every line has.
        line.update((f"field_{name}" if name in line else name, value) for name, value in _fields(record).items())
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(
    stream: TextIO,
    *,
    clock: Clock,
    json_lines: bool = False,
    level: str = "INFO",
    file: Path | None = None,
    events: bool = True,
) -> None:
    """Send the lines of everything under ``stratos`` to ``stream``. Calling it again replaces the earlier choice.

    They go to ``file``, too, for others to read: as JSON, and never more than `FILE_BYTES_MAX` with all that it kept.
    Without ``events``, what is told to the cluster is not said here again.
    """
    handler: logging.Handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(clock) if json_lines else PlainFormatter(clock))
    handlers = [handler]
    if file is not None:
        keeping = RotatingFileHandler(file, maxBytes=FILE_BYTES_MAX // 2, backupCount=1, encoding="utf-8")
        keeping.setFormatter(JsonFormatter(clock))
        handlers.append(keeping)
    root = logging.getLogger(ROOT)
    for replaced in root.handlers:
        replaced.close()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    root.propagate = False
    logging.getLogger(EVENTS).disabled = not events


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return fields


def _timestamp(clock: Clock) -> str:
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and not any(letter in ' "=' for letter in text)
    return text if text and plain else json.dumps(text, ensure_ascii=False)
