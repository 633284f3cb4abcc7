"""Which machines, from which template, for the pods that wait: constraints in, claims out.

`packing` decides what is cheapest. Here it is decided what may be bought at all, for whom, and how much of it.
"""

from stratos.planning.provisioning.planner import plan_provisioning

__all__ = ["plan_provisioning"]
