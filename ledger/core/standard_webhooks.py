"""The headers of the Standard Webhooks specification (version 1, symmetric; delivery protocol, section 3.5).

::

    webhook-id         names the message, the same each time that it is sent again
    webhook-timestamp  when this attempt was signed, in whole seconds since 1970
    webhook-signature  v1,<base64 of HMAC-SHA-256(key, id "." timestamp "." body)>

While a key is being replaced the message is signed with each key that still counts: the signatures stand in one header,
a space between them, and a receiver accepts the message if any of them is right. A key is shown to the developer as a
secret: ``whsec_`` and the base64 of its 24 to 64 bytes.

Left to callers: which keys count, and the clock.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from ledger.core.strict import decode_base64, encode_base64
from ledger.errors import FormatError

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
KEY_BYTES_MIN = 24
KEY_BYTES_MAX = 64

_VERSION = "v1"


def format_secret(key: bytes) -> str:
    """The secret that says ``key``, which has 24 to 64 bytes."""
    assert KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX, "a key has 24 to 64 bytes"
    return SECRET_PREFIX + encode_base64(key)


def parse_secret(secret: str) -> bytes:
    """The key that ``secret`` says; FormatError where it is no secret."""
    if not secret.startswith(SECRET_PREFIX):
        raise FormatError(f"a secret begins with {SECRET_PREFIX}")
    key = decode_base64(secret.removeprefix(SECRET_PREFIX))
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise FormatError(f"a secret says a key of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, not {len(key)}")
    return key


def sign_message(keys: Iterable[bytes], message: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers for ``body`` as the message ``message``, signed at ``timestamp_s`` with each of ``keys``.

    ``message`` is printable ASCII without a full stop: the signed text is joined with those.
    """
    assert "." not in message, "a full stop in the id would make two messages sign as one"
    signed = b"%b.%d.%b" % (message.encode("ascii"), timestamp_s, body)
    return {
        ID_HEADER: message,
        TIMESTAMP_HEADER: str(timestamp_s),
        SIGNATURE_HEADER: " ".join(_signature(key, signed) for key in keys),
    }


def is_signed(key: bytes, message: str, timestamp_s: int, body: bytes, signatures: str) -> bool:
    """Whether one of ``signatures`` (the header's value) is the one that ``key`` gives; in constant time for each.

    Signatures of other versions are passed over. Whether ``timestamp_s`` is recent is for the caller to say.
    """
    expected = _signature(key, b"%b.%d.%b" % (message.encode("ascii"), timestamp_s, body)).encode()
    # All of them are looked at, so that the time says nothing of which one it was.
    right = [
        hmac.compare_digest(expected, given.encode("utf-8", "replace")) for given in signatures.split(" ")
    ]
    return any(right)


def _signature(key: bytes, signed: bytes) -> str:
    return f"{_VERSION},{encode_base64(hmac.digest(key, signed, 'sha256'))}"
