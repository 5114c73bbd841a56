"""What proves to a developer that a message is ours: keys, headers, and the ledger's ticket (delivery protocol, 3.5).

Everything here is found by the *webhook id*: the webhook says which app, the app's consumer secret signs, and the
webhook's own keys make the Standard Webhooks signatures. Nothing is found by address, and what is remembered is forgotten
after two seconds, so that a transferred webhook or a new key soon counts in every process.

A webhook gets its first signing key when one is first needed. A new key signs beside the one before it for a day, so
that a developer can take it into use without refusing anything (:meth:`Signing.rotate`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ledger.core.note import Signer
from ledger.core.retry import RETRY_WAITS_MS
from ledger.core.standard_webhooks import format_secret, parse_secret, sign_message
from ledger.core.ticket import TICKET_HEADER, format_ticket
from ledger.core.webhook_auth import SIGNATURE_HEADER, sign_body
from ledger.errors import RejectedError, StoreError
from ledger.ports import Clock, Permit, Randomness
from ledger.ports.registry import Registry
from ledger.ports.sealing import Sealing
from ledger.ports.signing_keys import SigningKey, SigningKeys

CONTENT_TYPE = "application/json"
"""Exactly this, without parameters: libraries compare it."""

KEY_BYTES = 32
OVERLAP_MS = 24 * 60 * 60 * 1_000
SENDER_AGE_MAX_MS = 2_000
SENDERS_KEPT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever signs for one webhook. ``retry_waits_ms`` is its app's schedule."""

    webhook: str
    app: str
    consumer_secret: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    retry_waits_ms: tuple[int, ...]


class WebhookUnknownError(RejectedError):
    """Nobody has registered the webhook, so nobody can sign for it."""


class Signing:
    """Headers for bodies to webhooks. Safe from any thread."""

    def __init__(
        self,
        *,
        registry: Registry,
        sealing: Sealing,
        signing_keys: SigningKeys,
        signer: Signer,
        origin: str,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """``signer`` is the log's key, which signs tickets for the log ``origin``."""
        self._registry = registry
        self._sealing = sealing
        self._keys = signing_keys
        self._signer = signer
        self._origin = origin
        self._clock = clock
        self._randomness = randomness
        self._lock = threading.Lock()
        self._senders: dict[str, tuple[int, Sender]] = {}

    def sender_of(self, webhook: str) -> Sender:
        """Whoever signs for the webhook of this id, at most two seconds old.

        Raises WebhookUnknownError where there is none, StoreError where a secret does not open.
        """
        now_ms = self._clock.now_ms()
        with self._lock:
            loaded_at_ms, sender = self._senders.get(webhook, (0, None))
        # A clock that went back must not keep a secret alive.
        if sender is not None and 0 <= now_ms - loaded_at_ms < SENDER_AGE_MAX_MS:
            return sender
        sender = self._load(webhook, now_ms)
        with self._lock:
            if len(self._senders) >= SENDERS_KEPT_MAX:
                self._senders.clear()
            self._senders[webhook] = (now_ms, sender)
        return sender

    def sign(self, sender: Sender, message: str, body: bytes) -> dict[str, str]:
        """All headers for ``body`` as ``message`` but the ticket: the type, and both kinds of signatures."""
        return {
            "Content-Type": CONTENT_TYPE,
            SIGNATURE_HEADER: sign_body(sender.consumer_secret, body),
            **sign_message(sender.keys, message, self._clock.now_ms() // 1_000, body),
        }

    def sign_delivery(self, sender: Sender, permit: Permit, body: bytes) -> dict[str, str]:
        """All headers for the attempt of ``permit``; the message is the delivery, the same for each attempt."""
        headers = self.sign(sender, permit.delivery, body)
        headers[TICKET_HEADER] = format_ticket(self._origin, permit.seq, permit.leaf_hash, self._signer)
        return headers

    def load_secrets(self, webhook: str) -> list[str]:
        """The secrets that sign for the webhook now, the newest first, as the developer may see them."""
        return [format_secret(key) for key in self._load_keys(webhook, self._clock.now_ms())]

    def rotate(self, webhook: str) -> str:
        """Give the webhook a new secret, which is returned; those before it sign for a day more.

        Raises WebhookUnknownError, and RejectedError where somebody else did so at the same moment.
        """
        if self._registry.load_webhook(webhook) is None:
            raise WebhookUnknownError(f"the webhook {webhook} is unknown")
        now_ms = self._clock.now_ms()
        known = self._keys.load(webhook, now_ms)
        secret = self._new_key(webhook, 1 + max((key.number for key in known), default=0), now_ms)
        if secret is None:
            raise RejectedError("the secret was replaced by somebody else just now")
        with self._lock:
            self._senders.pop(webhook, None)
        return secret

    def _load(self, webhook: str, now_ms: int) -> Sender:
        registered = self._registry.load_webhook(webhook)
        app = None if registered is None else self._registry.load_app(registered.app)
        if app is None:
            raise WebhookUnknownError(f"the webhook {webhook} is unknown")
        return Sender(
            webhook,
            app.app,
            self._sealing.open_secret(f"app/{app.app}/consumer-secret", app.secret_sealed),
            tuple(self._load_keys(webhook, now_ms)),
            app.retry_waits_ms or RETRY_WAITS_MS,
        )

    def _load_keys(self, webhook: str, now_ms: int) -> list[bytes]:
        found = self._keys.load(webhook, now_ms)
        if not found:
            # Whoever else makes the first one at the same time: the one that was added counts.
            self._new_key(webhook, 1, now_ms)
            found = self._keys.load(webhook, now_ms)
        if not found:
            raise StoreError(f"the webhook {webhook} has no key to sign with although one was just made")
        return [parse_secret(self._sealing.open_secret(_context(key), key.secret_sealed)) for key in found]

    def _new_key(self, webhook: str, number: int, now_ms: int) -> str | None:
        """The secret of a new key, or None where its number is taken."""
        secret = format_secret(self._randomness.token(KEY_BYTES))
        key = SigningKey(webhook, number, b"", now_ms)
        sealed = self._sealing.seal_secret(_context(key), secret)
        is_added = self._keys.add(SigningKey(webhook, number, sealed, now_ms), now_ms + OVERLAP_MS)
        return secret if is_added else None


def _context(key: SigningKey) -> str:
    return f"webhook/{key.webhook}/signing-key/{key.number}"
