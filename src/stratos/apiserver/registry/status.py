"""Refusals as Kubernetes words them: `Status` objects with the code, reason, message and details clients act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stratos.apiserver.admission.contract import AdmissionRefused
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.base import errors
from stratos.base.errors import FieldProblem, StratosError


class ApiError(StratosError):
    """A refusal on its way to the client."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details or {}
        if retry_after_seconds is not None:
            self.details["retryAfterSeconds"] = retry_after_seconds
        self.retry_after_seconds = retry_after_seconds

    def status(self) -> Obj:
        status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _details(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural, **more}


def causes(problems: Sequence[FieldProblem]) -> list[dict[str, str]]:
    return [{"reason": problem.reason, "message": problem.message, "field": problem.field} for problem in problems]


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource.group_resource} "{name}" not found', details=_details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    message = f'{resource.group_resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(resource, name))


CHANGED_MEANWHILE = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = CHANGED_MEANWHILE) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(resource, name))


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    message = f'{resource.group_resource} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=_details(resource, name))


def page_not_found() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def invalid(group: str, kind: str, name: str, problems: Sequence[FieldProblem]) -> ApiError:
    """422, with one cause for each problem."""
    found = list(dict.fromkeys(f"{problem.field}: {problem.message}" for problem in problems))
    text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    subject = f"{kind}.{group}" if group else kind
    return ApiError(
        422,
        "Invalid",
        f'{subject} "{name}" is invalid: {text}',
        details={**details, "kind": kind, "causes": causes(problems)},
    )


def cannot_be_handled(kind: str, version: str, problems: Sequence[FieldProblem], why: str = "") -> ApiError:
    """400 for what does not even have the shape of its kind, where a real server fails to decode it."""
    text = why or ", ".join(dict.fromkeys(f"{problem.field}: {problem.message}" for problem in problems))
    return ApiError(
        400,
        "BadRequest",
        f'{kind} in version "{version}" cannot be handled as a {kind}: {text}',
        details={"causes": causes(problems)} if problems else None,
    )


def too_old(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def status_of(error: Exception) -> ApiError:
    """The answer for whatever went wrong. What nobody foresaw is an internal error, and says no more than that."""
    match error:
        case ApiError():
            return error
        case AdmissionRefused():
            return ApiError(error.code, error.reason, error.message, details=error.details)
        case errors.Invalid():
            details = {"causes": causes(error.problems)} if error.problems else None
            return ApiError(400, "BadRequest", error.message, details=details)
        case errors.NotFound():
            return ApiError(404, "NotFound", error.message)
        case errors.AlreadyExists():
            return ApiError(409, "AlreadyExists", error.message)
        case errors.Conflict():
            return ApiError(409, "Conflict", error.message)
        case errors.Expired():
            return too_old(error.message)
        case errors.Unauthorized():
            return ApiError(401, "Unauthorized", "Unauthorized")
        case errors.Forbidden():
            return ApiError(403, "Forbidden", error.message)
        case errors.Throttled():
            wait = error.retry_after_seconds
            return ApiError(429, "TooManyRequests", error.message, retry_after_seconds=round(wait) if wait else 1)
        case errors.Unavailable() | errors.NotReady():
            return ApiError(503, "ServiceUnavailable", error.message, retry_after_seconds=1)
        case _:
            return ApiError(500, "InternalError", f"Internal error occurred: {type(error).__name__}")


def success(resource: Resource, name: str, uid: str) -> Obj:
    """What a completed deletion answers."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(resource, name, uid=uid),
    }
