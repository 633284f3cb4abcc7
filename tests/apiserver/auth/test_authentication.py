"""Who is calling: tokens and client certificates."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from stratos.apiserver.auth.authentication import ClientCertificates, RequestAuthenticator
from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, Credentials, User
from stratos.apiserver.auth.tokens import BoundObject, ServiceAccountTokens, StaticTokens
from stratos.apiserver.observed import ObservedObjects
from stratos.base.certificates import create_authority, issue_client, issue_serving, new_key_pem
from stratos.base.clock import FixedClock
from stratos.base.errors import Unauthorized
from stratos.base.ids import SeededIds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = new_key_pem()


def known_accounts(uid: str = "u-1") -> ObservedObjects:
    objects = ObservedObjects()
    objects.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "ci", "uid": uid}})
    return objects


def issuer_of_tokens(
    clock: FixedClock | None = None, accounts: ObservedObjects | None = None, key: str = KEY
) -> ServiceAccountTokens:
    return ServiceAccountTokens(
        key, accounts or known_accounts(), clock or FixedClock(NOW), SeededIds(random.Random(1))
    )


def test_a_known_token_is_its_user() -> None:
    """The simplest way in, and every authenticated user is in the group of all of them."""
    authenticator = RequestAuthenticator(tokens=StaticTokens({"s3cret": User("ann", groups=("team",))}))

    assert authenticator.authenticate(Credentials("s3cret")) == User("ann", groups=("team", ALL_AUTHENTICATED))


def test_nobody_is_nobody_and_a_wrong_token_is_refused() -> None:
    """A client with a wrong token must hear so, not be served as a stranger."""
    authenticator = RequestAuthenticator(tokens=StaticTokens({"s3cret": User("ann")}))

    assert authenticator.authenticate(Credentials()) is None
    with pytest.raises(Unauthorized):
        authenticator.authenticate(Credentials("guess"))


def test_a_service_account_token_is_its_account() -> None:
    """Pods act under these names; RBAC binds to them."""
    tokens = issuer_of_tokens()
    issued = tokens.issue("ci", "bot", "u-1", bound_to=BoundObject("Pod", "web", "p-1"))

    user = RequestAuthenticator(service_accounts=tokens).authenticate(Credentials(issued.token))

    assert user is not None
    assert user.name == "system:serviceaccount:ci:bot"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ci", ALL_AUTHENTICATED)
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("web",)


def test_a_token_ends_with_its_time() -> None:
    """A leaked token is worth an hour, not a life."""
    clock = FixedClock(NOW)
    tokens = issuer_of_tokens(clock)
    issued = tokens.issue("ci", "bot", "u-1", life=timedelta(hours=1))
    clock.set(NOW + timedelta(minutes=59))
    still_good = tokens.user_of(issued.token)
    clock.set(NOW + timedelta(minutes=61))

    assert still_good is not None
    assert issued.expires_at == NOW + timedelta(hours=1)
    with pytest.raises(Unauthorized, match="expired"):
        tokens.user_of(issued.token)


@pytest.mark.parametrize("accounts", [ObservedObjects(), known_accounts(uid="u-2")], ids=["gone", "made anew"])
def test_a_token_ends_with_its_account(accounts: ObservedObjects) -> None:
    """Deleting an account takes back all its tokens; a new one of the same name does not revive them."""
    issued = issuer_of_tokens().issue("ci", "bot", "u-1")

    with pytest.raises(Unauthorized, match="deleted"):
        issuer_of_tokens(accounts=accounts).user_of(issued.token)


def test_tokens_of_another_key_or_for_another_audience_are_not_ours() -> None:
    """A cluster trusts its own key alone, and a token meant for a vault must not open the API."""
    tokens = issuer_of_tokens()
    foreign = issuer_of_tokens(key=new_key_pem()).issue("ci", "bot", "u-1")
    vault = tokens.issue("ci", "bot", "u-1", audiences=["vault"])

    assert tokens.user_of(foreign.token) is None
    assert tokens.user_of(vault.token) is None
    assert tokens.user_of(vault.token, audience="vault") is not None
    assert tokens.user_of("not.a.token") is None


def test_an_unsigned_token_is_not_ours() -> None:
    """The oldest trick: a token that says about itself that it needs no signature."""
    header, payload, _ = issuer_of_tokens().issue("ci", "bot", "u-1").token.split(".")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"

    assert issuer_of_tokens().user_of(f"{unsigned}.{payload}.") is None
    assert issuer_of_tokens().user_of(f"{header}.{payload}.AAAA") is None


AUTHORITY = create_authority("test", NOW)


def test_a_client_certificate_is_its_common_name_and_organisations() -> None:
    """Kubelets and administrators come in this way."""
    pair = issue_client(AUTHORITY, "system:node:n1", ["system:nodes"], NOW)
    certificates = ClientCertificates(AUTHORITY.certificate_pem, FixedClock(NOW))

    user = RequestAuthenticator(certificates=certificates).authenticate(
        Credentials(client_certificates=(pair.certificate_pem,))
    )

    assert user == User("system:node:n1", groups=("system:nodes", ALL_AUTHENTICATED))


@pytest.mark.parametrize(
    ("pem", "at", "why"),
    [
        (issue_client(create_authority("test", NOW), "ann", [], NOW).certificate_pem, NOW, "not issued by"),
        (issue_serving(AUTHORITY, "server", ["localhost"], NOW).certificate_pem, NOW, "not meant for clients"),
        (issue_client(AUTHORITY, "ann", [], NOW).certificate_pem, NOW + timedelta(days=366), "not valid at this time"),
        (issue_client(AUTHORITY, "ann", [], NOW).certificate_pem, NOW - timedelta(days=1), "not valid at this time"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", NOW, "not issued by"),
    ],
    ids=["of another authority", "of a server", "expired", "not yet valid", "garbage"],
)
def test_a_certificate_that_proves_nothing_is_refused(pem: str, at: datetime, why: str) -> None:
    """Whatever TLS let through, a name is only believed with the authority's signature, in time, for this use."""
    certificates = ClientCertificates(AUTHORITY.certificate_pem, FixedClock(at))

    with pytest.raises(Unauthorized, match=why):
        certificates.user_of(pem)
