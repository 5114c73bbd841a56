"""Envelopes of signed statements: DSSE, with Ed25519 and canonical JSON (https://github.com/secure-systems-lab/dsse).

::

    {"payload": base64 of the payload, "payloadType": text, "signatures": [{"keyid": hex, "sig": base64}]}
    signed bytes: "DSSEv1" SP len(type) SP type SP len(payload) SP payload

What is signed is the pre-authentication encoding, which says what sort of statement it is: a signature over one sort never
passes for one over another, nor for one under a note. Strict both ways: one signature, standard base64, a payload of
canonical bytes (ledger format, section 1.1). ``keyid`` names no key to trust and is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.core.canonical import JsonValue, decode, encode
from ledger.core.strict import decode_base64, encode_base64
from ledger.errors import FormatError

SIGNATURE_BYTES = 64
_PREFIX = b"DSSEv1"


class Envelope(NamedTuple):
    """A statement of a type, and a signature (64 bytes) that nobody has verified yet."""

    payload_type: str
    statement: dict[str, JsonValue]
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return pre_auth(self.payload_type, self.statement)


def pre_auth(payload_type: str, statement: Mapping[str, JsonValue]) -> bytes:
    """The bytes that are signed for ``statement``; FormatError when it has no canonical form."""
    payload, kind = encode(dict(statement)), payload_type.encode("ascii")
    return b"%b %d %b %d %b" % (_PREFIX, len(kind), kind, len(payload), payload)


def format_envelope(envelope: Envelope, key_id: str) -> dict[str, JsonValue]:
    """The envelope as a JSON object."""
    return {
        "payload": encode_base64(encode(envelope.statement)),
        "payloadType": envelope.payload_type,
        "signatures": [{"keyid": key_id, "sig": encode_base64(envelope.signature)}],
    }


def parse_envelope(stated: object) -> Envelope:
    """The envelope in a JSON value; FormatError where it is none, or not strictly one."""
    if not isinstance(stated, dict) or set(stated) != {"payload", "payloadType", "signatures"}:
        raise FormatError("an envelope has the members payload, payloadType and signatures")
    payload, kind, signatures = stated["payload"], stated["payloadType"], stated["signatures"]
    if not isinstance(payload, str) or not isinstance(kind, str) or not kind.isascii():
        raise FormatError("payload and payloadType of an envelope are text")
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise FormatError("an envelope has exactly one signature")
    signed = signatures[0]
    if not set(signed) <= {"keyid", "sig"} or not isinstance(signed.get("sig"), str):
        raise FormatError("a signature has a sig, and perhaps a keyid")
    signature = decode_base64(signed["sig"])
    if len(signature) != SIGNATURE_BYTES:
        raise FormatError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return Envelope(kind, decode(decode_base64(payload)), signature)
