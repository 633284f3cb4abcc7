"""The error family. It is small, and each member tells the caller something it can act on.

A message says what failed and on what; ``looked_at`` lists what was examined, ``hint`` gives one thing to try.
What could not be placed is an answer and belongs in a plan's report, not here.
"""

from __future__ import annotations

from dataclasses import dataclass


class StratosError(Exception):
    """The root of the family. ``str(error)`` is the message alone; `explain` adds the rest."""

    def __init__(self, message: str, *, looked_at: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.looked_at = looked_at
        self.hint = hint

    def explain(self) -> str:
        """The message, what was looked at and the hint, one line each, readable without colour."""
        lines = [f"error: {self.message}", *(f"  {line}" for line in self.looked_at)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def in_a_line(self) -> str:
        """The same, for conditions and Events."""
        looked_at = f" ({', '.join(self.looked_at)})" if self.looked_at else ""
        return f"{self.message}{looked_at}" + (f"; {self.hint}" if self.hint else "")


class NotFound(StratosError):
    """The thing named does not exist."""


class AlreadyExists(StratosError):
    """Something of that name exists already."""


class Conflict(StratosError):
    """Somebody else changed it first, or its present state forbids the change. Look again, then decide."""


class Expired(StratosError):
    """The moment asked about (a resourceVersion, a page token) is no longer remembered. Start over with a list."""


class NotReady(StratosError):
    """It exists but cannot serve yet. Try again later."""


class NotLeading(NotReady):
    """This process is not the leader, or no longer: the request was not sent. Somebody else may act by now."""


class Unauthorized(StratosError):
    """The caller did not prove who it is."""


class Forbidden(StratosError):
    """The caller is known, and not allowed."""


class Throttled(StratosError):
    """Too many requests. ``retry_after_seconds`` is the server's own wish, when it named one."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        looked_at: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, looked_at=looked_at, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(StratosError):
    """The other side could not be reached, or failed. The request may or may not have taken effect."""


class InsufficientCapacity(StratosError):
    """The cloud has no such machine to give at the moment."""


class QuotaExceeded(StratosError):
    """A limit on how much may be had is reached; waiting alone does not help."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field. ``field`` is a path such as ``spec.containers[0].image``."""

    field: str
    reason: str  # FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, FieldValueDuplicate, …
    message: str


class Invalid(StratosError):
    """The input is wrong, and ``problems`` says where."""

    def __init__(
        self,
        message: str,
        *,
        problems: tuple[FieldProblem, ...] = (),
        looked_at: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, looked_at=looked_at, hint=hint)
        self.problems = problems
