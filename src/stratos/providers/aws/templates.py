"""Launch templates: how a fleet is told what its machines are to be.

A fleet takes neither image nor user data, only the name of a template that has them. Templates are named by their
content, so that launches alike share one, in this process and the next, and no two processes can quarrel about one.
EC2 needs a template only while a fleet is being served. When one is made, those go that were not used for an hour, and
when a node class is let go, all do; what is wanted after that is made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stratos.apis.labels import MANAGED_BY, TAG_CLUSTER, TAG_MANAGED_BY
from stratos.base.clock import Clock
from stratos.base.errors import AlreadyExists, StratosError
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.errors import TemplateMissing
from stratos.providers.aws.requests import tag_specification
from stratos.telemetry.logs import get_logger

_UNUSED_FOR = timedelta(hours=1)

log = get_logger(__name__)


class LaunchTemplates:
    def __init__(self, clients: AwsClients, *, clock: Clock, cluster_name: str) -> None:
        self._clients = clients
        self._clock = clock
        self._cluster_name = cluster_name
        self._used_at: dict[str, datetime] = {}
        self._making = asyncio.Lock()

    async def name_of(self, content: Mapping[str, Any]) -> str:
        """The name of a template with this content; it is made if this process has not seen it yet."""
        name = self._name(content)
        async with self._making:
            is_new = name not in self._used_at
            if is_new:
                await self._make(name, content)
            self._used_at[name] = self._clock.now()
            if is_new:
                await self.delete_unused(_UNUSED_FOR)
        return name

    def forget(self, content: Mapping[str, Any]) -> None:
        """Somebody deleted it."""
        self._used_at.pop(self._name(content), None)

    def _name(self, content: Mapping[str, Any]) -> str:
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        return f"stratos/{self._cluster_name}/{digest}"

    async def delete_unused(self, unused_for: timedelta = timedelta()) -> None:
        """Those that were neither made nor used for so long. That it fails is no reason to do without a machine."""
        before = self._clock.now() - unused_for
        try:
            templates = await self._clients.pages(
                "ec2",
                "describe_launch_templates",
                "LaunchTemplates",
                Filters=[{"Name": f"tag:{TAG_CLUSTER}", "Values": [self._cluster_name]}],
            )
            for template in templates:
                name = template["LaunchTemplateName"]
                if max(self._used_at.get(name, before), template["CreateTime"]) <= before:
                    self._used_at.pop(name, None)
                    await self._delete(name)
        except StratosError as error:
            log.warning("launch templates could not be cleaned up", reason=error.message)

    async def _make(self, name: str, content: Mapping[str, Any]) -> None:
        tags = {TAG_MANAGED_BY: MANAGED_BY, TAG_CLUSTER: self._cluster_name}
        try:
            await self._clients.call(
                "ec2",
                "create_launch_template",
                LaunchTemplateName=name,
                LaunchTemplateData=content,
                TagSpecifications=[tag_specification("launch-template", tags)],
            )
        except AlreadyExists:
            return  # and its name says what is in it

    async def _delete(self, name: str) -> None:
        try:
            await self._clients.call("ec2", "delete_launch_template", LaunchTemplateName=name)
        except TemplateMissing:
            return
