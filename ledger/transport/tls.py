"""Whom connections trust, and whose key ended one (delivery protocol, section 3.5; ledger format, section 1.5)."""

from __future__ import annotations

import hashlib
import ssl
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def client_context(trusted_ca_pem: str | None = None) -> ssl.SSLContext:
    """A verifying client context: the system's authorities, or only those in ``trusted_ca_pem``.

    A certificate has to name the host among its alternative names; its common name says nothing. What was seen at the
    handshake stays true of the connection: it is never negotiated again.
    """
    context = ssl.create_default_context(cadata=trusted_ca_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=4096)
def spki_sha256(certificate_der: bytes) -> str:
    """SHA-256 over the SubjectPublicKeyInfo of a DER certificate, as 64 lower-case hex digits."""
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
