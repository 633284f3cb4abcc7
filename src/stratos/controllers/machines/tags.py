"""Tags that tell people on the cloud's console what a machine is doing. Nothing is decided by them, and nothing waits.

Of several changes to one machine that came before the cloud could be told, it hears the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stratos.base.errors import StratosError
from stratos.providers.contract import Provider
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class TagWriter:
    """Tags are written while `run` is running, one machine after another."""

    name = "machine tags"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._due: dict[str, dict[str, str]] = {}
        self._work = asyncio.Event()

    def write(self, machine_id: str, tags: Mapping[str, str]) -> None:
        self._due.setdefault(machine_id, {}).update(tags)
        self._work.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._due:
                machine_id = next(iter(self._due))
                tags = self._due.pop(machine_id)
                try:
                    await self._provider.tag(machine_id, tags)
                except StratosError as error:
                    log.warning("machine could not be tagged", machine=machine_id, reason=error.message)
