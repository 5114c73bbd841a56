"""Who a webhook belongs to and who signed a body: challenge answers and body signatures (delivery protocol, 3.4, 3.5).

Both are HMAC-SHA-256 under the app's consumer secret, written as ``sha256=`` and padded base64. The published
example: secret ``cs`` and challenge token ``foo`` give
``sha256=FaSoWf75xcMaRfgSc+15MoXxubTMQhRtwA+gdSiCVK4=``.

Rules kept here: comparison takes the same time wherever the texts differ; a challenge answer is judged to a
value with the platform's own reason text, never to an exception. Left to callers: sending, timing, and what
an invalid webhook means for its deliveries.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from ledger.core.strict import encode_base64

SIGNATURE_HEADER = "x-twitter-webhooks-signature"
"""Name of the header that carries the signature of a delivered body or of a challenge's raw query string."""

CHALLENGE_ANSWER_BYTES_MAX = 4096
"""Longest challenge answer that is looked at; a longer one is not the expected JSON object."""

_WRONG_ANSWER = "Webhook URL does not meet the requirements. Invalid CRC token or json response format."
_NOT_REACHED = "Webhook URL does not meet the requirements."
_TOO_SLOW = "High latency on CRC GET request. Your webhook should respond in less than 3 seconds."
_NOT_200 = "Non-200 response code during CRC GET request (i.e. 404, 500, etc)."


@dataclass(frozen=True, slots=True)
class ChallengePassed:
    """The webhook proved that its server knows the app's consumer secret."""


@dataclass(frozen=True, slots=True)
class ChallengeFailed:
    """The webhook did not prove it; ``reason`` is the text developers know, ``is_transient`` says to ask again."""

    reason: str
    is_transient: bool


def _hmac_text(consumer_secret: str, message: bytes) -> str:
    digest = hmac.new(consumer_secret.encode(), message, hashlib.sha256).digest()
    return "sha256=" + encode_base64(digest)


def response_token(consumer_secret: str, crc_token: str) -> str:
    """The answer to challenge ``crc_token`` by the holder of ``consumer_secret``: 51 ASCII characters."""
    return _hmac_text(consumer_secret, crc_token.encode())


def sign_body(consumer_secret: str, body: bytes) -> str:
    """The signature header's value for exactly these ``body`` bytes (or a challenge's raw query string)."""
    return _hmac_text(consumer_secret, body)


def is_body_signature(consumer_secret: str, body: bytes, signature: str) -> bool:
    """Whether ``signature`` is what ``consumer_secret`` gives for ``body``; in constant time."""
    return hmac.compare_digest(
        sign_body(consumer_secret, body).encode(), signature.encode("utf-8", "replace")
    )


def check_challenge(
    consumer_secret: str,
    crc_token: str,
    status: int | None,
    answer: bytes,
    timed_out: bool = False,
    unreached: bool = False,
) -> ChallengePassed | ChallengeFailed:
    """Judge what came back for challenge ``crc_token``.

    ``status`` is the HTTP status, or None where there was none: then ``timed_out`` tells a late answer and
    ``unreached`` a host that has no address or takes no connection (both transient: a server that is
    restarted looks like that) from a TLS handshake that failed (final). 2xx with anything but the right token and
    3xx are final, 4xx and 5xx transient (delivery protocol, section 3.4).
    """
    if status is None:
        return ChallengeFailed(_TOO_SLOW if timed_out else _NOT_REACHED, is_transient=timed_out or unreached)
    if status >= 400:
        return ChallengeFailed(_NOT_200, is_transient=True)
    if not 200 <= status < 300:
        return ChallengeFailed(_NOT_200, is_transient=False)
    given = _token_in(answer)
    expected = response_token(consumer_secret, crc_token)
    if given is None or not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
        return ChallengeFailed(_WRONG_ANSWER, is_transient=False)
    return ChallengePassed()


def _token_in(answer: bytes) -> str | None:
    if len(answer) > CHALLENGE_ANSWER_BYTES_MAX:
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    token = value.get("response_token") if isinstance(value, dict) else None
    return token if isinstance(token, str) else None
