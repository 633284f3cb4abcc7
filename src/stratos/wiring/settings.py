"""The controllers' settings, as far as a plan made elsewhere needs them: written by those who run, read by commands."""

from __future__ import annotations

import asyncio

from stratos.apis.namespace import CONFIG_MAP
from stratos.apis.settings import SETTINGS_KEY, PublishedSettings, settings_in, settings_manifest
from stratos.base.errors import NotFound, StratosError
from stratos.kube.client import Client
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.telemetry.logs import get_logger

_AGAIN_SECONDS = 60.0

log = get_logger(__name__)


class SettingsNotice:
    """Add it to a manager: it writes them once, and tries again for as long as the API will not have them.

    Nothing the controllers do depends on it.
    """

    name = "settings notice"

    def __init__(self, client: Client, limits: ClusterLimits) -> None:
        self._client = client
        self._manifest = settings_manifest(PublishedSettings(limits.cost_usd_per_hour, limits.gpus))

    async def run(self) -> None:
        while True:
            try:
                await self._client.apply(CONFIG_MAP, self._manifest, field_manager="stratos", force=True)
                return
            except StratosError as error:
                log.warning("stratos plan and explain cannot know the limits of the cluster", reason=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)


async def limits_in_force(client: Client) -> ClusterLimits:
    """The limits that the cluster's controllers keep. None where none have said."""
    try:
        settings = settings_in(await client.get(CONFIG_MAP, SETTINGS_KEY))
    except NotFound:
        return ClusterLimits()
    return ClusterLimits(settings.cluster_cost_limit_usd_per_hour, settings.cluster_gpu_limit)
