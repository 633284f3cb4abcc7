"""X.509: authorities, the certificates they issue, and what a certificate says. All of it PEM, with P-256 keys.

Keys are random by nature, so they do not come through the door as other chance does; the time does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate_pem: str
    key_pem: str

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem.encode())

    @property
    def belongs_together(self) -> bool:
        """Whether the key is the certificate's own, and of our kind. Raises `ValueError` for what is neither."""
        try:
            key = serialization.load_pem_private_key(self.key_pem.encode(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"the key cannot be read: {error}") from error
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == self.certificate.public_key()


def new_key_pem() -> str:
    """A fresh P-256 private key."""
    return _key_text(ec.generate_private_key(ec.SECP256R1()))


def create_authority(name: str, now: datetime, life: timedelta = AUTHORITY_LIFE) -> KeyPair:
    """A self-signed certificate that may sign others, and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return KeyPair(_text(builder.sign(key, hashes.SHA256())), _key_text(key))


def issue_serving(
    authority: KeyPair, name: str, hosts: Iterable[str], now: datetime, life: timedelta = LEAF_LIFE
) -> KeyPair:
    """A certificate for the server ``name``, which answers to these names and addresses."""
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return _issue(authority, subject, ExtendedKeyUsageOID.SERVER_AUTH, now, life, names)


def issue_client(authority: KeyPair, user: str, groups: Iterable[str], now: datetime) -> KeyPair:
    """A certificate that makes its holder ``user``, a member of ``groups``."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    return _issue(authority, subject, ExtendedKeyUsageOID.CLIENT_AUTH, now, LEAF_LIFE, None)


def _issue(
    authority: KeyPair,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    now: datetime,
    life: timedelta,
    names: x509.SubjectAlternativeName | None,
) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(authority.key_pem.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey), "authorities are made here, with P-256 keys"
    issuer = authority.certificate
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(subject, issuer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(identifier, critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return KeyPair(_text(builder.sign(signer, hashes.SHA256())), _key_text(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def identity_of(certificate: x509.Certificate) -> tuple[str, tuple[str, ...]]:
    """The user and groups a client certificate speaks for."""
    names = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (names[0] if names else ""), tuple(str(attribute.value) for attribute in groups)


def serves(certificate: x509.Certificate, hosts: Iterable[str]) -> bool:
    """Whether it is for exactly these names and addresses."""
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(named) == {_general_name(host) for host in hosts}


def was_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
