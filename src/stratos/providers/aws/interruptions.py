"""What AWS says of machines without being asked: events of EventBridge, on a queue that rules of the account fill.

A message is deleted when whoever reads has asked for the next, and so has recorded this one; until then the queue
brings it again after a while. What is not understood is logged and deleted: it would come back for ever. A queue that
cannot be read is asked again and again, ever less often: without notices machines are found gone a little later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from stratos.base.errors import StratosError
from stratos.providers.aws.clients import AwsClients
from stratos.providers.contract import Interruption, InterruptionKind
from stratos.telemetry.logs import get_logger

_MOST_AT_ONCE = 10  # what the queue hands out in one answer
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_SPOT_NOTICE = timedelta(minutes=2)

_KINDS = {
    "EC2 Spot Instance Interruption Warning": InterruptionKind.SPOT_INTERRUPTION,
    "EC2 Instance Rebalance Recommendation": InterruptionKind.REBALANCE_RECOMMENDATION,
    "EC2 Instance State-change Notification": InterruptionKind.STATE_CHANGE,
    "AWS Health Event": InterruptionKind.SCHEDULED_CHANGE,
}

log = get_logger(__name__)


class _Entity(msgspec.Struct):
    value: str = msgspec.field(name="entityValue")


class _Detail(msgspec.Struct):
    """The fields that decide, of all kinds together."""

    instance_id: str = msgspec.field(default="", name="instance-id")
    service: str = ""
    category: str = msgspec.field(default="", name="eventTypeCategory")
    start_time: str = msgspec.field(default="", name="startTime")
    entities: tuple[_Entity, ...] = msgspec.field(default=(), name="affectedEntities")


class _Event(msgspec.Struct):
    kind: str = msgspec.field(name="detail-type")
    time: datetime
    detail: _Detail


def interruptions_in(body: str) -> tuple[Interruption, ...]:
    """What one message says. Empty for events that are none of ours; raises `ValueError` for what is no event."""
    try:
        event = msgspec.json.decode(body, type=_Event)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    kind, detail = _KINDS.get(event.kind), event.detail
    match kind:
        case None:
            return ()
        case InterruptionKind.SCHEDULED_CHANGE:
            if detail.service != "EC2" or detail.category != "scheduledChange":
                return ()
            deadline = _moment(detail.start_time)
            return tuple(Interruption(entity.value, kind, event.time, deadline) for entity in detail.entities)
        case InterruptionKind.SPOT_INTERRUPTION:
            # The event says what happens, not when: two minutes after it, as the documentation promises.
            return (Interruption(_id(detail), kind, event.time, event.time + _SPOT_NOTICE),)
        case _:
            return (Interruption(_id(detail), kind, event.time),)


def _id(detail: _Detail) -> str:
    if not detail.instance_id:
        raise ValueError("detail names no instance-id")
    return detail.instance_id


def _moment(text: str) -> datetime:
    """As in ``Sat, 05 Jun 2027 15:10:09 GMT``."""
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class InterruptionQueue:
    """The queue of that name in the clients' account and region."""

    def __init__(self, clients: AwsClients, name: str, *, long_poll_seconds: int = 10) -> None:
        """Without a name there is nothing to hear. A process ends no sooner than a poll that it has begun."""
        self._clients = clients
        self._name = name
        self._long_poll_seconds = long_poll_seconds
        self._url = ""

    async def notices(self) -> AsyncIterator[Interruption]:
        if not self._name:
            await asyncio.get_running_loop().create_future()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                messages = await self._receive()
            except StratosError as error:
                log.warning(
                    "interruption notices cannot be read", queue=self._name, reason=error.message, hint=error.hint
                )
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            pause = _FIRST_PAUSE_SECONDS
            for message in messages:
                for interruption in self._understand(message):
                    yield interruption
            await self._delete(messages)

    async def _receive(self) -> list[Mapping[str, Any]]:
        answer = await self._clients.call(
            "sqs",
            "receive_message",
            QueueUrl=await self._queue_url(),
            MaxNumberOfMessages=_MOST_AT_ONCE,
            WaitTimeSeconds=self._long_poll_seconds,
        )
        messages: list[Mapping[str, Any]] = answer.get("Messages", [])
        return messages

    async def _queue_url(self) -> str:
        if not self._url:
            self._url = (await self._clients.call("sqs", "get_queue_url", QueueName=self._name))["QueueUrl"]
        return self._url

    def _understand(self, message: Mapping[str, Any]) -> tuple[Interruption, ...]:
        try:
            return interruptions_in(message["Body"])
        except ValueError as error:
            log.warning("a message on the queue is no event", queue=self._name, reason=str(error))
            return ()

    async def _delete(self, messages: list[Mapping[str, Any]]) -> None:
        """What is not deleted comes again, which does no harm."""
        if not messages:
            return
        entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)]
        try:
            await self._clients.call("sqs", "delete_message_batch", QueueUrl=await self._queue_url(), Entries=entries)
        except StratosError as error:
            log.warning("read notices could not be deleted", queue=self._name, reason=error.message)
