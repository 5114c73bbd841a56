"""What was meant, what was seen and what is true of each attempt; the truth is read from the receiving logs.

Ground truth is whose TLS key ended the connection that carried an attempt (delivery protocol, section 3.7):
the entry of the receiving log with the attempt's delivery id and number, whose body must be the one that was
sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.ports.sending import Disclosure, ObservedDelivery
from ledger.reenactment.receivers import Received


@dataclass(frozen=True, slots=True)
class AttemptTruth:
    """One attempt: what was meant, what the sender saw, and whose key really ended its connection.

    ``received_developer`` and what follows it come from the receiving log, None where nobody received
    anything. ``observed`` is as the transport saw it, at virtual times; ``signed_by`` is the app of the
    *receiving* developer whose secret verifies the signature that came.
    """

    delivery: str
    attempt: int
    event: str
    event_type: str
    account: str
    subjects: tuple[str, ...]
    is_private: bool
    is_replay: bool
    worker: str
    resolved_ip: str
    intended_developer: str
    intended_app: str
    intended_endpoint: str
    signing_app: str
    started_at_ms: int
    ended_at_ms: int
    observed: ObservedDelivery
    body_sha256: str
    received_developer: str | None = None
    received_host_header: str | None = None
    received_sni: str | None = None
    received_spki_sha256: str | None = None
    signed_by: str | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status, None without an answer."""
        return self.observed.status

    @property
    def disclosure(self) -> Disclosure:
        """Whether the body left the sender."""
        return self.observed.disclosure

    @property
    def is_misdelivered(self) -> bool:
        """Whether a developer received it whom it was not meant for."""
        return self.received_developer not in (None, self.intended_developer)


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """One challenge of a webhook; ``reason`` is None where it passed."""

    at_ms: int
    endpoint: str
    address: str
    latency_ms: int
    status: int | None
    reason: str | None


def join_truth(attempts: Sequence[AttemptTruth], logs: Sequence[Received]) -> tuple[AttemptTruth, ...]:
    """Join the attempts with the receiving logs; what no log or two logs explain cannot be."""
    received: dict[tuple[str | None, int | None], Received] = {}
    for entry in logs:
        if entry.delivery is None:
            continue
        if (entry.delivery, entry.attempt) in received:
            raise AssertionError(f"attempt {entry.attempt} of {entry.delivery} was received twice")
        received[entry.delivery, entry.attempt] = entry
    return tuple(_joined(attempt, received.get((attempt.delivery, attempt.attempt))) for attempt in attempts)


def _joined(attempt: AttemptTruth, entry: Received | None) -> AttemptTruth:
    if entry is None:
        if attempt.disclosure == "confirmed":
            raise AssertionError(f"{attempt.delivery} was answered by nobody")
        return attempt
    if entry.body_sha256 != attempt.body_sha256:
        raise AssertionError(f"{attempt.delivery} arrived with another body")
    return replace(
        attempt,
        received_developer=entry.developer,
        received_host_header=entry.host_header,
        received_sni=entry.sni,
        received_spki_sha256=entry.spki_sha256,
        signed_by=entry.signed_by,
    )
