"""Acting as somebody else (``kubectl --as``): who that is, and what one must be allowed for it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, Attributes, User
from stratos.apiserver.http.request import Request
from stratos.apiserver.registry.status import bad_request

_SERVICE_ACCOUNT = "system:serviceaccount:"


def requested_user(request: Request) -> User | None:
    """The user named in the ``Impersonate-`` headers, if any."""
    headers = request.headers_starting(b"impersonate-")
    if not headers:
        return None
    names = [value for name, value in headers if name == "user"]
    if not names:
        raise bad_request("requested impersonation without impersonating a user")
    uid = next((value for name, value in headers if name == "uid"), "")
    groups = [value for name, value in headers if name == "group"]
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        if name.startswith("extra-"):
            key = unquote(name.removeprefix("extra-"))
            extra[key] = (*extra.get(key, ()), value)
    if names[0].startswith(_SERVICE_ACCOUNT) and not groups:
        namespace = names[0].removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    if ALL_AUTHENTICATED not in groups:
        groups.append(ALL_AUTHENTICATED)
    return User(names[0], uid, tuple(groups), extra)


def impersonations(user: User, wanted: User) -> Iterator[Attributes]:
    """Everything ``user`` must be allowed to do to act as ``wanted``."""
    account = wanted.name.removeprefix(_SERVICE_ACCOUNT) if wanted.name.startswith(_SERVICE_ACCOUNT) else ""
    if account:
        namespace, _, name = account.partition(":")
        yield Attributes(user, "impersonate", version="v1", resource="serviceaccounts", namespace=namespace, name=name)
    else:
        yield Attributes(user, "impersonate", version="v1", resource="users", name=wanted.name)
    for group in wanted.groups:
        if group != ALL_AUTHENTICATED and not (account and group.startswith("system:serviceaccounts")):
            yield Attributes(user, "impersonate", version="v1", resource="groups", name=group)
    if wanted.uid:
        yield Attributes(
            user, "impersonate", group="authentication.k8s.io", version="v1", resource="uids", name=wanted.uid
        )
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes(
                user,
                "impersonate",
                group="authentication.k8s.io",
                version="v1",
                resource="userextras",
                subresource=key,
                name=value,
            )
