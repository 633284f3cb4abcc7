"""Bearer tokens: a fixed table for people and machines, and signed ones for service accounts."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, User
from stratos.apiserver.observed import ObservedObjects
from stratos.base.clock import Clock
from stratos.base.errors import Unauthorized
from stratos.base.ids import IdSource

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
_ALGORITHM = "ES256"
_LIFE_MIN = timedelta(minutes=10)
_LIFE_MAX = timedelta(hours=24)
_ACCOUNT_PREFIX = "system:serviceaccount"
_PRIVATE_CLAIM = "kubernetes.io"


class StaticTokens:
    """Tokens known beforehand. Comparing takes the same time for every wrong one."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {token.encode(): with_group(user, ALL_AUTHENTICATED) for token, user in users.items()}

    def user_of(self, token: str) -> User | None:
        given, found = token.encode(), None
        for known, user in self._users.items():
            if hmac.compare_digest(known, given):
                found = user
        return found


def with_group(user: User, group: str) -> User:
    if group in user.groups:
        return user
    return User(user.name, user.uid, (*user.groups, group), user.extra)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BoundObject:
    """What a token lives and dies with: a pod, usually."""

    kind: str
    name: str
    uid: str


class ServiceAccountTokens:
    """Issues and checks the signed tokens of service accounts.

    A token is good while its account exists with the same uid. Whether a pod it is bound to still exists is not looked
    up: such tokens are short-lived.
    """

    def __init__(
        self,
        key_pem: str,
        accounts: ObservedObjects,
        clock: Clock,
        ids: IdSource,
        *,
        issuer: str = DEFAULT_ISSUER,
    ) -> None:
        self._private = key_pem
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        self._public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._accounts = accounts
        self._clock = clock
        self._ids = ids
        self._issuer = issuer

    def issue(
        self,
        namespace: str,
        account: str,
        uid: str,
        *,
        audiences: Iterable[str] = (),
        life: timedelta = timedelta(hours=1),
        bound_to: BoundObject | None = None,
    ) -> IssuedToken:
        """A token for the account. Its life is kept between ten minutes and a day."""
        now = self._clock.now()
        expires_at = now + min(max(life, _LIFE_MIN), _LIFE_MAX)
        private: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}}
        if bound_to is not None:
            private[bound_to.kind.lower()] = {"name": bound_to.name, "uid": bound_to.uid}
        claims = {
            "iss": self._issuer,
            "sub": f"{_ACCOUNT_PREFIX}:{namespace}:{account}",
            "aud": list(audiences) or [self._issuer],
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": self._ids.uid(),
            _PRIVATE_CLAIM: private,
        }
        return IssuedToken(jwt.encode(claims, self._private, algorithm=_ALGORITHM), expires_at.replace(microsecond=0))

    def user_of(self, token: str, *, audience: str | None = None) -> User | None:
        """The account behind a token, `None` if it is not one of ours. Raises `Unauthorized` if it no longer holds."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                audience=audience or self._issuer,
                issuer=self._issuer,
                # Time is checked below: the library only knows the machine's.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "sub"]},
            )
        except jwt.InvalidTokenError:
            return None
        now = self._clock.now().timestamp()
        if not claims.get("nbf", 0) <= now < claims["exp"]:
            raise Unauthorized("the service account token has expired")
        return self._user(claims[_PRIVATE_CLAIM])

    def _user(self, private: Mapping[str, Any]) -> User:
        namespace, account = private["namespace"], private["serviceaccount"]
        known = self._accounts.get("serviceaccounts", namespace, account["name"])
        if known is None or known["metadata"].get("uid") != account["uid"]:
            raise Unauthorized(f"service account {namespace}/{account['name']} has been deleted")
        extra = {}
        if pod := private.get("pod"):
            extra["authentication.kubernetes.io/pod-name"] = (pod["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (pod["uid"],)
        return service_account_user(namespace, account["name"], account["uid"], extra)


def service_account_user(
    namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None
) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", ALL_AUTHENTICATED)
    return User(f"{_ACCOUNT_PREFIX}:{namespace}:{name}", uid, groups, extra or {})
