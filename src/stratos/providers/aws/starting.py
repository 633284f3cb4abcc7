"""Starting a stopped machine, once for each token.

StartInstances knows no tokens, so the machine keeps them: before it is started, it is tagged with the token and with
the launch time that EC2 showed. EC2 sets that time anew at each start. Asked again with the token on the tag, the
machine has been started for it if and only if its launch time is another by now; a crash between tagging and starting
starts nothing and loses nothing.
"""

from __future__ import annotations

from stratos.apis.labels import TAG_START_LAUNCH_TIME, TAG_START_TOKEN
from stratos.base.errors import InsufficientCapacity
from stratos.providers.aws.clients import AwsClients
from stratos.providers.contract import Machine, MachineBusy, MachineState, OfferingKey, OutOfStock


async def start(clients: AwsClients, machine: Machine, token: str) -> None:
    """``machine`` is one that is not gone, as it was just seen."""
    if machine.state is MachineState.STOPPING:
        raise MachineBusy(f"machine {machine.id} is still stopping", hint="start it once it is stopped")
    if machine.state is not MachineState.STOPPED or _was_started(machine, token):
        return
    tags = {TAG_START_TOKEN: token, TAG_START_LAUNCH_TIME: machine.launched_at.isoformat()}
    await clients.call(
        "ec2",
        "create_tags",
        Resources=[machine.id],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    try:
        await clients.call("ec2", "start_instances", InstanceIds=[machine.id])
    except InsufficientCapacity as error:
        offering = OfferingKey(machine.instance_type, machine.zone, machine.capacity_type)
        raise OutOfStock(f"machine {machine.id} cannot start: {error.message}", tried=(offering,)) from error


def _was_started(machine: Machine, token: str) -> bool:
    before = machine.tags.get(TAG_START_LAUNCH_TIME)
    return machine.tags.get(TAG_START_TOKEN) == token and before != machine.launched_at.isoformat()
