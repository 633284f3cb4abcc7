"""The cluster's own authority and the certificates it issues, made once and kept under the data directory.

Keys are random by nature, so they do not come through the door as other chance does; the time does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stratos.apiserver.auth.files import write_whole
from stratos.base.clock import Clock

_AUTHORITY_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(minutes=5)

SERVICE_HOSTS = (
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1",
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate_pem: str
    key_pem: str

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem.encode())


def new_key_pem() -> str:
    """A fresh P-256 private key."""
    return _key_text(ec.generate_private_key(ec.SECP256R1()))


def create_authority(name: str, now: datetime) -> KeyPair:
    """A self-signed certificate that may sign others, and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, subject, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return KeyPair(_text(builder.sign(key, hashes.SHA256())), _key_text(key))


def issue_serving(authority: KeyPair, hosts: Iterable[str], now: datetime) -> KeyPair:
    """A certificate for a server that answers to these names and addresses."""
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    return _issue(authority, subject, ExtendedKeyUsageOID.SERVER_AUTH, now, names)


def issue_client(authority: KeyPair, user: str, groups: Iterable[str], now: datetime) -> KeyPair:
    """A certificate that makes its holder ``user``, a member of ``groups``."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    return _issue(authority, subject, ExtendedKeyUsageOID.CLIENT_AUTH, now, None)


def _issue(
    authority: KeyPair,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    now: datetime,
    names: x509.SubjectAlternativeName | None,
) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(authority.key_pem.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey), "authorities are made here, with P-256 keys"
    issuer = authority.certificate
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(subject, issuer.subject, key.public_key(), now, _LEAF_LIFE)
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


class CertificateStore:
    """Certificates in a directory: read when they are there and good for a while, else issued and written.

    Keys are readable by their owner alone. Files are replaced whole, so a crash leaves the old or the new one.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self._clock = clock

    def authority(self) -> KeyPair:
        if (kept := self._read("ca")) is not None:
            return kept
        return self._write("ca", create_authority("stratos", self._clock.now()))

    def serving(self, hosts: Iterable[str] = SERVICE_HOSTS) -> KeyPair:
        """The API server's own. Asked for other hosts than last time, it is issued anew."""
        wanted = tuple(dict.fromkeys(hosts))
        kept = self._usable("apiserver")
        if kept is not None and _hosts_of(kept.certificate) == {_general_name(host) for host in wanted}:
            return kept
        return self._write("apiserver", issue_serving(self.authority(), wanted, self._clock.now()))

    def client(self, user: str, groups: Iterable[str] = ()) -> KeyPair:
        name = f"client-{user.replace(':', '-').replace('/', '-')}"
        wanted = tuple(groups)
        kept = self._usable(name)
        if kept is not None and identity_of(kept.certificate) == (user, wanted):
            return kept
        return self._write(name, issue_client(self.authority(), user, wanted, self._clock.now()))

    def service_account_key(self) -> str:
        """The private key that signs service account tokens; losing it makes all of them worthless."""
        path = self.directory / "service-accounts.key"
        if not path.exists():
            write_whole(path, new_key_pem(), private=True)
        return path.read_text()

    def paths(self, name: str) -> tuple[Path, Path]:
        """Where the certificate and the key called ``name`` (``ca``, ``apiserver``) are kept."""
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def _read(self, name: str) -> KeyPair | None:
        certificate, key = self.paths(name)
        return KeyPair(certificate.read_text(), key.read_text()) if certificate.exists() and key.exists() else None

    def _usable(self, name: str) -> KeyPair | None:
        kept = self._read(name)
        if kept is None or kept.certificate.not_valid_after_utc - self._clock.now() < _RENEW_BEFORE:
            return None
        try:
            kept.certificate.verify_directly_issued_by(self.authority().certificate)
        except (ValueError, TypeError, InvalidSignature):
            return None
        return kept

    def _write(self, name: str, pair: KeyPair) -> KeyPair:
        certificate, key = self.paths(name)
        certificate.unlink(missing_ok=True)  # until the last write, there is no pair
        write_whole(key, pair.key_pem, private=True)
        write_whole(certificate, pair.certificate_pem, private=False)
        return pair


def identity_of(certificate: x509.Certificate) -> tuple[str, tuple[str, ...]]:
    """The user and groups a client certificate speaks for."""
    names = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (names[0] if names else ""), tuple(str(attribute.value) for attribute in groups)


def _hosts_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
