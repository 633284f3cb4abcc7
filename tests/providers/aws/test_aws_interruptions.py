"""What EventBridge puts on the queue comes out as notices, and nothing gets lost or stuck on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from providers.aws.ec2_builders import a_provider, a_request
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.interruptions import InterruptionQueue, interruptions_in
from stratos.providers.contract import InterruptionKind
from stratos.testing.aws import LoopbackAws

AT = datetime(2027, 3, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 10.0


def an_event(kind: str, **detail: object) -> str:
    return msgspec.json.encode({"detail-type": kind, "time": "2027-03-01T12:00:00Z", "detail": detail}).decode()


def test_a_spot_interruption_takes_the_machine_two_minutes_after_the_event() -> None:
    """The event does not say when; how much time pods have is counted from here."""
    event = an_event("EC2 Spot Instance Interruption Warning", **{"instance-id": "i-1", "instance-action": "terminate"})

    (notice,) = interruptions_in(event)

    assert (notice.machine_id, notice.kind) == ("i-1", InterruptionKind.SPOT_INTERRUPTION)
    assert (notice.noticed_at, notice.deadline) == (AT, AT + timedelta(minutes=2))


def test_a_scheduled_change_names_every_machine_on_the_host_and_its_date() -> None:
    """One event may be about several machines; each of them is to be left before."""
    event = an_event(
        "AWS Health Event",
        service="EC2",
        eventTypeCategory="scheduledChange",
        startTime="Mon, 15 Mar 2027 06:00:00 GMT",
        affectedEntities=[{"entityValue": "i-1"}, {"entityValue": "i-2", "tags": {}}],
    )

    notices = interruptions_in(event)

    assert [notice.machine_id for notice in notices] == ["i-1", "i-2"]
    assert {notice.deadline for notice in notices} == {datetime(2027, 3, 15, 6, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("EC2 Instance Rebalance Recommendation", InterruptionKind.REBALANCE_RECOMMENDATION),
        ("EC2 Instance State-change Notification", InterruptionKind.STATE_CHANGE),
    ],
)
def test_advice_and_changes_of_state_have_no_deadline(kind: str, expected: InterruptionKind) -> None:
    """Nobody has to hurry for them."""
    (notice,) = interruptions_in(an_event(kind, **{"instance-id": "i-1", "state": "stopped"}))

    assert (notice.kind, notice.deadline) == (expected, None)


@pytest.mark.parametrize(
    "event",
    [
        an_event("EC2 Spot Instance Request Fulfillment"),
        an_event("AWS Health Event", service="RDS", eventTypeCategory="scheduledChange"),
        an_event("AWS Health Event", service="EC2", eventTypeCategory="issue"),
    ],
)
def test_events_that_are_none_of_ours_say_nothing(event: str) -> None:
    """A rule may let through more than was meant."""
    assert interruptions_in(event) == ()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        an_event("EC2 Spot Instance Interruption Warning"),
        an_event("AWS Health Event", service="EC2", eventTypeCategory="scheduledChange", startTime="soon"),
        '{"detail-type": "EC2 Spot Instance Interruption Warning", "time": "noon", "detail": {"instance-id": "i-1"}}',
    ],
)
def test_what_is_no_event_is_refused(body: str) -> None:
    """It is told apart from what is merely none of ours, and logged."""
    with pytest.raises(ValueError):
        interruptions_in(body)


async def visible(aws: LoopbackAws, clients: AwsClients) -> int:
    """How many messages the queue would hand out to another reader."""
    url = (await clients.call("sqs", "get_queue_url", QueueName=aws.account.queue_name))["QueueUrl"]
    answer = await clients.call("sqs", "receive_message", QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
    return len(answer.get("Messages", []))


def calls(aws: LoopbackAws, operation: str) -> int:
    return len([call for call in aws.calls if call.operation == operation])


async def wait_calls(aws: LoopbackAws, operation: str, number: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while calls(aws, operation) < number:  # noqa: ASYNC110 - they are made elsewhere
            await asyncio.sleep(0.02)


async def a_machine(aws: LoopbackAws, name: str) -> str:
    return (await a_provider(aws).launch(a_request(aws, name))).id


def test_b56_all_four_kinds_come_through_the_queue_past_what_is_malformed(
    aws_loop: asyncio.Runner, aws: LoopbackAws
) -> None:
    """A message that nobody understands must not be in the way of those behind it, nor come back for ever."""

    async def listen() -> None:
        clients = AwsClients(region=aws.region, endpoint_url=aws.endpoint_url)
        machine = await a_machine(aws, "told-of")
        await aws.notices.raw("no event at all")
        await aws.interrupt(machine)
        await aws.rebalance(machine)
        await aws.schedule_change(machine, AT)
        await aws.notices.state_change(aws.instances.by_id[machine])

        heard: set[InterruptionKind] = set()
        notices = InterruptionQueue(clients, aws.account.queue_name, long_poll_seconds=1).notices()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while heard != set(InterruptionKind):
                heard.add((await anext(notices)).kind)
        clients.close()

    aws_loop.run(listen())


def test_b56_a_notice_is_deleted_only_once_the_next_is_asked_for(aws_loop: asyncio.Runner, aws: LoopbackAws) -> None:
    """A crash between hearing and recording brings the notice again; afterwards it is gone."""

    async def listen() -> None:
        clients = AwsClients(region=aws.region, endpoint_url=aws.endpoint_url)
        machine = await a_machine(aws, "told-once")
        await aws.rebalance(machine)
        before = calls(aws, "DeleteMessageBatch")

        notices = InterruptionQueue(clients, aws.account.queue_name, long_poll_seconds=0).notices()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await anext(notices)).machine_id != machine:
                before = calls(aws, "DeleteMessageBatch")  # of what others have left there
        assert calls(aws, "DeleteMessageBatch") == before
        asking = asyncio.ensure_future(anext(notices))
        await wait_calls(aws, "DeleteMessageBatch", before + 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await visible(aws, clients) == 0
        clients.close()

    aws_loop.run(listen())


def test_a_queue_that_is_not_there_is_asked_for_again(aws_loop: asyncio.Runner, aws: LoopbackAws) -> None:
    """It may be made later, and machines are found gone without it, only not in advance."""

    async def listen() -> None:
        clients = AwsClients(region=aws.region, endpoint_url=aws.endpoint_url)
        asking = asyncio.ensure_future(anext(InterruptionQueue(clients, "no-such-queue").notices()))
        await wait_calls(aws, "GetQueueUrl", 2)
        assert not asking.done()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        clients.close()

    aws_loop.run(listen())
