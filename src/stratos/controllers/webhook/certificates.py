"""What the webhook serves with, as it is kept in a Secret: decided from what the Secret holds, the hosts and the time.

An API server trusts the authorities of its webhook configuration, and learns of a new one some time after it was made.
So a new authority is published first, beside the old ones, and signs only once it has been known for a while; the old
ones stay until they end. Whatever the Secret holds that cannot be used (nothing, garbage, somebody else's certificate,
one that is not valid by this clock) is replaced at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from stratos.base.certificates import KeyPair, create_authority, issue_serving, serves, was_issued_by

AUTHORITY_LIFE = timedelta(days=365)
SERVING_LIFE = timedelta(days=90)
RENEWED_AT_LEFT = 1 / 3
"""The share of its life that a certificate has left when it is renewed."""

KNOWN_AFTER = timedelta(hours=1)
"""How long after it was published every API server trusts an authority."""

_NAME = "stratos-webhook"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificates:
    """``authorities``: those to be trusted, the newest first; only of that one the key is kept."""

    authorities: tuple[str, ...]  # PEM
    authority_key_pem: str
    serving: KeyPair

    @property
    def bundle(self) -> str:
        return "".join(self.authorities)

    @property
    def expires_at(self) -> datetime:
        return self.serving.certificate.not_valid_after_utc

    @property
    def newest(self) -> KeyPair:
        return KeyPair(self.authorities[0], self.authority_key_pem)

    def to_data(self) -> dict[str, str]:
        """The keys are those of a Secret of type kubernetes.io/tls."""
        return {
            "ca.crt": self.bundle,
            "ca.key": self.authority_key_pem,
            "tls.crt": self.serving.certificate_pem,
            "tls.key": self.serving.key_pem,
        }


@dataclass(frozen=True, slots=True)
class Renewal:
    """``why`` is empty when everything stays as it was. ``broken``: what was there could not have served."""

    certificates: Certificates
    why: str = ""
    broken: bool = False


def read_certificates(data: Mapping[str, str]) -> Certificates:
    """What a Secret holds. Raises `ValueError` saying what is wrong with it."""
    missing = sorted({"ca.crt", "ca.key", "tls.crt", "tls.key"} - {name for name, value in data.items() if value})
    if missing:
        raise ValueError(f"{', '.join(missing)} is missing")
    authorities = tuple(_PEM.findall(data["ca.crt"]))
    if not authorities:
        raise ValueError("ca.crt holds no certificate")
    read = Certificates(authorities, data["ca.key"], KeyPair(data["tls.crt"], data["tls.key"]))
    for name, pair in (("ca", read.newest), ("tls", read.serving)):
        if not pair.belongs_together:
            raise ValueError(f"{name}.key is not the key of {name}.crt")
    for authority in authorities:
        x509.load_pem_x509_certificate(authority.encode())
    return read


def renewed(data: Mapping[str, str] | None, hosts: Sequence[str], now: datetime) -> Renewal:
    """What to serve with from ``now`` on. ``data`` is what the Secret holds; None: there is no Secret."""
    if data is None:
        return Renewal(_made_anew(hosts, now), "there were none")
    try:
        held = read_certificates(data)
    except ValueError as error:
        return Renewal(_made_anew(hosts, now), f"the Secret could not be used: {error}", broken=True)
    newest = held.newest.certificate
    if not _valid(newest, now):
        why = f"the authority is not valid: it was from {newest.not_valid_before_utc:%Y-%m-%d %H:%M}"
        return Renewal(_made_anew(hosts, now), f"{why} to {newest.not_valid_after_utc:%Y-%m-%d %H:%M}", broken=True)
    reasons = []
    authorities = tuple(each for each in held.authorities if _valid(_certificate(each), now))
    key_pem = held.authority_key_pem
    if _is_worn(newest, now):
        authority = create_authority(_NAME, now, AUTHORITY_LIFE)
        authorities, key_pem = (authority.certificate_pem, *authorities), authority.key_pem
        reasons.append("a new authority is published before the old one ends")
    elif len(authorities) < len(held.authorities):
        reasons.append("an authority has ended")
    current = Certificates(authorities, key_pem, held.serving)
    problem = _problem(current, hosts, now)
    why_again = problem or _reason_to_issue(current, now)
    if why_again:
        reasons.append(why_again)
        serving = issue_serving(current.newest, _NAME, hosts, now, SERVING_LIFE)
        current = Certificates(authorities, key_pem, serving)
    return Renewal(current, "; ".join(reasons), broken=bool(problem))


def due_at(certificates: Certificates, now: datetime) -> datetime:
    """When to look again."""
    newest, serving = certificates.newest.certificate, certificates.serving.certificate
    signed = was_issued_by(serving, newest)
    moments = [_worn_at(newest), _worn_at(serving) if signed else _known_at(newest)]
    moments += [_certificate(each).not_valid_after_utc for each in certificates.authorities[1:]]
    return max(now, min(moments))


def _made_anew(hosts: Sequence[str], now: datetime) -> Certificates:
    authority = create_authority(_NAME, now, AUTHORITY_LIFE)
    serving = issue_serving(authority, _NAME, hosts, now, SERVING_LIFE)
    return Certificates((authority.certificate_pem,), authority.key_pem, serving)


def _problem(held: Certificates, hosts: Sequence[str], now: datetime) -> str:
    """Why no API server would accept what is served; empty when they would."""
    serving = held.serving.certificate
    if not _valid(serving, now):
        if serving.not_valid_after_utc <= now:
            return f"the certificate expired at {serving.not_valid_after_utc:%Y-%m-%d %H:%M}"
        return f"the certificate is not valid before {serving.not_valid_before_utc:%Y-%m-%d %H:%M}"
    if not serves(serving, hosts):
        return f"the certificate is not for {', '.join(hosts)}"
    if not any(was_issued_by(serving, _certificate(each)) for each in held.authorities):
        return "the certificate is not of our authority"
    return ""


def _reason_to_issue(held: Certificates, now: datetime) -> str:
    serving, newest = held.serving.certificate, held.newest.certificate
    if not was_issued_by(serving, newest):
        return "the new authority is known by now" if now >= _known_at(newest) else ""
    return "the certificate is renewed before it ends" if _is_worn(serving, now) else ""


def _known_at(authority: x509.Certificate) -> datetime:
    return authority.not_valid_before_utc + KNOWN_AFTER


def _worn_at(certificate: x509.Certificate) -> datetime:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - life * RENEWED_AT_LEFT


def _is_worn(certificate: x509.Certificate, now: datetime) -> bool:
    return now >= _worn_at(certificate)


def _valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
