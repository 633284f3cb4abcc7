"""Decides for each NodePool what its claims shall want. Writes claims, never calls the cloud."""

from stratos.controllers.pools.controller import pool_controller
from stratos.controllers.pools.metrics import PoolMetrics

__all__ = ["PoolMetrics", "pool_controller"]
