"""What EC2 would refuse of a class at its first launch is refused when the class is handed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bad_input.furnished_api import AWS_CLASSES, FurnishedApi, Obj, an_aws_class, furnished_api

PLAIN: Obj = {"deviceName": "/dev/xvda", "volumeSize": 80}
ENCRYPTED: Obj = PLAIN | {"encrypted": True}


@pytest.fixture
def api() -> Iterator[FurnishedApi]:
    with furnished_api() as furnished:
        yield furnished


@pytest.mark.parametrize("disks", [None, [], [PLAIN], [PLAIN | {"encrypted": False}], [PLAIN, ENCRYPTED]])
def test_a_class_that_hibernates_needs_an_encrypted_first_disk(api: FurnishedApi, disks: list[Obj] | None) -> None:
    """The memory of a machine is kept there, with all secrets in it."""
    reply = api.call("POST", AWS_CLASSES, body=an_aws_class(hibernation=True, blockDeviceMappings=disks))

    assert (reply.code, reply.obj["reason"]) == (422, "Invalid")
    assert "whose first volume is encrypted" in reply.obj["message"]


def test_with_one_it_is_accepted(api: FurnishedApi) -> None:
    reply = api.call("POST", AWS_CLASSES, body=an_aws_class(hibernation=True, blockDeviceMappings=[ENCRYPTED, PLAIN]))

    assert reply.code == 201
