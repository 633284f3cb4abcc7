"""New machines, each once for its token.

One on-demand type is asked for by RunInstances, subnet after subnet: one call, and its answer is the machine.
Spot machines and several types are asked for by a fleet of the kind that EC2 serves at once and keeps no watch over,
since EC2 knows which of many offerings is had, and lasts, better than we could find out by asking.

What keeps a machine from being launched twice, in the order in which it takes hold:

- each machine is tagged with its token in the same call that makes it, and nothing is launched for a token that a
  machine carries;
- for the seconds in which a new machine is not to be seen yet, the memory of this process, and EC2's own client tokens;
- what was asked for last without an answer is asked for first when the token comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from stratos.apis.labels import TAG_LAUNCH_TOKEN
from stratos.base.clock import Clock
from stratos.base.errors import InsufficientCapacity, StratosError, Unavailable
from stratos.catalog.catalog import Catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.errors import AskedBefore, ProfileUnseen, TemplateMissing, refusal
from stratos.providers.aws.instances import Instances, price, provider_id, read_instance
from stratos.providers.aws.requests import (
    Order,
    Round,
    create_fleet,
    is_for_fleet,
    rounds,
    run_instances,
    template_content,
)
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.aws.templates import LaunchTemplates
from stratos.providers.aws.tries import Tries
from stratos.providers.aws.user_data import user_data
from stratos.providers.contract import LaunchRequest, Machine, MachineGone, MachineState, OfferingKey, OutOfStock

_UNTIL_PROFILES_ARE_SEEN_SECONDS = (1.0, 2.0, 4.0, 8.0, 8.0)

_Ask = Callable[[Order, Round, str], Awaitable[Machine]]


class Launching:
    def __init__(
        self,
        clients: AwsClients,
        instances: Instances,
        templates: LaunchTemplates,
        *,
        catalog: Catalog,
        cluster: ClusterAccess,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._instances = instances
        self._templates = templates
        self._catalog = catalog
        self._cluster = cluster
        self._clock = clock
        self._tries = Tries(clock)

    async def launch(self, request: LaunchRequest) -> Machine:
        machine = await self._launched(request.token)
        if machine is None:
            try:
                machine = await self._ask(request)
            except (AskedBefore, MachineGone) as error:
                machine = await self._launched(request.token)
                if machine is None:
                    raise self._not_to_be_seen(request, error) from error
            self._tries.launched(request.token, machine)
        return machine

    async def _launched(self, token: str) -> Machine | None:
        instance = await self._instances.by_launch_token(token)
        return instance.machine if instance else self._tries.machine(token)

    def _not_to_be_seen(self, request: LaunchRequest, error: StratosError) -> StratosError:
        if isinstance(error, MachineGone):
            return error  # so long ago that EC2 has forgotten all but its token
        self._tries.asked_before(request.token)
        return Unavailable(f"a machine was asked for before, and is not to be seen yet: {error.message}")

    async def _ask(self, request: LaunchRequest) -> Machine:
        settings = AwsSettings.from_settings(request.settings)
        order = Order(request, settings, user_data(request.bootstrap, settings, self._cluster))
        ask = self._ask_fleet if is_for_fleet(request) else self._run
        tried: list[OfferingKey] = []
        refused: InsufficientCapacity | None = None
        for places in self._tries.unanswered_first(request.token, rounds(request)):
            try:
                return await self._patiently(ask, order, places)
            except InsufficientCapacity as error:
                refused = refused or error
            tried += (place.offering(request.capacity_type) for place in places)
        raise OutOfStock(
            f"no {request.capacity_type} machine to be had among {len(tried)} offerings"
            + (f"; {refused.message}" if refused else ""),
            tried=tuple(tried),
            hint=refused.hint if refused else "give the node class subnets",
        ) from refused

    async def _patiently(self, ask: _Ask, order: Order, places: Round) -> Machine:
        """Ask again while EC2 has not heard of a profile that was just made: its class is new, and has none but it."""
        for pause_seconds in _UNTIL_PROFILES_ARE_SEEN_SECONDS:
            try:
                with self._tries.asking(order.request.token, places) as attempt:
                    return await ask(order, places, attempt)
            except ProfileUnseen:
                await asyncio.sleep(pause_seconds)
        with self._tries.asking(order.request.token, places) as attempt:
            return await ask(order, places, attempt)

    async def _run(self, order: Order, places: Round, attempt: str) -> Machine:
        parameters = run_instances(order, places[0], attempt=attempt)
        answer = await self._clients.call("ec2", "run_instances", **parameters)
        return read_instance(answer["Instances"][0], self._catalog).machine

    async def _ask_fleet(self, order: Order, places: Round, attempt: str) -> Machine:
        content = template_content(order, self._cluster.name)
        try:
            return await self._fleet(order, places, content, attempt)
        except TemplateMissing:  # somebody deleted it
            self._templates.forget(content)
            return await self._fleet(order, places, content, attempt)

    async def _fleet(self, order: Order, places: Round, content: Mapping[str, Any], attempt: str) -> Machine:
        template = await self._templates.name_of(content)
        parameters = create_fleet(order, places, template, attempt=attempt)
        answer = await self._clients.call("ec2", "create_fleet", **parameters)
        launched = next((group for group in answer.get("Instances", ()) if group.get("InstanceIds")), None)
        if launched is None:
            self._tries.refused(order.request.token)  # whatever the reasons are: the answer sticks to the client token
            raise self._why_none(answer.get("Errors", ()))
        return self._new_machine(order.request, places, launched)

    def _why_none(self, errors: Iterable[Mapping[str, Any]]) -> StratosError:
        """A fleet says why for each offering. That one has no stock tells less than any other reason."""
        refusals = [
            refusal(
                error.get("ErrorCode", ""),
                error.get("ErrorMessage", ""),
                service="ec2",
                operation="create_fleet",
                region=self._clients.region,
            )
            for error in errors
        ]
        if not refusals:
            return InsufficientCapacity("the fleet was given no machine, and no reason")
        return next((each for each in refusals if not isinstance(each, InsufficientCapacity)), refusals[0])

    def _new_machine(self, request: LaunchRequest, places: Round, launched: Mapping[str, Any]) -> Machine:
        """A fleet's answer names its machine and where it is; a look at it might come too early to find it."""
        machine_id = launched["InstanceIds"][0]
        subnet_id = launched["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"]
        zone = next(place.subnet.zone for place in places if place.subnet.id == subnet_id)
        return Machine(
            id=machine_id,
            provider_id=provider_id(zone, machine_id),
            state=MachineState.PENDING,
            instance_type=launched["InstanceType"],
            zone=zone,
            capacity_type=request.capacity_type,
            image=request.image,
            tags={**request.tags, TAG_LAUNCH_TOKEN: request.token},
            launched_at=self._clock.now(),
            price_usd_per_hour=price(self._catalog, launched["InstanceType"], zone, request.capacity_type),
        )
