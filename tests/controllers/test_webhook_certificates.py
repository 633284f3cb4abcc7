"""What the webhook serves with over the years: API servers must be able to trust it whatever happens to the Secret."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from stratos.base.certificates import create_authority, issue_serving, was_issued_by
from stratos.controllers.webhook.certificates import (
    KNOWN_AFTER,
    Certificates,
    due_at,
    read_certificates,
    renewed,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOSTS = ("stratos-webhook.stratos-system.svc",)


@pytest.fixture(scope="module")
def fresh() -> Certificates:
    return renewed(None, HOSTS, NOW).certificates


def years(start: Certificates, days: int) -> Iterator[tuple[datetime, Certificates]]:
    """The certificates whenever somebody looks at them: when told to, and never later than an hour after."""
    now, held = NOW, start
    while now < NOW + timedelta(days=days):
        now = max(due_at(held, now), now + timedelta(minutes=1))
        renewal = renewed(held.to_data(), HOSTS, now)
        held = renewal.certificates
        assert not renewal.broken, renewal.why
        yield now, held


def test_what_is_good_stays_as_it_is(fresh: Certificates) -> None:
    """Looking twice must not make API servers learn a new authority twice."""
    again = renewed(fresh.to_data(), HOSTS, NOW + timedelta(days=1))

    assert (again.why, again.certificates) == ("", fresh)


def test_a_secret_holds_everything_there_is(fresh: Certificates) -> None:
    assert read_certificates(fresh.to_data()) == fresh


def test_the_certificate_is_renewed_a_month_before_it_ends(fresh: Certificates) -> None:
    renewal = renewed(fresh.to_data(), HOSTS, NOW + timedelta(days=61))

    assert renewal.why == "the certificate is renewed before it ends"
    assert renewal.certificates.authorities == fresh.authorities
    assert renewal.certificates.expires_at > fresh.expires_at


def test_a_new_authority_is_known_before_it_signs(fresh: Certificates) -> None:
    """An API server that trusts only the old one must be able to call us in between."""
    seen = [held for _, held in years(fresh, 400)]

    rotations = [
        (before, after) for before, after in itertools.pairwise(seen) if before.authorities[0] != after.authorities[0]
    ]
    assert rotations, "no authority was rotated in more than its life"
    for before, after in rotations:
        assert after.serving == before.serving
        assert before.authorities[0] in after.authorities


def test_for_years_api_servers_can_call_with_what_they_knew_a_while_ago(fresh: Certificates) -> None:
    """No rotation may lose a pod because some API server has not read the latest configuration yet."""
    lag = KNOWN_AFTER - timedelta(minutes=10)
    history = [(NOW, fresh), *years(fresh, 3 * 365)]

    for number, (now, held) in enumerate(history):
        assert held.serving.certificate.not_valid_before_utc <= now < held.expires_at
        known_then = [older for then, older in history[: number + 1] if then >= now - lag] or [held]
        for older in known_then:
            trusted = [x509.load_pem_x509_certificate(each.encode()) for each in older.authorities]
            assert any(was_issued_by(held.serving.certificate, authority) for authority in trusted)


def _expired() -> dict[str, str]:
    return renewed(None, HOSTS, NOW - timedelta(days=91)).certificates.to_data()


def _foreign() -> dict[str, str]:
    data = renewed(None, HOSTS, NOW).certificates.to_data()
    serving = issue_serving(create_authority("somebody", NOW), "somebody", HOSTS, NOW)
    return {**data, "tls.crt": serving.certificate_pem, "tls.key": serving.key_pem}


def _mixed_up() -> dict[str, str]:
    other = renewed(None, HOSTS, NOW).certificates.to_data()
    return {**renewed(None, HOSTS, NOW).certificates.to_data(), "tls.key": other["tls.key"]}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_expired(), "the certificate expired at 2026-10-31 12:00"),
        (_foreign(), "the certificate is not of our authority"),
        (_mixed_up(), "tls.key is not the key of tls.crt"),
        ({}, "ca.crt, ca.key, tls.crt, tls.key is missing"),
        (dict.fromkeys(("ca.crt", "ca.key", "tls.crt", "tls.key"), "garbage"), "ca.crt holds no certificate"),
        (renewed(None, ("elsewhere",), NOW).certificates.to_data(), f"not for {HOSTS[0]}"),
        (renewed(None, HOSTS, NOW + timedelta(days=30)).certificates.to_data(), "the authority is not valid"),
    ],
    ids=["expired", "foreign", "mixed up", "empty", "garbage", "other host", "from the future"],
)
def test_what_cannot_serve_is_replaced_at_once_and_said(data: dict[str, str], why: str) -> None:
    """A Secret restored from an old backup, edited by hand or copied from another cluster must not shut us out."""
    renewal = renewed(data, HOSTS, NOW)

    assert renewal.broken
    assert why in renewal.why
    assert renewed(renewal.certificates.to_data(), HOSTS, NOW).why == ""
