"""GET from a server that is not trusted: bounded in bytes and time, tried again where that may help.

A body is read as it arrives and unpacked under a bound, so neither a long one nor a small one that unpacks to a long one
takes more memory than the caller said. Redirects are not followed: a key presented to one server is not for another. What
the bytes are worth is for the caller to find out.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from ledger.errors import StoreError, UsageError
from ledger.transport.tls import client_context

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 15.0
"""Longest wait for the next bytes."""
REQUEST_SECONDS = 60.0
"""Longest time for one whole answer, however steadily it drips."""
TRIES = 4
WAIT_SECONDS = 0.25
"""Wait before the second try; each further one is twice as long."""
WAIT_SECONDS_MAX = 5.0
CONNECTIONS = 16

_GZIP = 16 + zlib.MAX_WBITS
_PASSING = frozenset({429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def check_base_url(text: str, *, with_key: bool = False) -> str:
    """``text`` without its final slash if it is the http or https URL of a prefix; else UsageError.

    With ``with_key`` it has to be https, but on this machine: a key is not sent in clear.
    """
    try:
        parts = urlsplit(text)
        host, is_plain = parts.hostname, parts.scheme == "http"
        _ = parts.port
    except ValueError:
        host, is_plain, parts = None, False, urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise UsageError(f"{text!r} is no URL of a log: write for example https://ledger.example/log")
    if with_key and is_plain and host not in _LOOPBACK:
        raise UsageError(
            f"an API key would go to {host} in clear: write the URL with https, or leave the key out"
        )
    return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its status, and its body unpacked (empty but for 200)."""

    status: int
    body: bytes


class _TryAgainError(Exception):
    """This try failed in a way that another one may not; ``wait_s`` is what the server asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Fetcher:
    """GETs below ``base_url``, presenting ``api_key`` where there is one. Safe from any number of threads; close it.

    ``trusted_ca_pem`` are authorities to trust instead of the system's.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        trusted_ca_pem: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nothing yet; raises UsageError where ``base_url`` cannot be asked."""
        self._base_url = check_base_url(base_url, with_key=api_key is not None)
        self._headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        self._sleep = sleep
        self._client = httpx.Client(
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            verify=client_context(trusted_ca_pem),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, bytes_max: int) -> Fetched:
        """What the server answers at ``path`` below the base URL; a body of more than ``bytes_max`` is refused.

        Raises StoreError when the server cannot be reached, keeps failing, or answers with too much.
        """
        url = f"{self._base_url}/{path}"
        for number in range(1, TRIES + 1):
            try:
                return self._try(url, bytes_max)
            except _TryAgainError as error:
                if number == TRIES:
                    raise StoreError(f"{url}: {error}; tried {TRIES} times") from error
                wait_s = WAIT_SECONDS * 2.0 ** (number - 1) if error.wait_s is None else error.wait_s
                self._sleep(min(wait_s, WAIT_SECONDS_MAX))
        raise AssertionError("the last try returns or raises")

    def _try(self, url: str, bytes_max: int) -> Fetched:
        headers = {**self._headers, "accept-encoding": "gzip, identity"}
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                if answer.status_code in _PASSING:
                    raise _TryAgainError(f"the server answers {answer.status_code}", _asked_wait(answer))
                if answer.status_code != 200:
                    return Fetched(answer.status_code, b"")
                return Fetched(200, _read_body(answer, url, bytes_max))
        except httpx.TransportError as error:
            raise _TryAgainError(str(error) or type(error).__name__) from error
        except httpx.InvalidURL as error:
            raise UsageError(f"{url} cannot be asked: {error}") from error


def _read_body(answer: httpx.Response, url: str, bytes_max: int) -> bytes:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise StoreError(f"{url}: the body is encoded as {encoding!r}, which was not asked for")
    unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    until_s = time.monotonic() + REQUEST_SECONDS
    parts: list[bytes] = []
    size = 0
    for raw in answer.iter_raw():
        try:
            # One byte more than may be tells what is too long from what just fits.
            part = raw if unpack is None else unpack.decompress(raw, bytes_max + 1 - size)
        except zlib.error as error:
            raise _TryAgainError(f"the body is no gzip ({error})") from error
        size += len(part)
        parts.append(part)
        if size > bytes_max:
            raise StoreError(f"{url}: the body has more than the {bytes_max:,} bytes that it may have")
        if time.monotonic() > until_s:
            raise _TryAgainError(f"the body did not arrive within {REQUEST_SECONDS:g} s")
    if unpack is not None and not unpack.eof:
        raise _TryAgainError("the body ends in the middle")
    return b"".join(parts)


def _asked_wait(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
