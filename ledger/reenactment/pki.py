"""A private certificate authority and one TLS key per developer, all derived from a seed.

Whose key ended a connection is the reenactment's ground truth, so every developer has exactly one key (EC
P-256, for quick handshakes), in one certificate for all of its host names. Keys come from the seed so that a
run can be repeated to the byte: they protect a play on loopback and nothing else, and are never a service's
keys.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_NOT_BEFORE = datetime.datetime(2017, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(2117, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A developer's certificate and key, as PEM, and the SHA-256 of its SubjectPublicKeyInfo in hex."""

    certificate_pem: bytes
    key_pem: bytes
    spki_sha256: str


class Authority:
    """Signs the certificates of one reenactment; ``certificate_pem`` is what its dispatchers trust."""

    def __init__(self, seed: str) -> None:
        """Derive the authority's own key and certificate from ``seed``."""
        self._seed = seed
        self._key = _derive_key(seed, "authority")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reenactment authority")])
        certificate = (
            _builder(self._name, self._key, seed, "authority")
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_key_usage(is_authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_pem = certificate.public_bytes(Encoding.PEM).decode("ascii")

    def issue(self, developer: str, hosts: Sequence[str]) -> Leaf:
        """The leaf of ``developer`` for the DNS names ``hosts``, at least one; its key depends on the seed alone."""
        key = _derive_key(self._seed, f"developer/{developer}")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, developer)])
        certificate = (
            _builder(subject, key, self._seed, f"developer/{developer}")
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Leaf(
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            hashlib.sha256(spki).hexdigest(),
        )


def server_context(leaf: Leaf) -> ssl.SSLContext:
    """A server's TLS context that holds ``leaf`` and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without tickets nothing is resumed: the key that the truth is read from signs each handshake.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    # The ssl module loads keys from files only; the file is gone before the first connection.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "leaf.pem")
        path.write_bytes(leaf.key_pem + leaf.certificate_pem)
        context.load_cert_chain(path)
    return context


def _derive_key(seed: str, name: str) -> ec.EllipticCurvePrivateKey:
    digest = hashlib.sha512(f"reenactment key/{seed}/{name}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(digest) % (_ORDER - 1) + 1, _CURVE)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, seed: str, name: str
) -> x509.CertificateBuilder:
    serial = int.from_bytes(hashlib.sha256(f"reenactment serial/{seed}/{name}".encode()).digest()[:16])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(serial | 1)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
    )


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
