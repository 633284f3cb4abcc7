"""What AWS answers instead of doing as asked, said in the contract's words.

AWS tells its errors apart by codes, a few hundred of them; the table holds those that a caller of ours can act on.
Whatever is not in it is read by its HTTP status: the server's own failures mean that nobody knows what happened, all
else that the request was refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from botocore import exceptions as sdk  # type: ignore[import-untyped]

from stratos.base.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    InsufficientCapacity,
    Invalid,
    NotFound,
    NotReady,
    QuotaExceeded,
    StratosError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from stratos.providers.contract import MachineBusy, MachineGone, MachineNotFound, NotStoppable


class AskedBefore(Conflict):
    """The client token was used before, in other words."""


class TemplateMissing(NotFound):
    """The launch template is not there (any more)."""


class ProfileUnseen(NotReady):
    """EC2 does not know the instance profile, as for some seconds after IAM made it."""


class _Meaning(NamedTuple):
    family: type[StratosError]
    hint: str | None = None


_STOCK_OUT = _Meaning(InsufficientCapacity, "allow more instance types or zones, or wait")
_QUOTA = _Meaning(QuotaExceeded, "ask AWS for a higher limit on the Service Quotas console, or allow other types")
_TOO_FAST = _Meaning(Throttled, "lower STRATOS_AWS_RATE_LIMIT_QPS if others share the account")
_DENIED = _Meaning(Forbidden, "attach the policy that `stratos install --print-iam-policy` prints")
_WHO = _Meaning(Unauthorized, "check the credentials of the controller, and that the region is enabled in the account")
_EXPIRED = _Meaning(Unauthorized, "renew the credentials; roles for service accounts renew theirs by themselves")
_DOWN = _Meaning(Unavailable)
_BETWEEN = _Meaning(MachineBusy, "it is between two states: ask again in a few seconds")
_TOO_NEW_TO_HIBERNATE = _Meaning(MachineBusy, "a machine can hibernate from a few minutes after its boot")

_MEANINGS: Mapping[str, _Meaning] = {
    # Nothing to be had there, now
    "InsufficientInstanceCapacity": _STOCK_OUT,
    "InsufficientHostCapacity": _STOCK_OUT,
    "InsufficientReservedInstanceCapacity": _STOCK_OUT,
    "InsufficientCapacity": _STOCK_OUT,
    "UnfulfillableCapacity": _STOCK_OUT,
    "SpotMaxPriceTooLow": _Meaning(InsufficientCapacity, "raise spotConfig.maxPrice, or leave it out"),
    "InsufficientFreeAddressesInSubnet": _Meaning(InsufficientCapacity, "allow further subnets, or larger ones"),
    "Unsupported": _Meaning(InsufficientCapacity, "that zone does not have the type: allow other zones or types"),
    # Limits of the account
    "MaxSpotInstanceCountExceeded": _QUOTA,
    "VcpuLimitExceeded": _QUOTA,
    "InstanceLimitExceeded": _QUOTA,
    "VolumeLimitExceeded": _QUOTA,
    "MaxIOPSLimitExceeded": _QUOTA,
    # Too fast
    "RequestLimitExceeded": _TOO_FAST,
    "Throttling": _TOO_FAST,
    "ThrottlingException": _TOO_FAST,
    "ThrottledException": _TOO_FAST,
    "RequestThrottled": _TOO_FAST,
    "RequestThrottledException": _TOO_FAST,
    "TooManyRequestsException": _TOO_FAST,
    "EC2ThrottledException": _TOO_FAST,
    "BandwidthLimitExceeded": _TOO_FAST,
    # Not allowed
    "UnauthorizedOperation": _DENIED,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "AuthorizationError": _DENIED,
    "OptInRequired": _Meaning(Forbidden, "subscribe to the service or the image on the AWS console"),
    "Blocked": _Meaning(Forbidden, "AWS has blocked the account: ask its support"),
    "OperationNotPermitted": _Meaning(Forbidden, "the machine is protected: take the protection off on the console"),
    "PendingVerification": _Meaning(Forbidden, "AWS is still checking the account: wait, or ask its support"),
    # Nobody we know
    "AuthFailure": _WHO,
    "InvalidClientTokenId": _WHO,
    "UnrecognizedClientException": _WHO,
    "SignatureDoesNotMatch": _WHO,
    "MissingAuthenticationToken": _WHO,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _Meaning(Unauthorized, "renew the credentials, or set the clock of the controller's host"),
    # The state of things
    "InvalidInstanceID": _Meaning(MachineNotFound),
    "IncorrectInstanceState": _BETWEEN,
    "IncorrectSpotRequestState": _BETWEEN,
    "UnsupportedHibernationConfiguration": _Meaning(Invalid, "take another type or image, or leave out hibernation"),
    "IdempotentParameterMismatch": _Meaning(AskedBefore),
    "IdempotentInstanceTerminated": _Meaning(MachineGone),
    "InvalidLaunchTemplateName.NotFoundException": _Meaning(TemplateMissing),
    "InvalidLaunchTemplateName.AlreadyExistsException": _Meaning(AlreadyExists),
    # What was asked for does not exist
    "InvalidAMIID": _Meaning(Invalid, "check the image of the node class, and that the account may use it"),
    "InvalidSubnetID": _Meaning(Invalid, "check the subnets of the node class, and its region"),
    "InvalidSubnet": _Meaning(Invalid, "check the subnets of the node class, and its region"),
    "InvalidGroup": _Meaning(Invalid, "check the security groups of the node class: they and its subnets share a VPC"),
    "InvalidInstanceType": _Meaning(Invalid, "check the instance types; `stratos catalog list` shows what there is"),
    "ParameterNotFound": _Meaning(NotFound),
    "NoSuchEntity": _Meaning(NotFound),
    "EntityAlreadyExists": _Meaning(AlreadyExists),
    # AWS's own trouble
    "InternalError": _DOWN,
    "InternalFailure": _DOWN,
    "ServiceUnavailable": _DOWN,
    "ServiceUnavailableException": _DOWN,
    "Unavailable": _DOWN,
    "RequestTimeout": _DOWN,
}

_DENIED_ACTION = re.compile(r"not authorized to perform: (?P<action>[\w:-]+\w)(?: on resource: (?P<resource>\S+))?")


def translated(error: Exception, *, service: str, operation: str, region: str) -> StratosError:
    """The error of the SDK as one of ours. What is no error of the SDK is a bug, and `Unavailable` for its callers."""
    if isinstance(error, sdk.ClientError):
        said = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return refusal(
            said.get("Code", "") or str(status),
            said.get("Message", ""),
            service=service,
            operation=operation,
            region=region,
            status=status,
        )
    return _not_asked(error, f"{service}:{_name(operation)} in {region}")


def refusal(code: str, message: str, *, service: str, operation: str, region: str, status: int = 400) -> StratosError:
    """What a code of AWS means. Answers that come in two parts, ``A.B``, are looked up whole and then by the first."""
    meaning = _MEANINGS.get(code) or _MEANINGS.get(code.partition(".")[0])
    if operation == "stop_instances" and code == "UnsupportedOperation":
        # One code for what will pass and what will not: only the text tells which it is.
        meaning = _TOO_NEW_TO_HIBERNATE if "hibernate" in message else _Meaning(NotStoppable)
    if "Invalid IAM Instance Profile" in message:  # under a code that stands for all wrong parameters
        meaning = _Meaning(ProfileUnseen, "check the instance profile of the node class")
    if meaning is None:
        meaning = _Meaning(Unavailable if status >= 500 else Invalid)
    action, said = f"{service}:{_name(operation)}", message.partition(" Encoded authorization failure")[0].strip()
    if meaning.family is Forbidden:
        action, said = _denied(action, said)
    text = f"{action} was refused: {said or 'without a word'} ({code})"
    return meaning.family(text, looked_at=(f"region {region}",), hint=meaning.hint)


def _denied(action: str, message: str) -> tuple[str, str]:
    """AWS names the action that was missing, which may be another than was called; on some calls it names none."""
    named = _DENIED_ACTION.search(message)
    if named is None:
        return action, message
    on = f" on {named['resource']}" if named["resource"] else ""
    return named["action"].rstrip(":"), f"not allowed{on}"


def _not_asked(error: Exception, what: str) -> StratosError:
    """The SDK gave up by itself: before it asked, or without an answer."""
    said = str(error) or type(error).__name__
    match error:
        case sdk.NoRegionError() | sdk.InvalidRegionError():
            return Invalid(f"{what}: {said}", hint="name a region of AWS, such as us-east-1, with --region")
        case (
            sdk.NoCredentialsError()
            | sdk.PartialCredentialsError()
            | sdk.CredentialRetrievalError()
            | sdk.MetadataRetrievalError()
            | sdk.ProfileNotFound()
            | sdk.TokenRetrievalError()
            | sdk.SSOError()
        ):
            return Unauthorized(f"{what}: {said}", hint="give the controller a role or credentials of AWS")
        case sdk.ParamValidationError():
            return Invalid(f"{what}: {said}", hint="check the node class: the SDK did not take what it says")
        case sdk.EndpointConnectionError():
            hint = "check the region's name and the way out of the network (NAT, proxy, VPC endpoint of EC2)"
            return Unavailable(f"{what}: {said}", hint=hint)
        case _:
            return Unavailable(f"{what}: no answer: {said}")


def _name(operation: str) -> str:
    """``run_instances`` as AWS spells it."""
    return "".join(part.capitalize() for part in operation.split("_"))
