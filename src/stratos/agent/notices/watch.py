"""The loop on a host: ask every few seconds, and let the node say what was heard.

It is the second source of what a queue may tell the controllers, too; they take the same news from both as one. The
host does nothing else about it: closing its node and moving its pods is decided where all nodes are seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from stratos.agent.notices.metadata import MetadataUnavailable
from stratos.apis import labels
from stratos.apis.node import NODE
from stratos.base.errors import StratosError
from stratos.kube.client import Client
from stratos.planning.interruptions.notices import HostNotice, write_notice
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


async def watch_notices(
    client: Client, node: str, hear: Callable[[], Awaitable[HostNotice | None]], *, poll_seconds: float
) -> None:
    """Keep the node's annotation true to what ``hear`` says, for ever."""
    told: str | None = None
    fresh = False  # nothing has been told yet: what a former life of the machine left there is put right
    silent = False
    while True:
        try:
            notice = await hear()
            silent = False
            text = write_notice(notice) if notice is not None else None
            if not fresh or text != told:
                await client.patch(NODE, node, {"metadata": {"annotations": {labels.INTERRUPTION: text}}})
                log.info("the node says what is to happen to its machine", node=node, notice=text or "nothing")
                told, fresh = text, True
        except MetadataUnavailable as error:
            if not silent:  # once an outage is enough
                log.warning("nothing can be heard", node=node, reason=error.message, hint=error.hint)
            silent = True
        except StratosError as error:
            log.warning("the node could not be told yet", node=node, reason=error.message)
        await asyncio.sleep(poll_seconds)
