"""EC2 as it is, in front of moto's: client tokens, states that take time, launches that are refused.

Each handler looks whether EC2 would do it, has moto do it, and puts right what moto says of instances. Operations
that have no handler go to moto as they are.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from stratos.catalog.catalog import Catalog
from stratos.providers.contract import CapacityType, MachineState, OfferingKey
from stratos.providers.simulated.host import HostDisk
from stratos.testing.aws import xml
from stratos.testing.aws.account import AwsAccount
from stratos.testing.aws.calls import AwsCall, AwsError
from stratos.testing.aws.faults import AwsFaults
from stratos.testing.aws.instances import USER_SHUTDOWN, Instance, Instances
from stratos.testing.aws.launching import Sales, Wish
from stratos.testing.aws.moto import Moto
from stratos.testing.aws.views import Views, part_filters, state_of

Forward = Callable[[Mapping[str, str]], Awaitable[tuple[int, bytes]]]
"""Hands a form to moto as the caller would have, and returns its answer."""


@dataclass(frozen=True, slots=True)
class _Answered:
    form: Mapping[str, str]
    body: bytes


class Ec2:
    def __init__(
        self, moto: Moto, instances: Instances, account: AwsAccount, catalog: Catalog, faults: AwsFaults
    ) -> None:
        self.launches: Counter[str] = Counter()  # instances by client token
        self._moto = moto
        self._faults = faults
        self._instances = instances
        self._sales = Sales(moto, catalog, faults, instances.by_id)
        self._views = Views(instances.by_id, account, faults)
        self._launching = asyncio.Lock()
        self._answered: dict[tuple[str, str, str], _Answered] = {}
        self._handlers: Mapping[str, Callable[[AwsCall, Forward], Awaitable[tuple[int, bytes]]]] = {
            "RunInstances": self._run_instances,
            "CreateFleet": self._create_fleet,
            "StartInstances": self._start_instances,
            "StopInstances": self._stop_instances,
            "TerminateInstances": self._terminate_instances,
            "CreateTags": self._create_tags,
            "DescribeInstances": self._describe_instances,
            "DescribeImages": self._describe_images,
        }

    async def answer(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        handler = self._handlers.get(call.operation)
        return await (handler(call, forward) if handler else forward(call.parameters))

    # --- launches ---

    async def _run_instances(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        async with self._launching:
            body = self._answered_before(call)
            if body is None:
                wish = await self._sales.wish_of_run(call.parameters)
                await self._sales.check(wish)
                # moto takes the image of a template, and looks at none
                status, body = await forward({"ImageId": wish.image, **call.parameters})
                if status >= 300:
                    return status, body
                for item in xml.items(xml.parse(body), "instancesSet"):
                    await self._launched(call, xml.text(item, "instanceId"))
                self._remember(call, body)
        root = xml.parse(body)
        for item in xml.items(root, "instancesSet"):
            self._views.put_right(item)
        return 200, xml.render(root)

    async def _create_fleet(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        """As EC2 does, the first override that can be had is launched, and the others are not tried."""
        async with self._launching:
            body = self._answered_before(call)
            if body is not None:
                return 200, body
            refused: list[tuple[Wish, AwsError]] = []
            for wish in await self._sales.wishes_of_fleet(call.parameters):
                try:
                    await self._sales.check(wish)
                except AwsError as error:
                    refused.append((wish, error))
                    continue
                status, body = await forward(_fleet_of(call.parameters, wish))
                if status >= 300:
                    return status, body
                fleet = xml.parse(body)
                for item in xml.items(fleet, "fleetInstanceSet"):
                    for instance_id in xml.items(item, "instanceIds"):
                        await self._launched(call, instance_id.text or "")
                break
            else:
                fleet = _empty_fleet(call)
            _put_errors(fleet, refused)
            body = xml.render(fleet)
            self._remember(call, body)
            return 200, body

    def _answered_before(self, call: AwsCall) -> bytes | None:
        token = call.parameters.get("ClientToken")
        before = self._answered.get((call.region, call.operation, token)) if token else None
        if before is None:
            return None
        if before.form != call.parameters:
            raise AwsError(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return before.body

    def _remember(self, call: AwsCall, body: bytes) -> None:
        if token := call.parameters.get("ClientToken"):
            self._answered[call.region, call.operation, token] = _Answered(dict(call.parameters), body)

    async def _launched(self, call: AwsCall, instance_id: str) -> None:
        root = await self._moto.ec2("DescribeInstances", {"InstanceId.1": instance_id})
        item = next(xml.items(next(xml.items(root, "reservationSet")), "instancesSet"))
        token = call.parameters.get("ClientToken", "")
        self.launches[token] += 1
        spot = xml.text(item, "instanceLifecycle") == "spot"
        sizes = await self._volume_sizes(item)
        self._instances.launch(
            Instance(
                id=instance_id,
                region=call.region,
                offering=OfferingKey(
                    xml.text(item, "instanceType"),
                    xml.text(item, "placement", "availabilityZone"),
                    CapacityType.SPOT if spot else CapacityType.ON_DEMAND,
                ),
                image=xml.text(item, "imageId"),
                private_ip=xml.text(item, "privateIpAddress"),
                hostname=xml.text(item, "privateDnsName"),
                launched_at=self._instances.launch_time(),
                client_token=token if call.operation == "RunInstances" else f"{token}-fleet",
                tags={xml.text(tag, "key"): xml.text(tag, "value") for tag in xml.items(item, "tagSet")},
                disk=HostDisk(sizes[0] if sizes else 20),
            )
        )

    async def _volume_sizes(self, item: Element) -> list[int]:
        volumes = [xml.text(each, "ebs", "volumeId") for each in xml.items(item, "blockDeviceMapping")]
        named = {f"VolumeId.{number}": volume for number, volume in enumerate(volumes, 1)}
        root = await self._moto.ec2("DescribeVolumes", named)
        sizes = {xml.text(each, "volumeId"): int(xml.text(each, "size") or 0) for each in xml.items(root, "volumeSet")}
        return [sizes[volume] for volume in volumes if sizes.get(volume)]

    # --- changes ---

    async def _start_instances(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        stopped = []
        for instance in self._named(call):
            if instance.state is MachineState.STOPPED:
                self._sales.check_start(instance.offering)
                stopped.append(instance)
            elif instance.state not in (MachineState.PENDING, MachineState.RUNNING):
                raise _wrong_state(instance, "started")
        return await self._change(call, forward, stopped, self._instances.start)

    async def _stop_instances(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        force = call.parameters.get("Force") == "true"
        up = []
        for instance in self._named(call):
            if instance.spot and not instance.state.gone:
                raise AwsError(
                    "UnsupportedOperation",
                    f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot "
                    "Instance request. You can only stop Spot Instances associated with persistent Spot Instance "
                    "requests.",
                )
            if instance.state is MachineState.RUNNING or (force and instance.state is MachineState.STOPPING):
                up.append(instance)
            elif instance.state not in (MachineState.STOPPING, MachineState.STOPPED):
                raise _wrong_state(instance, "stopped")
        return await self._change(
            call, forward, up, lambda instance: self._instances.stop(instance, USER_SHUTDOWN, force=force)
        )

    async def _terminate_instances(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        return await self._change(
            call, forward, self._named(call), lambda instance: self._instances.terminate(instance, USER_SHUTDOWN)
        )

    async def _create_tags(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        """moto tags what does not exist."""
        for key, value in call.parameters.items():
            if key.startswith("ResourceId.") and value.startswith("i-") and not self._views.is_seen(value):
                raise _not_found(value)
        return await forward(call.parameters)

    async def _change(
        self, call: AwsCall, forward: Forward, instances: list[Instance], change: Callable[[Instance], None]
    ) -> tuple[int, bytes]:
        before = {instance.id: instance.state for instance in self._named(call)}
        status, body = await forward(call.parameters)
        if status >= 300:
            return status, body
        for instance in instances:
            change(instance)
        root = xml.parse(body)
        for item in xml.items(root, "instancesSet"):
            instance_id = xml.text(item, "instanceId")
            if instance_id in before:
                xml.put(item, "previousState", state_of(before[instance_id]))
                xml.put(item, "currentState", state_of(self._instances.by_id[instance_id].state))
        return 200, xml.render(root)

    def _named(self, call: AwsCall) -> list[Instance]:
        """The instances that a call names, as far as there are any of that id; moto complains of the others."""
        ids = [value for key, value in call.parameters.items() if key.startswith("InstanceId.")]
        unseen = next((each for each in ids if each in self._faults.unseen), None)
        if unseen:
            raise _not_found(unseen)
        return [self._instances.by_id[each] for each in ids if each in self._instances.by_id]

    # --- looking ---

    async def _describe_instances(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        form, own = part_filters(call.parameters)
        status, body = await forward(form)
        return status, body if status >= 300 else self._views.of_instances(body, own)

    async def _describe_images(self, call: AwsCall, forward: Forward) -> tuple[int, bytes]:
        form, own = part_filters(call.parameters)
        status, body = await forward(form)
        return status, body if status >= 300 else self._views.of_images(body, own)


def _fleet_of(form: Mapping[str, str], wish: Wish) -> dict[str, str]:
    """The same fleet, with one override: moto has views of its own on which to take."""
    kept = {key: value for key, value in form.items() if not key.startswith("LaunchTemplateConfigs.")}
    first = "LaunchTemplateConfigs.1"
    template = {f"{first}.LaunchTemplateSpecification.{key}": value for key, value in wish.template.items()}
    override = {f"{first}.Overrides.1.{key}": value for key, value in wish.override.items()}
    return {**kept, **template, **override}


def _empty_fleet(call: AwsCall) -> Element:
    root = xml.new("CreateFleetResponse")
    xml.put(root, "fleetId", f"fleet-{uuid.uuid5(uuid.NAMESPACE_OID, repr(call.parameters))}")
    xml.grow(root, "fleetInstanceSet")
    return root


def _put_errors(fleet: Element, refused: list[tuple[Wish, AwsError]]) -> None:
    errors = xml.grow(fleet, "errorSet")
    for wish, error in refused:
        item = xml.grow(errors, "item")
        xml.put(item, "errorCode", error.code)
        xml.put(item, "errorMessage", error.message)
        xml.put(item, "lifecycle", str(wish.capacity_type))
        both = xml.grow(item, "launchTemplateAndOverrides")
        xml.put(both, "overrides", {"instanceType": wish.instance_type, "subnetId": wish.subnet})


def _not_found(instance_id: str) -> AwsError:
    return AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")


def _wrong_state(instance: Instance, wish: str) -> AwsError:
    return AwsError(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {wish}. It is {instance.state}.",
    )


def form_body(form: Mapping[str, str]) -> bytes:
    return urlencode(form).encode()
