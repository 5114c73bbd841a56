"""POST to a witness that is not trusted: bounded in bytes and time (C2SP tlog-witness; transparency formats, section 4.6).

Implements :class:`ledger.ports.cosigning.WitnessCalls`. Connections are kept between seals, as the protocol asks. Nothing is
tried twice here: whoever asks knows what a second try would mean.
"""

from __future__ import annotations

import time

import httpx

from ledger.core.add_checkpoint import ANSWER_BYTES_MAX
from ledger.errors import StoreError
from ledger.ports.cosigning import WitnessAnswer
from ledger.transport.tls import client_context

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 8.0
"""Longest time for a whole answer, however steadily it drips."""


class HttpWitnessCalls:
    """The way to witnesses over HTTP; ``trusted_ca_pem`` are authorities to trust instead of the system's."""

    def __init__(self, trusted_ca_pem: str | None = None, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Connect to nothing yet."""
        self._answer_seconds = answer_seconds
        self._client = httpx.Client(
            timeout=httpx.Timeout(answer_seconds, connect=min(CONNECT_SECONDS, answer_seconds)),
            verify=client_context(trusted_ca_pem),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        """Send ``body`` to ``url`` once (see the port)."""
        until_s = time.monotonic() + self._answer_seconds
        # What is packed could unpack to any size, and an answer of a few lines need not be.
        headers = {"content-type": "text/plain; charset=utf-8", "accept-encoding": "identity"}
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as answer:
                media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                return WitnessAnswer(answer.status_code, media_type, _read(answer, until_s))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise StoreError(f"it cannot be reached: {str(error) or type(error).__name__}") from error


def _read(answer: httpx.Response, until_s: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise StoreError(f"it answered with more than {ANSWER_BYTES_MAX:,} bytes")
        parts.append(part)
        if time.monotonic() > until_s:
            raise StoreError("its answer did not end in time")
    return b"".join(parts)
