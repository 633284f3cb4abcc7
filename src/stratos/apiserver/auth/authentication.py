"""Finds out who sent a request: by bearer token or by client certificate."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, Credentials, User
from stratos.apiserver.auth.tokens import ServiceAccountTokens, StaticTokens, with_group
from stratos.base.certificates import identity_of
from stratos.base.clock import Clock
from stratos.base.errors import Unauthorized

_REMEMBERED_CERTIFICATES_MAX = 1024


class ClientCertificates:
    """Takes the word of certificates that the cluster's authority signed: CN is the user, each O a group."""

    def __init__(self, authority_pem: str, clock: Clock) -> None:
        self._authority = x509.load_pem_x509_certificate(authority_pem.encode())
        self._clock = clock
        self._checked: dict[str, tuple[x509.Certificate, User]] = {}

    def user_of(self, certificate_pem: str) -> User:
        known = self._checked.get(certificate_pem)
        if known is None:
            known = self._check(certificate_pem)
            if len(self._checked) >= _REMEMBERED_CERTIFICATES_MAX:
                self._checked.clear()
            self._checked[certificate_pem] = known
        certificate, user = known
        if not certificate.not_valid_before_utc <= self._clock.now() < certificate.not_valid_after_utc:
            raise Unauthorized(f"the client certificate of {user.name} is not valid at this time")
        return user

    def _check(self, certificate_pem: str) -> tuple[x509.Certificate, User]:
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
            certificate.verify_directly_issued_by(self._authority)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise Unauthorized("the client certificate was not issued by this cluster's authority") from error
        if not _may_be_client(certificate):
            raise Unauthorized("the certificate is not meant for clients")
        name, groups = identity_of(certificate)
        if not name:
            raise Unauthorized("the client certificate names no user: it has no common name")
        return certificate, with_group(User(name, groups=groups), ALL_AUTHENTICATED)


def _may_be_client(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usage


class RequestAuthenticator:
    """A token outranks a certificate, as it was sent on purpose. Each part may be left out."""

    def __init__(
        self,
        *,
        tokens: StaticTokens | None = None,
        service_accounts: ServiceAccountTokens | None = None,
        certificates: ClientCertificates | None = None,
    ) -> None:
        self._tokens = tokens
        self._service_accounts = service_accounts
        self._certificates = certificates

    def authenticate(self, credentials: Credentials) -> User | None:
        if credentials.bearer_token:
            return self._by_token(credentials.bearer_token)
        if credentials.client_certificates and self._certificates is not None:
            return self._certificates.user_of(credentials.client_certificates[0])
        return None

    def _by_token(self, token: str) -> User:
        user = self._tokens.user_of(token) if self._tokens is not None else None
        if user is None and self._service_accounts is not None:
            user = self._service_accounts.user_of(token)
        if user is None:
            raise Unauthorized("the bearer token is not known")
        return user
