"""What is said when a part of a class is not there."""

from __future__ import annotations

from collections.abc import Mapping

from stratos.base.errors import StratosError
from stratos.providers.contract import FailureReason


class NotMatched(StratosError):
    """The account was asked, and does not have it."""

    def __init__(self, reason: FailureReason, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def nothing_matches(message: str, *, hint: str) -> NotMatched:
    return NotMatched(FailureReason.NO_MATCHING_RESOURCES, message, hint=hint)


def in_words(tags: Mapping[str, str]) -> str:
    """``tags a=1, b=2``."""
    return "tags " + ", ".join(f"{key}={tags[key]}" for key in sorted(tags))


def tag_filters(tags: Mapping[str, str]) -> list[dict[str, object]]:
    """All of the tags, as EC2's listings take them."""
    return [{"Name": f"tag:{key}", "Values": [tags[key]]} for key in sorted(tags)]
