"""What a request asks of the registry, already parsed: which object, and with which options."""

from __future__ import annotations

from dataclasses import dataclass, field

from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, SYSTEM_MASTERS, User
from stratos.apiserver.registry.registry import key_of
from stratos.apiserver.registry.resource import Resource
from stratos.base.selectors import EVERYTHING, FieldSelector, LabelSelector

THE_SERVER = User("system:apiserver", groups=(SYSTEM_MASTERS, ALL_AUTHENTICATED))
"""Who writes when the server does so of its own accord."""


@dataclass(frozen=True, slots=True)
class Target:
    """An object, existing or to be made. ``namespace`` is empty for cluster-scoped kinds."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> str:
        return key_of(self.resource, self.namespace, self.name)


@dataclass(slots=True)
class WriteOptions:
    """Who writes, and how. ``warnings`` gathers what the client is told beside the answer."""

    user: User
    dry_run: bool = False
    field_manager: str = "unknown"
    field_validation: str = "Warn"  # or Strict, Ignore
    force: bool = False  # server-side apply takes over fields that others manage
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    grace_period_seconds: int | None = None
    propagation_policy: str | None = None  # Background, Foreground, Orphan
    uid: str | None = None  # preconditions
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class ListOptions:
    label_selector: LabelSelector = EVERYTHING
    field_selector: FieldSelector = field(default_factory=FieldSelector)
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    label_selector: LabelSelector = EVERYTHING
    field_selector: FieldSelector = field(default_factory=FieldSelector)
    resource_version: str = ""
    bookmarks: bool = False
    send_initial_events: bool = False
    timeout_seconds: float | None = None
