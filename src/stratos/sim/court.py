"""Holds the world against the laws at every occasion, and keeps what was found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stratos.sim.actions import Action, ActionLog
from stratos.sim.laws import Effect, Law
from stratos.sim.world import Change, World
from stratos.telemetry.logs import ROOT

_TOLD_ACTIONS = 20
_LOGGERS = (ROOT, "asyncio")


@dataclass(frozen=True, slots=True)
class Violation:
    law: str
    sentence: str
    at_seconds: float
    seen: str
    actions: tuple[Action, ...]  # the last ones before


class Court:
    """Its session ends with the first finding: what a broken world does next says nothing."""

    def __init__(self, laws: Sequence[Law], world: World, log: ActionLog) -> None:
        self.violations: list[Violation] = []
        self.adjourned = asyncio.Event()
        self._laws = laws
        self._world = world
        self._log = log
        world.told = self._stored

    def find(self, law: str, sentence: str, findings: Iterable[str]) -> None:
        for seen in findings:
            if self.adjourned.is_set():
                return
            at, actions = self._log.now_seconds, self._log.last(_TOLD_ACTIONS)
            self.violations.append(Violation(law, sentence, at, seen, actions))
            self._log.note("law broken", f"{law}: {seen}")
            self.adjourned.set()

    def effected(self, effect: Effect) -> None:
        for law in self._laws:
            self.find(law.name, law.sentence, law.effected(self._world, effect))

    def patrol(self) -> None:
        for law in self._laws:
            self.find(law.name, law.sentence, law.passed(self._world))

    def stumbled(self, what: str) -> None:
        self.find("NothingStumbles", "no controller crashes and the API server never fails on its own", [what])

    @contextmanager
    def listening(self) -> Generator[None]:
        """Hear what is logged as an error inside the block, and keep everything else from being printed."""
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.handlers[:] = [_Ear(self)]
            logger.setLevel(logging.ERROR)
            logger.propagate = False
        try:
            yield
        finally:
            for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
                logger.handlers[:] = handlers
                logger.setLevel(level)
                logger.propagate = propagate

    def _stored(self, change: Change) -> None:
        for law in self._laws:
            self.find(law.name, law.sentence, law.stored(self._world, change))


class _Ear(logging.Handler):
    def __init__(self, court: Court) -> None:
        super().__init__(logging.ERROR)
        self._court = court

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._court.stumbled(f"{record.getMessage()} {getattr(record, 'fields', '')} {error!r}")
