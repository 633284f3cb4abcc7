"""What EC2 shows of instances and images: moto's answers with the states, times and filters that are true here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from stratos.providers.contract import MachineState
from stratos.testing.aws import xml
from stratos.testing.aws.account import AwsAccount
from stratos.testing.aws.faults import AwsFaults
from stratos.testing.aws.instances import Instance

_CODES = {
    MachineState.PENDING: 0,
    MachineState.RUNNING: 16,
    MachineState.SHUTTING_DOWN: 32,
    MachineState.TERMINATED: 48,
    MachineState.STOPPING: 64,
    MachineState.STOPPED: 80,
}
# moto knows them not, or not the truth
_OWN_FILTERS = {"client-token", "instance-state-name", "instance-lifecycle", "architecture"}


class Views:
    def __init__(self, instances: Mapping[str, Instance], account: AwsAccount, faults: AwsFaults) -> None:
        self._instances = instances
        self._account = account
        self._faults = faults

    def is_seen(self, instance_id: str) -> bool:
        return instance_id in self._instances and instance_id not in self._faults.unseen

    def of_instances(self, body: bytes, own: Mapping[str, set[str]]) -> bytes:
        """An answer of DescribeInstances, filtered by ``own`` filters too."""
        root = xml.parse(body)
        reservations = xml.child(root, "reservationSet")
        for reservation in list(xml.items(root, "reservationSet")):
            instances = xml.child(reservation, "instancesSet")
            assert instances is not None and reservations is not None
            for item in list(instances):
                self.put_right(item)
                if not _passes(item, own) or not self.is_seen(xml.text(item, "instanceId")):
                    instances.remove(item)
            if not len(instances):
                reservations.remove(reservation)
        return xml.render(root)

    def put_right(self, item: Element) -> None:
        """Of an instance, all that moto believes to have happened at once."""
        instance = self._instances.get(xml.text(item, "instanceId"))
        if instance is None:
            return
        code, _, message = instance.reason.partition(": ")
        xml.put(item, "instanceState", state_of(instance.state))
        xml.put(item, "launchTime", _time(instance.launched_at))
        xml.put(item, "clientToken", instance.client_token)
        xml.put(item, "stateReason", {"code": code, "message": f"{code}: {message}"} if code else {})

    def of_images(self, body: bytes, own: Mapping[str, set[str]]) -> bytes:
        """An answer of DescribeImages. moto believes that all were made just now, and forgets what they are for."""
        root = xml.parse(body)
        images = xml.child(root, "imagesSet")
        for item in list(xml.items(root, "imagesSet")):
            image = xml.text(item, "imageId")
            if image in self._account.image_dates:
                xml.put(item, "creationDate", _time(self._account.image_dates[image]))
                xml.put(item, "architecture", self._account.image_architectures[image])
            if images is not None and not _passes(item, own):
                images.remove(item)
        return xml.render(root)


def part_filters(form: Mapping[str, str]) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The form with only the filters that moto understands, and the others by name."""
    filters: dict[str, dict[str, str]] = {}
    kept: dict[str, str] = {}
    for key, value in form.items():
        if key.startswith("Filter."):
            _, number, rest = key.split(".", 2)
            filters.setdefault(number, {})[rest] = value
        else:
            kept[key] = value
    own: dict[str, set[str]] = {}
    theirs = 0
    for each in filters.values():
        if each["Name"] in _OWN_FILTERS:
            own[each["Name"]] = {value for key, value in each.items() if key.startswith("Value.")}
            continue
        theirs += 1
        kept |= {f"Filter.{theirs}.{key}": value for key, value in each.items()}
    return kept, own


def _passes(item: Element, own: Mapping[str, set[str]]) -> bool:
    return all(_answer_to(name, item) in values for name, values in own.items())


def _answer_to(name: str, item: Element) -> str:
    match name:
        case "client-token":
            return xml.text(item, "clientToken")
        case "architecture":
            return xml.text(item, "architecture")
        case "instance-state-name":
            return xml.text(item, "instanceState", "name")
        case _:
            return xml.text(item, "instanceLifecycle")


def state_of(state: MachineState) -> dict[str, str]:
    """As EC2 writes it."""
    return {"code": str(_CODES[state]), "name": str(state)}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
