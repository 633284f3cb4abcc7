"""What can go wrong on AWS, and how long things take there: set by a test, obeyed by the layer in front of moto.

Everything may be changed at any time and holds from the next call on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from stratos.providers.contract import CapacityType, OfferingKey
from stratos.testing.aws.calls import AwsCall, AwsError


class CallMoment(StrEnum):
    BEFORE = "before"  # nothing has happened yet
    AFTER = "after"  # the effect is there, the caller does not know yet


class CutOff(Exception):
    """The connection breaks: the caller hears nothing."""


FaultHook = Callable[[CallMoment, AwsCall], None]
"""Asked right before and right after every call takes effect. It may raise `CutOff` or `AwsError`."""


@dataclass(slots=True, kw_only=True)
class Timings:
    """In seconds. Real ones take a hundred times as long, and tests that need sockets take real time."""

    pending: float = 0.1  # from the call until the machine shows as running
    boot: float = 0.2  # from then until its software runs
    stop: float = 0.1
    forced_stop: float = 0.05
    terminate: float = 0.1


@dataclass(slots=True, kw_only=True)
class AwsFaults:
    timings: Timings = field(default_factory=Timings)
    out_of_stock: set[OfferingKey] = field(default_factory=set)
    max_vcpus: dict[CapacityType, int] = field(default_factory=dict)  # of machines that are pending or running
    denied: set[str] = field(default_factory=set)  # actions as policies name them: ec2:RunInstances
    throttled: Counter[str] = field(default_factory=Counter)  # by action: how many calls more are too many
    lost_requests: Counter[str] = field(default_factory=Counter)  # by action: how many calls more do not arrive
    lost_answers: Counter[str] = field(default_factory=Counter)  # … how many more are done, and not answered
    expired_keys: set[str] = field(default_factory=set)  # access keys whose time is over
    unseen: set[str] = field(default_factory=set)  # instances that no call finds yet: new ones, for some seconds
    boots_to_hang: int = 0  # machines that show as running, and no software starts on them
    hook: FaultHook = lambda moment, call: None

    def before(self, call: AwsCall) -> None:
        """Whatever keeps the call from taking effect."""
        if call.access_key in self.expired_keys:
            raise _expired(call)
        if _spend(self.lost_requests, call.action):
            raise CutOff
        if _spend(self.throttled, call.action):
            raise _too_many(call)
        if call.action in self.denied:
            raise _denied(call)
        self.hook(CallMoment.BEFORE, call)

    def after(self, call: AwsCall) -> None:
        """Whatever keeps the caller from hearing of it."""
        self.hook(CallMoment.AFTER, call)
        if _spend(self.lost_answers, call.action):
            raise CutOff


def _spend(counter: Counter[str], action: str) -> bool:
    if counter[action] <= 0:
        return False
    counter[action] -= 1
    return True


def _expired(call: AwsCall) -> AwsError:
    if call.service == "ec2":
        return AwsError("RequestExpired", "Request has expired.")
    code = "ExpiredToken" if call.service in ("iam", "sts") else "ExpiredTokenException"
    return AwsError(code, "The security token included in the request is expired", 403)


def _too_many(call: AwsCall) -> AwsError:
    if call.service == "ec2":
        return AwsError("RequestLimitExceeded", "Request limit exceeded.", 503)
    return AwsError("ThrottlingException", "Rate exceeded")


def _denied(call: AwsCall) -> AwsError:
    who = "User: arn:aws:sts::123456789012:assumed-role/stratos/loopback"
    message = (
        f"{who} is not authorized to perform: {call.action} because no identity-based policy allows the "
        f"{call.action} action"
    )
    if call.service == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {message}", 403)
    return AwsError("AccessDenied" if call.service == "iam" else "AccessDeniedException", message, 403)
