"""Calls to the cloud for one claim, and what each answer means for it."""

from __future__ import annotations

import msgspec

from stratos.apis import labels
from stratos.apis.meta import with_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeState
from stratos.apis.nodepool import NodePoolSpec
from stratos.base.clock import Clock
from stratos.base.errors import (
    InsufficientCapacity,
    NotFound,
    NotReady,
    QuotaExceeded,
    StratosError,
    Throttled,
    Unavailable,
)
from stratos.controllers.machines.launching import ClassBook, launch_request, turns_itself_off
from stratos.controllers.machines.ledger import Ledger
from stratos.controllers.machines.sightings import Sightings
from stratos.controllers.machines.workloads import Workloads
from stratos.kube.identity import ClusterIdentity
from stratos.planning.pools.draft import UNKNOWN_GRACE
from stratos.planning.pools.images import images_of_workloads
from stratos.planning.pools.lifecycle import step_through
from stratos.planning.pools.machine import wake_refused
from stratos.providers.contract import CapacityType, Machine, MachineGone, MachineState, Provider


class PlanOverturned(Exception):
    """A step found the world other than planned: what follows it in the plan is void. Look again."""


class CloudCalls:
    """Every call may be repeated. What it brought about is noted in the ledger and among the sightings."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        sightings: Sightings,
        classes: ClassBook,
        workloads: Workloads,
        *,
        clock: Clock,
        cluster_name: str,
        identity: ClusterIdentity,
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._sightings = sightings
        self._classes = classes
        self._workloads = workloads
        self._clock = clock
        self._cluster_name = cluster_name
        self._identity = identity

    async def launch(self, claim: NodeClaim, settings: NodePoolSpec) -> Machine:
        # Said before the cloud is asked, so that an answer that gets lost is looked for.
        await self._ledger.note(claim, ClaimCondition.LAUNCHED, None, "Launching", "the cloud is being asked")
        try:
            resolved = await self._classes.resolve(claim)
            self_stop = not claim.is_spot and turns_itself_off(settings, self._classes.get(claim))
            request = launch_request(
                claim,
                settings,
                resolved,
                cluster=self._cluster_name,
                cluster_uid=self._identity.uid,
                self_stop=self_stop,
                images_to_try=self._images_worth_having(claim, settings),
                on_demand_price=self._on_demand_price(resolved.instance_type),
            )
            machine = await self._provider.launch(request)
        except (Throttled, Unavailable):
            raise  # nobody knows whether it took effect: the same token asks again
        except StratosError as error:
            reason = type(error).__name__
            await self._ledger.note(claim, ClaimCondition.LAUNCHED, False, reason, error.message)
            raise NotReady(f"claim {claim.metadata.name} was not launched: {error.message}") from error
        await self._launched(claim, machine)
        return machine

    def _images_worth_having(self, claim: NodeClaim, settings: NodePoolSpec) -> tuple[str, ...]:
        if claim.spec.template:
            return ()  # its pods wait for it already, and fetch what they need themselves
        return images_of_workloads(settings.template.labels, self._workloads.pod_specs())

    def _on_demand_price(self, instance_type: str) -> float | None:
        offered = self._provider.catalog.offerings(instance_type) if instance_type else ()
        on_demand = (each for each in offered if each.capacity_type is CapacityType.ON_DEMAND)
        return min((each.price_usd_per_hour for each in on_demand), default=None)

    async def find(self, claim: NodeClaim) -> None:
        tags = {labels.TAG_CLUSTER: self._cluster_name, labels.TAG_CLAIM: claim.metadata.name}
        found = [machine for machine in await self._provider.list_by_tags(tags) if not machine.state.gone]
        if found:
            await self._launched(claim, found[0])
            raise PlanOverturned

    async def _launched(self, claim: NodeClaim, machine: Machine) -> None:
        now = self._clock.now()
        current = self._ledger.status(claim)
        text = f"the cloud gave {machine.id}"
        status = msgspec.structs.replace(
            current,
            conditions=with_condition(
                current.conditions, ClaimCondition.LAUNCHED, True, reason="Launched", message=text, now=now
            ),
            state=step_through(NodeState.WARMUP),
            state_since=now,
            instance_id=machine.id,
            provider_id=machine.provider_id,
            instance_type=machine.instance_type,
            zone=machine.zone,
            image=machine.image,
            price_usd_per_hour=machine.price_usd_per_hour,
            launched_at=machine.launched_at,
        )
        self._sightings.note(claim.metadata.name, machine.state)
        await self._ledger.record(claim, status)

    async def start(self, claim: NodeClaim, token: str) -> None:
        try:
            await self._provider.start(claim.status.instance_id, token)
        except (InsufficientCapacity, QuotaExceeded) as error:
            await self._ledger.record(
                claim, wake_refused(claim, type(error).__name__, error.message, self._clock.now())
            )
            raise PlanOverturned from error
        except (MachineGone, NotFound) as error:
            self._note_end(claim, error)
            raise PlanOverturned from error
        self._sightings.note(claim.metadata.name, MachineState.PENDING)

    async def stop(self, claim: NodeClaim, *, force: bool) -> None:
        try:
            await self._provider.stop(claim.status.instance_id, force=force)
        except (MachineGone, NotFound) as error:
            self._note_end(claim, error)
            raise PlanOverturned from error
        self._sightings.note(claim.metadata.name, MachineState.STOPPING)

    def _note_end(self, claim: NodeClaim, error: StratosError) -> None:
        """A machine that is gone may still be shutting down: until that is over, it counts as one of its pool's.

        One that was launched moments ago is not gone because it is not found: the cloud does not show it yet.
        """
        launched_at = claim.status.launched_at
        if isinstance(error, NotFound) and launched_at is not None and self._clock.now() < launched_at + UNKNOWN_GRACE:
            raise NotReady(f"the machine of {claim.metadata.name} is too new to be found: {error.message}") from error
        ended = MachineState.TERMINATED if isinstance(error, NotFound) else MachineState.SHUTTING_DOWN
        self._sightings.note(claim.metadata.name, ended)

    async def terminate(self, claim: NodeClaim) -> None:
        try:
            await self._provider.terminate(claim.status.instance_id)
        except NotFound as error:
            self._note_end(claim, error)
            raise PlanOverturned from error
        except StratosError as error:
            await self._ledger.note(claim, ClaimCondition.ENDED, False, type(error).__name__, error.message)
            raise
        self._sightings.note(claim.metadata.name, MachineState.SHUTTING_DOWN)
