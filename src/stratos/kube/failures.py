"""From a server's ``Status`` to our family of errors."""

from __future__ import annotations

import msgspec

from stratos.apis.meta import Struct
from stratos.base.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    FieldProblem,
    Forbidden,
    Invalid,
    NotFound,
    StratosError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from stratos.kube.codec import decode
from stratos.kube.transport import Response

_RIGHTS_HINT = "a Role or ClusterRole grants that; stratos install brings those that its parts need"


class StatusCause(Struct):
    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(Struct):
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int | None = None


class Status(Struct):
    """How Kubernetes says that something failed, and why."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails = StatusDetails()


def error_from_response(response: Response, doing: str) -> StratosError:
    """The error an answer means. ``doing`` names verb, kind and object, as in ``get pods default/web``."""
    try:
        status = decode(Status, response.body)
    except Invalid:  # proxies and crashed servers answer in prose
        status = Status(message=response.body[:500].decode(errors="replace").strip())
    retry_after = response.headers.get("retry-after", "")
    retry_after_seconds = float(retry_after) if retry_after.isdigit() else status.details.retry_after_seconds
    return error_from_status(msgspec.structs.replace(status, code=response.status), doing, retry_after_seconds)


def error_from_status(status: Status, doing: str, retry_after_seconds: float | None = None) -> StratosError:
    message = f"{doing}: {status.message or status.reason or f'the server answered {status.code}'}"
    causes = tuple(cause.message for cause in status.details.causes if cause.message)
    match status.code:
        case 400 | 405 | 406 | 413 | 415 | 422:
            problems = tuple(FieldProblem(c.field, c.reason, c.message) for c in status.details.causes)
            return Invalid(message, problems=problems)
        case 401:
            return Unauthorized(message, hint="check the token or certificate of the kubeconfig's user")
        case 403:
            return Forbidden(message, looked_at=causes, hint=_RIGHTS_HINT if " cannot " in message else "")
        case 404:
            return NotFound(message)
        case 409 if status.reason == "AlreadyExists":
            return AlreadyExists(message)
        case 409:
            return Conflict(message, looked_at=causes)
        case 410:
            return Expired(message)
        case 429:
            return Throttled(message, retry_after_seconds=retry_after_seconds, looked_at=causes)
        case code if code >= 500:
            return Unavailable(message, looked_at=causes)
        case code:
            return Unavailable(message, looked_at=(f"status {code} is not one that Kubernetes gives",))
