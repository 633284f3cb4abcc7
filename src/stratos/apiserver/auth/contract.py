"""What the server asks of authentication and authorisation, and the words the two share.

Both answer from memory and at once, so that they can stand in the path of every request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

SYSTEM_MASTERS = "system:masters"
ALL_AUTHENTICATED = "system:authenticated"
ALL_UNAUTHENTICATED = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody the server knows. ``groups`` is complete: it includes ``system:authenticated``."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_user_info(self) -> dict[str, Any]:
        """The ``UserInfo`` of reviews and admission requests, without its empty fields."""
        info: dict[str, Any] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


ANONYMOUS = User("system:anonymous", groups=(ALL_UNAUTHENTICATED,))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought along to prove who sent it."""

    bearer_token: str | None = None
    client_certificates: tuple[str, ...] = ()  # PEM, the client's own first, as in ASGI's ``tls`` extension


class Authenticator(Protocol):
    def authenticate(self, credentials: Credentials) -> User | None:
        """The user behind the credentials, `None` if there are none. Raises `Unauthorized` when they are no good."""
        ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """One thing somebody wants to do. Requests outside the resource API have a ``path`` and no ``resource``."""

    user: User
    verb: str  # get, list, watch, create, update, patch, delete, deletecollection, impersonate, bind, escalate, …
    group: str = ""
    version: str = ""
    resource: str = ""  # the plural
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def is_resource(self) -> bool:
        return not self.path


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str = ""


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> Decision: ...

    def rules_for(self, user: User, namespace: str) -> Sequence[Mapping[str, Any]]:
        """Every PolicyRule that holds for the user in the namespace, cluster-wide ones included."""
        ...


def describe_refusal(attributes: Attributes, reason: str = "") -> str:
    """Why the server answers 403, in the words ``kubectl`` users know."""
    user = attributes.user.name
    tail = f": {reason}" if reason else ""
    if not attributes.is_resource:
        return f'forbidden: User "{user}" cannot {attributes.verb} path "{attributes.path}"{tail}'
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    subject = attributes.resource + (f".{attributes.group}" if attributes.group else "")
    if attributes.name:
        subject += f' "{attributes.name}"'
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    return (
        f'{subject} is forbidden: User "{user}" cannot {attributes.verb} resource "{resource}" '
        f'in API group "{attributes.group}" {where}{tail}'
    )
