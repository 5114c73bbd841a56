"""Messages of the service's own to a webhook: they tell nothing of any account (delivery protocol, section 3.5).

How a replay ended, a test that a developer asked for, and that it has to delete something. They are signed like
deliveries, under the webhook's own keys, but carry no ticket: nothing was decided about anybody's data, so there is no entry,
and no permit. That they hold nobody's data is seen to by there being no other way to make one than the functions here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ledger.gateway.signing import Signing
from ledger.ports import Clock
from ledger.ports.registry import Webhook
from ledger.ports.sending import Answer

COMPLETE = "Complete"
INCOMPLETE = "Incomplete"
_DESCRIPTIONS: Mapping[str, str] = {
    COMPLETE: "Job completed successfully",
    INCOMPLETE: "Job failed to deliver all events, please retry your replay job",
}

_encode = msgspec.json.encode


class MessageTransport(Protocol):
    """Sends what is no account's data; safe to call from several threads."""

    def tell(self, endpoint: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST ``body`` to ``url`` on a connection that nothing else ever uses.

        ``endpoint`` names the webhook. Takes 3 s at most; carries no account's data and needs no permit. Failures are
        answers without status, never exceptions.
        """
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A message to one webhook; ``message`` is its id, the same each time that it is sent."""

    message: str
    body: bytes


def replay_status(job: str, webhook: str, *, is_complete: bool) -> Message:
    """How the replay ``job`` to ``webhook`` ended."""
    state = COMPLETE if is_complete else INCOMPLETE
    told = {
        "webhook_id": webhook,
        "job_state": state,
        "job_state_description": _DESCRIPTIONS[state],
        "job_id": job,
    }
    return Message(f"replay-{job}", _encode({"replay_job_status": told}))


def event_of_a_test(webhook: str, at_ms: int) -> Message:
    """An event that says only that it is a test."""
    told = {"webhook_id": webhook, "timestamp_ms": str(at_ms)}
    return Message(f"test-{webhook}-{at_ms}", _encode({"test_event": told}))


def obligation_notice(
    obligation: str, deliveries: int, acknowledge_by_ms: int, delete_by_ms: int, attest_by_ms: int
) -> Message:
    """That the developer has an obligation to delete, of how many deliveries and until when; which, its list says."""
    told = {
        "obligation": obligation,
        "deliveries": deliveries,
        "acknowledge_by_ms": str(acknowledge_by_ms),
        "delete_by_ms": str(delete_by_ms),
        "attest_by_ms": str(attest_by_ms),
        "read_it_at": f"/v1/obligations/{obligation}",
    }
    return Message(f"obligation-{obligation}", _encode({"deletion_obligation": told}))


class Messages:
    """Sends messages. Safe from any thread."""

    def __init__(self, *, transport: MessageTransport, signing: Signing, clock: Clock) -> None:
        self._transport = transport
        self._signing = signing
        self._clock = clock

    def send(self, webhook: Webhook, message: Message) -> Answer:
        """Send ``message`` once; raises StoreError or WebhookUnknownError where nobody can sign for the webhook."""
        sender = self._signing.sender_of(webhook.webhook)
        headers = self._signing.sign(sender, message.message, message.body)
        return self._transport.tell(webhook.webhook, webhook.url, headers, message.body)

    def send_test(self, webhook: Webhook) -> Answer:
        """Send a test event once; raises as :meth:`send`."""
        return self.send(webhook, event_of_a_test(webhook.webhook, self._clock.now_ms()))
