"""Sending a body to a webhook under a permit, and what was really seen of it (delivery protocol, section 3.5; ledger
format, section 1.5).

``host``, ``port`` and ``path`` of an observation are what was typed into the request; ``sni``, ``peer_ip`` and
``spki_sha256`` are read from the connection that carried it. Left to callers: making the permit, signing, telling the
outcomes apart that are retried, and the entry that settles the attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.ports.permit import Permit

Disclosure = Literal["none", "possible", "confirmed"]
"""``none``: failed before any body byte; ``possible``: body sent, no answer; ``confirmed``: any HTTP status."""


@dataclass(frozen=True, slots=True)
class ObservedDelivery:
    """One request's outcome. Times are integer milliseconds UTC of the injected clock.

    ``started_at_ms`` is the instant at which the first byte was handed to the socket (for ``none``: when the attempt
    began). ``sni``, ``peer_ip`` and ``spki_sha256`` (64 hex digits) are None where no TLS connection stood, ``sni`` also
    where the URL's host is an address. ``error`` says what failed, None where a whole answer came; it names no person
    and quotes nothing of a body. ``is_refused_egress``: the destination is not allowed (not public, not https, another
    port), so no socket was opened. ``is_called_off``: the permit was over or revoked before the first byte.
    ``is_unreached``: the host has no address now, or none of them took a connection: nobody was there to answer.
    ``vetted_addresses`` are all addresses that the host had and that were found allowed for this very attempt, in the
    resolver's order; empty where it did not come so far.
    """

    started_at_ms: int
    ended_at_ms: int
    host: str
    port: int
    path: str
    sni: str | None
    peer_ip: str | None
    spki_sha256: str | None
    status: int | None
    disclosure: Disclosure
    error: str | None
    is_timeout: bool = False
    is_refused_egress: bool = False
    is_called_off: bool = False
    is_unreached: bool = False
    vetted_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An observed request and the first bytes of the answer's body (empty where none came).

    ``body`` is the peer's, who may send back what it was sent: not for logs.
    """

    observed: ObservedDelivery
    body: bytes


class MayStart(Protocol):
    """Given by the registry of attempts in flight; belongs to one permit."""

    def __call__(self) -> int | None:
        """The instant (ms, injected clock) at which the body leaves, which is now; None where it may not leave.

        Asked at most once, immediately before the first byte. None means called off: something was restricted, or it is too
        late. Whoever restricts from then on takes effect after that instant. Must not wait for anything slow.
        """
        ...


class WebhookTransport(Protocol):
    """Puts bodies on TLS connections; safe to call from several threads."""

    def post(self, permit: Permit, headers: Mapping[str, str], body: bytes, may_start: MayStart) -> Answer:
        """POST ``body`` to ``permit.url`` on a connection that belongs to ``permit.endpoint`` alone.

        ``headers`` are added to Host and Content-Length. The host is resolved and vetted anew. Nothing of the request
        leaves when the clock is at or past ``permit.send_before_ms``, the stopwatch at or past ``permit.ends_at_s``, or
        ``may_start()`` is None: all are looked at immediately before the first byte is handed to the socket, and the answer
        then says ``none`` and ``is_called_off``. What ``may_start()`` gave is ``started_at_ms``. Never raises for trouble
        with the network or the peer: that is an answer without status. Takes 3 s at most, waiting for a free connection of
        the endpoint included. Redirects are not followed. Callers that send to one endpoint with many threads at once wait
        for each other here: bound them by endpoint.
        """
        ...

    def challenge(self, endpoint: str, url: str, query: str, headers: Mapping[str, str]) -> Answer:
        """GET ``url`` with ``query`` appended (after ``?`` or ``&``), on a connection that nothing else ever uses.

        ``endpoint`` names the webhook, registered or about to be. Takes 3 s at most; carries no account's data and
        needs no permit. Failures as in :meth:`post`.
        """
        ...

    def forget(self, endpoint: str) -> None:
        """Close the endpoint's connections (it was deleted, moved or failed); one in use closes behind its request."""
        ...

    def close(self) -> None:
        """Close every connection, those in use behind their requests."""
        ...
