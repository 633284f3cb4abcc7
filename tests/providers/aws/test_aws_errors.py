"""A code of AWS is read once, here; everybody else decides by the contract's errors and shows their words to people."""

from __future__ import annotations

import pytest
from botocore import exceptions as sdk  # type: ignore[import-untyped]

from stratos.base.errors import (
    Forbidden,
    InsufficientCapacity,
    Invalid,
    QuotaExceeded,
    StratosError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from stratos.providers.aws.errors import AskedBefore, translated
from stratos.providers.contract import MachineBusy, MachineGone, MachineNotFound, NotStoppable

CODES: dict[str, type[StratosError]] = {
    "InsufficientInstanceCapacity": InsufficientCapacity,
    "InsufficientHostCapacity": InsufficientCapacity,
    "UnfulfillableCapacity": InsufficientCapacity,
    "SpotMaxPriceTooLow": InsufficientCapacity,
    "InsufficientFreeAddressesInSubnet": InsufficientCapacity,
    "Unsupported": InsufficientCapacity,
    "MaxSpotInstanceCountExceeded": QuotaExceeded,
    "VcpuLimitExceeded": QuotaExceeded,
    "InstanceLimitExceeded": QuotaExceeded,
    "RequestLimitExceeded": Throttled,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "UnauthorizedOperation": Forbidden,
    "AccessDenied": Forbidden,
    "AuthFailure": Unauthorized,
    "ExpiredToken": Unauthorized,
    "RequestExpired": Unauthorized,
    "InvalidClientTokenId": Unauthorized,
    "InvalidAMIID.NotFound": Invalid,
    "InvalidAMIID.Malformed": Invalid,
    "InvalidSubnetID.NotFound": Invalid,
    "InvalidGroup.NotFound": Invalid,
    "InvalidParameterValue": Invalid,
    "InvalidInstanceID.NotFound": MachineNotFound,
    "InvalidInstanceID.Malformed": MachineNotFound,
    "IncorrectInstanceState": MachineBusy,
    "IdempotentParameterMismatch": AskedBefore,
    "IdempotentInstanceTerminated": MachineGone,
    "InternalError": Unavailable,
    "ServiceUnavailable": Unavailable,
}


def answered(code: str, message: str = "No.", *, operation: str = "run_instances", status: int = 400) -> StratosError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = sdk.ClientError(response, operation)
    return translated(error, service="ec2", operation=operation, region="us-east-1")


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_what_callers_can_act_on(code: str) -> None:
    """A stock-out tries the next offering, a quota tells people, a throttle slows down: they must not be mixed up."""
    error = answered(code)

    assert type(error) is CODES[code]
    assert "ec2:RunInstances" in error.message and code in error.message
    assert error.looked_at == ("region us-east-1",)


def test_a_stock_out_is_one_although_ec2_reports_it_as_a_failure_of_its_own() -> None:
    """It comes with status 500; read by that, nobody would know that nothing was launched."""
    assert isinstance(answered("InsufficientInstanceCapacity", status=500), InsufficientCapacity)


def test_what_nobody_has_heard_of_is_read_by_its_status() -> None:
    """After a failure of the server, the call may have taken effect: its token must come again."""
    assert type(answered("NovelTrouble", status=503)) is Unavailable
    assert type(answered("NovelRefusal", status=400)) is Invalid


def test_a_denied_call_names_the_action_that_was_missing_and_who_grants_it() -> None:
    """A launch needs rights under several names, and AWS adds a kilobyte of what only it can read."""
    error = answered(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/stratos/x is not "
        "authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/nodes because no identity-based policy "
        "allows the iam:PassRole action. Encoded authorization failure message: Zm9vYmFy",
    )

    assert error.message == "iam:PassRole was refused: not allowed on arn:aws:iam::1:role/nodes (UnauthorizedOperation)"
    assert error.hint is not None and "--print-iam-policy" in error.hint


def test_a_denial_that_names_nothing_is_one_of_the_call() -> None:
    error = answered("UnauthorizedOperation", "You are not authorized to perform this operation.")

    assert error.message.startswith("ec2:RunInstances was refused")


def test_a_spot_machine_that_ec2_will_not_stop_is_not_stoppable() -> None:
    """On other calls, the same code says something else."""
    said = "You can't stop the Spot Instance 'i-1' because it is associated with a one-time Spot Instance request."

    assert type(answered("UnsupportedOperation", said, operation="stop_instances")) is NotStoppable
    assert type(answered("UnsupportedOperation", said)) is Invalid


def test_a_machine_too_new_to_hibernate_is_asked_again_later() -> None:
    """The same code as for spot machines, and yet it passes: pools stop machines soon after their boot."""
    said = "The instance 'i-1' is not ready to hibernate yet, retry in a few minutes"

    assert type(answered("UnsupportedOperation", said, operation="stop_instances")) is MachineBusy


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (sdk.NoCredentialsError(), Unauthorized),
        (sdk.CredentialRetrievalError(provider="web-identity", error_msg="denied"), Unauthorized),
        (sdk.NoRegionError(), Invalid),
        (sdk.ParamValidationError(report="Invalid type for parameter ImageId"), Invalid),
        (sdk.EndpointConnectionError(endpoint_url="https://ec2.us-esat-1.amazonaws.com/"), Unavailable),
        (sdk.ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com/"), Unavailable),
        (sdk.ConnectionClosedError(endpoint_url="https://ec2.us-east-1.amazonaws.com/"), Unavailable),
        (OSError("no route to host"), Unavailable),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_sdk_giving_up_by_itself_is_told_apart_too(error: Exception, family: type[StratosError]) -> None:
    """Without credentials nothing was asked; without an answer, nobody knows."""
    found = translated(error, service="ec2", operation="run_instances", region="us-east-1")

    assert type(found) is family
    assert "ec2:RunInstances" in found.message and "us-east-1" in found.message
