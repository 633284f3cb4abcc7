"""Which nodes may go or be replaced, and in which order, so that nobody who uses them notices."""

from stratos.planning.disruption.planner import plan_disruption
from stratos.planning.disruption.rebalance import plan_rebalancing

__all__ = ["plan_disruption", "plan_rebalancing"]
