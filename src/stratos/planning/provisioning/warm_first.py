"""Warm first: when a pool's standby machine serves a pod in place of a new machine of a template.

The rule: a standby machine that holds the pod is woken unless a new one is both cheaper by the hour and ready no later.
Standby machines are paid for already but for their hours, and nearly always faster; so the answer is nearly always yes,
and a new machine wins only where waiting for it costs nobody anything.
"""

from __future__ import annotations

from dataclasses import dataclass

STANDBY_SECONDS = 25.0  # from the call to a node that takes pods, where nobody has measured it
LAUNCH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class WayToServe:
    """A machine that could serve the pod: what it costs, and when it would be ready."""

    price_usd_per_hour: float
    ready_in_seconds: float


@dataclass(frozen=True, slots=True)
class WarmVerdict:
    use_standby: bool
    reason: str


def warm_first(standby: WayToServe | None, launch: WayToServe | None) -> WarmVerdict:
    """``standby`` None: no pool has a machine that holds the pod. ``launch`` None: no template may buy one."""
    if standby is None:
        return WarmVerdict(False, "no standby machine holds the pod")
    if launch is None:
        return WarmVerdict(True, "a standby machine holds the pod, and no template may buy one for it")
    sooner = launch.ready_in_seconds - standby.ready_in_seconds
    saved = launch.price_usd_per_hour - standby.price_usd_per_hour
    if sooner > 0:
        return WarmVerdict(True, f"a standby machine is ready {sooner:.0f} s sooner than a new one")
    if saved >= 0:
        return WarmVerdict(True, f"a standby machine is ready as soon, and costs ${saved:.4f}/h less")
    return WarmVerdict(False, f"a new machine is ready as soon, and costs ${-saved:.4f}/h less than a standby one")
