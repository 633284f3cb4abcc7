"""The cluster at one moment, as far as stories are told of it, and what several stories ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from stratos.apis.event import Event
from stratos.apis.meta import Condition, find_condition
from stratos.apis.nodeclaim import Decision, NodeClaim
from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.base.duration import human_duration
from stratos.planning.pools.drain import belongs_to_node
from stratos.planning.pools.matching import PoolChoice, PoolOffer
from stratos.planning.pools.offers import offer_of
from stratos.planning.scheduling.compiling import Compile
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.snapshot.pool import PoolMachine, PoolSnapshot
from stratos.snapshot.provisioning import ProvisioningSnapshot


@dataclass(frozen=True)
class Scene:
    """What we believed about the cluster at one moment. ``looks`` show every pool without the pods that wait."""

    taken_at: datetime
    looks: tuple[PoolSnapshot, ...] = ()
    waiting: tuple[Pod, ...] = ()
    budgets: tuple[PodDisruptionBudget, ...] = ()
    world: ProvisioningSnapshot | None = None  # as templates see it
    compile_pod: Compile = requirements_of  # what a pod asks for, with what its volumes ask for where that is known

    @cached_property
    def asks(self) -> dict[str, PodRequirements]:
        return {pod.metadata.key: self.compile_pod(pod) for pod in self.waiting}

    @cached_property
    def offers(self) -> tuple[PoolOffer, ...]:
        """Of the pools that take part: those being deleted serve nobody."""
        staying = (look for look in self.looks if look.pool.metadata.deletion_timestamp is None)
        return tuple(offer_of(look, self.asks) for look in staying)

    @cached_property
    def choice(self) -> PoolChoice:
        return PoolChoice(self.offers)

    def age(self, since: datetime) -> str:
        """How long ago that was; never negative, for a hurried cluster may have gone on while we looked."""
        return human_duration(max(0.0, (self.taken_at - since).total_seconds()))

    def look(self, pool: str) -> PoolSnapshot | None:
        return next((look for look in self.looks if look.pool.metadata.name == pool), None)

    def machine_of_node(self, name: str) -> tuple[PoolSnapshot, PoolMachine] | None:
        """The machine whose node, or whose claim, is called ``name``."""
        for look in self.looks:
            for machine in look.machines:
                if name in (machine.claim.status.node_name, machine.claim.metadata.name):
                    return look, machine
        return None

    def template_claim_of_node(self, name: str) -> NodeClaim | None:
        claims = self.world.claims if self.world else ()
        return next((claim for claim in claims if name in (claim.status.node_name, claim.metadata.name)), None)

    def template_claim_promised_to(self, pod: str) -> NodeClaim | None:
        """The machine of a template that was last asked for on behalf of ``pod``."""
        claims = self.world.claims if self.world else ()
        found = [(each.at, claim) for claim in claims if (each := claim.spec.decision) is not None and pod in each.pods]
        return max(found, key=lambda each: each[0])[1] if found else None

    def machine_promised_to(self, pod: str) -> tuple[PoolSnapshot, PoolMachine] | None:
        """The machine that was last brought into service for ``pod``."""
        found = [
            (decision.at, look, machine)
            for look in self.looks
            for machine in look.machines
            if (decision := machine.claim.spec.decision) is not None and pod in decision.pods
        ]
        return max(found, key=lambda each: each[0])[1:] if found else None


def condition_time(conditions: Sequence[Condition], type_: str, status: str = "True") -> datetime | None:
    """Since when the condition has had this status. None when it has another."""
    condition = find_condition(conditions, type_)
    return condition.last_transition_time if condition is not None and condition.status == status else None


def event_time(event: Event) -> datetime | None:
    """When it first happened."""
    return event.first_timestamp or event.event_time or event.metadata.creation_timestamp


def first_event(events: Iterable[Event], *reasons: str) -> Event | None:
    found = [event for event in events if event.reason in reasons and event_time(event) is not None]
    return min(found, key=lambda event: (event_time(event), event.metadata.name), default=None)


def machine_words(claim: NodeClaim) -> str:
    """``i-0abc (m5.large, us-east-1a, $0.096/h)``."""
    status = claim.status
    price = f"${status.price_usd_per_hour:.3f}/h" if status.price_usd_per_hour is not None else ""
    details = ", ".join(part for part in (status.instance_type, status.zone, price) if part)
    return f"{status.instance_id} ({details})" if details else status.instance_id


def owner_words(claim: NodeClaim) -> str:
    """Whose machine it is: ``pool ci`` or ``template any``."""
    return f"pool {claim.spec.pool}" if claim.spec.pool else f"template {claim.spec.template}"


def decision_words(decision: Decision) -> str:
    return f"{decision.reason}: {decision.message}"


def was_woken(claim: NodeClaim) -> bool:
    """Whether it last came into service from standby, and not straight from being prepared."""
    status = claim.status
    if status.last_started_at is None:
        return False
    return status.launched_at is None or status.last_started_at > status.launched_at


def state_of(claim: NodeClaim) -> str:
    return claim.status.state or "asked for"


def tenants(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """The pods on a node that are not part of its own equipment."""
    return tuple(sorted((pod for pod in pods if not belongs_to_node(pod)), key=lambda pod: pod.metadata.key))
