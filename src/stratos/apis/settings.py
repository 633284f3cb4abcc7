"""What the running controllers were told, published as a ConfigMap: the API is the only way to know it from outside."""

from __future__ import annotations

from typing import Any

from stratos.apis.meta import Struct
from stratos.apis.namespace import CONFIG_MAP, SYSTEM_NAMESPACE, ConfigMap
from stratos.base.errors import Invalid

SETTINGS_NAME = "stratos-settings"
SETTINGS_KEY = f"{SYSTEM_NAMESPACE}/{SETTINGS_NAME}"

_COST_LIMIT = "clusterCostLimitUSDPerHour"
_GPU_LIMIT = "clusterGPULimit"


class PublishedSettings(Struct):
    cluster_cost_limit_usd_per_hour: float | None = None
    cluster_gpu_limit: int | None = None


def settings_manifest(settings: PublishedSettings) -> dict[str, Any]:
    stated = {
        _COST_LIMIT: settings.cluster_cost_limit_usd_per_hour,
        _GPU_LIMIT: settings.cluster_gpu_limit,
    }
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {"name": SETTINGS_NAME, "namespace": SYSTEM_NAMESPACE},
        "data": {key: repr(value) for key, value in stated.items() if value is not None},
    }


def settings_in(config_map: ConfigMap) -> PublishedSettings:
    """Raises `Invalid` when somebody else has written something else."""
    data = config_map.data
    try:
        return PublishedSettings(
            cluster_cost_limit_usd_per_hour=float(data[_COST_LIMIT]) if _COST_LIMIT in data else None,
            cluster_gpu_limit=int(data[_GPU_LIMIT]) if _GPU_LIMIT in data else None,
        )
    except ValueError as error:
        raise Invalid(
            f"ConfigMap {SETTINGS_KEY} holds no settings: {error}",
            hint="delete it and restart the controllers: they write it anew",
        ) from error
