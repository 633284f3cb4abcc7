"""What is said to a client whose request does not get through: why, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass

from stratos.base.errors import Invalid, StratosError
from stratos.doorman.gate import TurnedAway
from stratos.doorman.metrics import Outcome
from stratos.doorman.proxy.passage import BackendBroke


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    outcome: Outcome
    message: str
    retry_after_seconds: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
        return (
            headers if self.retry_after_seconds is None else {**headers, "retry-after": str(self.retry_after_seconds)}
        )

    @property
    def body(self) -> bytes:
        return f"{self.message}\n".encode()


def no_route(authority: str, *, ready: bool) -> Refusal:
    """``ready``: whether all routes are known."""
    if not ready:
        return Refusal(503, Outcome.NO_ROUTE, "the doorman has just started, and does not know its routes yet", 1)
    return Refusal(404, Outcome.NO_ROUTE, f"no Service has the annotation doorman.stratos.sh/host for {authority!r}")


def refusal_for(error: StratosError) -> Refusal:
    message = "\n  ".join((error.message, *error.looked_at))
    match error:
        case TurnedAway():
            return Refusal(503, error.outcome, message, error.retry_after_seconds)
        case Invalid():
            return Refusal(400, Outcome.INVALID, message)
        case BackendBroke():
            return Refusal(502, Outcome.BACKEND_FAILED, f"{message}\n  it was not sent again")
        case _:
            return Refusal(502, Outcome.BACKEND_FAILED, message)
