"""The metadata service that EC2 runs on every machine, in its second version: what it says of the machine's end.

Three pages are asked: the spot notice, planned maintenance, and the recommendation to rebalance. Of several things that
are said the gravest counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from stratos.apis.nodeclaim import InterruptionKind
from stratos.base.errors import Unavailable
from stratos.planning.interruptions.notices import HostNotice

DEFAULT_URL = "http://169.254.169.254"

_TOKEN_SECONDS = 6 * 3600  # the longest that it grants; a token that is refused sooner is replaced
_TIMEOUT = aiohttp.ClientTimeout(total=2)
_SPOT = "spot/instance-action"
_MAINTENANCE = "events/maintenance/scheduled"
_REBALANCE = "events/recommendations/rebalance"


class MetadataUnavailable(Unavailable):
    """The service does not answer, or not in its own words."""


class _SpotAction(msgspec.Struct):
    time: datetime  # whatever the action is, the machine is down then


class _Maintenance(msgspec.Struct):
    not_before: str = msgspec.field(name="NotBefore")
    state: str = msgspec.field(default="active", name="State")


class InstanceMetadata:
    """Used within one ``session`` of aiohttp, which belongs to the caller."""

    def __init__(self, session: aiohttp.ClientSession, url: str = DEFAULT_URL) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._token = ""

    async def notice(self) -> HostNotice | None:
        """What is to happen to this machine. None: nothing is said. Raises `MetadataUnavailable`."""
        try:
            spot = await self._page(_SPOT)
            if spot is not None:
                action = msgspec.json.decode(spot, type=_SpotAction)
                return HostNotice(InterruptionKind.SPOT_INTERRUPTION, action.time)
            planned = _next(await self._page(_MAINTENANCE))
            if planned is not None:
                return HostNotice(InterruptionKind.SCHEDULED_CHANGE, planned)
            if await self._page(_REBALANCE) is not None:
                return HostNotice(InterruptionKind.REBALANCE_RECOMMENDATION)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, msgspec.MsgspecError) as error:
            raise MetadataUnavailable(
                f"the metadata service at {self._url} cannot be read: {str(error) or type(error).__name__}",
                hint="pods reach it with hostNetwork, or with a hop limit of 2 in the class's metadataOptions",
            ) from error
        return None

    async def _page(self, path: str) -> bytes | None:
        """None when there is no such page, which is how this service says no."""
        for renewed in (False, True):
            if not self._token or renewed:
                self._token = await self._new_token()
            async with self._session.get(
                f"{self._url}/latest/meta-data/{path}",
                headers={"X-aws-ec2-metadata-token": self._token},
                timeout=_TIMEOUT,
            ) as answer:
                if answer.status == 404:
                    return None
                if answer.status == 401 and not renewed:
                    continue
                answer.raise_for_status()
                return await answer.read()
        raise AssertionError("the second answer is always taken")

    async def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        async with self._session.put(f"{self._url}/latest/api/token", headers=headers, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            return (await answer.text()).strip()


def _next(page: bytes | None) -> datetime | None:
    """When the next maintenance begins that has not been called off. It is written as ``21 Jan 2027 09:00:43 GMT``."""
    events = msgspec.json.decode(page, type=list[_Maintenance]) if page and page.strip() else []
    moments = [parsedate_to_datetime(event.not_before) for event in events if event.state == "active"]
    return min((each if each.tzinfo else each.replace(tzinfo=UTC) for each in moments), default=None)
