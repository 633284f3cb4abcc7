"""What a pod behind the ``nodecostestimate`` gate is told: the machine it would get, its price, and how many of them.

The form of the message is a contract: tools cut the price out of characters 17 to 24, and the number of nodes out of
the second part. They drop messages that are equal before they add up, so ours end by naming the pods they are about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stratos.base.words import counted
from stratos.planning.packing.problem import PlannedMachine
from stratos.planning.provisioning.basket import Chosen
from stratos.planning.provisioning.plan import PodEvent
from stratos.planning.provisioning.strategies import Group

REASON = "NodeCostEstimate"
_DIGITS = 8
_NONE = "No node type found"


def estimate_events(groups: Iterable[Group], machines: Mapping[str, Chosen]) -> tuple[PodEvent, ...]:
    """One event for each pod of ``groups``; ``machines`` is the basket they were put in."""
    messages: dict[str, str] = {}  # by machine
    left: list[PodEvent] = []
    for group in groups:
        alike: dict[tuple[str, str, float], list[tuple[str, PlannedMachine]]] = {}
        for name, machine in zip(group.machines, group.packing.machines, strict=True):
            offering = machine.candidate.offering
            kind = (offering.instance_type, str(offering.capacity_type), machine.candidate.price_usd_per_hour)
            alike.setdefault(kind, []).append((name, machine))
        for (instance_type, terms, price), held in sorted(alike.items()):
            about = sorted(key for _, machine in held for key in machine.pods)
            message = (
                f"Estimated cost ${price_field(price)}; estimated node count {len(held)};"
                f" node type {instance_type} ({terms}); for {counted(len(about), 'pod')} from {about[0]}"
            )
            messages.update((name, message) for name, _ in held)
        left += [no_estimate(each.pod, each.message) for each in group.packing.unplaced]
    told = (PodEvent(pod.key, REASON, messages[name]) for name, machine in machines.items() for pod in machine.pods)
    return tuple(sorted((*told, *left), key=lambda event: event.pod))


def no_estimate(pod: str, why: str) -> PodEvent:
    return PodEvent(pod, REASON, f"{_NONE}: {why}")


def is_price(message: str) -> bool:
    """Whether the pod knows what it wanted to know. That no machine was found may be true no more."""
    return not message.startswith(_NONE)


def price_field(price_usd_per_hour: float) -> str:
    """The price in exactly eight characters."""
    for decimals in range(_DIGITS - 2, 0, -1):
        text = f"{price_usd_per_hour:.{decimals}f}"
        if len(text) <= _DIGITS:
            return text.rjust(_DIGITS, "0")
    return f"{price_usd_per_hour:0{_DIGITS}.0f}"
