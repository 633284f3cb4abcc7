"""Brings the machine of each NodeClaim to where its claim wants it. The only loop that launches, starts and stops."""

from stratos.controllers.machines.controller import MachineSettings, machine_controller
from stratos.controllers.machines.metrics import MachineMetrics

__all__ = ["MachineMetrics", "MachineSettings", "machine_controller"]
