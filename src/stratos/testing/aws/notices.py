"""What EventBridge tells of instances, put on the queue that a cluster listens to. As real ones, told at least once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from stratos.base.clock import Clock
from stratos.testing.aws.instances import Instance
from stratos.testing.aws.moto import Moto

SPOT_INTERRUPTION = "EC2 Spot Instance Interruption Warning"
REBALANCE = "EC2 Instance Rebalance Recommendation"
STATE_CHANGE = "EC2 Instance State-change Notification"
SCHEDULED_CHANGE = "AWS Health Event"


class Notices:
    def __init__(self, moto: Moto, queue_url: str, clock: Clock) -> None:
        self._moto = moto
        self._queue_url = queue_url
        self._clock = clock
        self._numbers = itertools.count(1)

    async def spot_interruption(self, instance: Instance) -> None:
        detail = {"instance-id": instance.id, "instance-action": "terminate"}
        await self._send("aws.ec2", SPOT_INTERRUPTION, detail, instance)

    async def rebalance(self, instance: Instance) -> None:
        await self._send("aws.ec2", REBALANCE, {"instance-id": instance.id}, instance)

    async def state_change(self, instance: Instance) -> None:
        await self._send("aws.ec2", STATE_CHANGE, {"instance-id": instance.id, "state": str(instance.state)}, instance)

    async def scheduled_change(self, instance: Instance, starts_at: datetime) -> None:
        """Maintenance that the machine does not survive."""
        detail = {
            "service": "EC2",
            "eventTypeCode": "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED",
            "eventTypeCategory": "scheduledChange",
            "startTime": f"{starts_at:%a, %d %b %Y %H:%M:%S} GMT",
            "affectedEntities": [{"entityValue": instance.id}],
        }
        await self._send("aws.health", SCHEDULED_CHANGE, detail, instance)

    async def raw(self, body: str) -> None:
        """Whatever else gets onto the queue."""
        await self._moto.json("sqs", "SendMessage", {"QueueUrl": self._queue_url, "MessageBody": body})

    async def _send(self, source: str, kind: str, detail: Mapping[str, Any], instance: Instance) -> None:
        event = {
            "version": "0",
            "id": f"00000000-0000-4000-8000-{next(self._numbers):012x}",
            "detail-type": kind,
            "source": source,
            "account": "123456789012",
            "time": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "region": instance.region,
            "resources": [f"arn:aws:ec2:{instance.offering.zone}:instance/{instance.id}"],
            "detail": detail,
        }
        await self.raw(msgspec.json.encode(event).decode())
