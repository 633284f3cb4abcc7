"""EC2 and its neighbours on loopback, with everything that can go wrong there. It stands on moto, which tests bring."""

from stratos.testing.aws.calls import AwsCall, AwsError
from stratos.testing.aws.faults import AwsFaults, CallMoment, CutOff, Timings
from stratos.testing.aws.loopback import LoopbackAws, aws_on_loopback
from stratos.testing.aws.moto import moto_process

__all__ = [
    "AwsCall",
    "AwsError",
    "AwsFaults",
    "CallMoment",
    "CutOff",
    "LoopbackAws",
    "Timings",
    "aws_on_loopback",
    "moto_process",
]
