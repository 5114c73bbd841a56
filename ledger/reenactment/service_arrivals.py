"""What arrived where, by the receiving logs, against what had to: the ground truth of a run through a service.

A request counts as right where the event that its body is had to arrive at the very webhook whose server name and path it
came by, at the key of that webhook's developer, signed by that webhook's app. Everything else is *misdelivered*: it reached
somebody whom the account had not let have it, whichever way. A request is an arrival whatever was answered, for its body was
read; only one that was answered with 200 ends the wait for it. So does one that somebody else took with 200: the service has
no reason to send it again.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ledger.reenactment.receivers import Received
from ledger.reenactment.traffic import Event
from ledger.reenactment.world import Webhook, World

LOOK_S = 0.1
"""How often whoever waits looks whether the service still runs."""

_Key = tuple[str, str]
"""The SHA-256 of a body in hex, and a webhook."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of everything that had to arrive; ``duplicates`` were answered with 200 before."""

    expected: int
    arrived: int
    lost: int
    requests: int
    misdelivered: int
    duplicates: int


class Arrivals:
    """Everything that has to arrive at the webhooks of ``world``, and all that did. Safe from any thread."""

    def __init__(self, world: World) -> None:
        """Begin with nothing expected."""
        self._world = world
        self._webhooks = {(webhook.host, webhook.path): webhook for webhook in world.webhooks}
        self._changed = threading.Condition()
        self._meant: dict[str, set[str]] = {}
        self._waiting: dict[_Key, str] = {}
        self._answered: Counter[_Key] = Counter()
        self._log: list[tuple[Received, bool]] = []

    def expect(self, event: Event, endpoints: Collection[str]) -> None:
        """``event`` is going to be handed in, and has to arrive at the webhooks ``endpoints``."""
        body = hashlib.sha256(event.body).hexdigest()
        with self._changed:
            self._meant.setdefault(body, set()).update(endpoints)
            self._waiting.update({(body, endpoint): event.account for endpoint in endpoints})

    def note(self, received: Received) -> None:
        """Take note of one request in a receiving log; challenges are passed over."""
        if received.method != "POST":
            return
        webhook = self._webhooks.get((received.sni, received.target))
        body = received.body_sha256
        with self._changed:
            is_right = webhook is not None and self._is_meant(webhook, body, received)
            self._log.append((received, is_right))
            if received.status == 200:
                if webhook is not None and is_right:
                    self._answered[body, webhook.endpoint] += 1
                    self._waiting.pop((body, webhook.endpoint), None)
                else:
                    self._give_up(body)
            self._changed.notify_all()

    def _give_up(self, body: str) -> None:
        """Wait no more for one of the deliveries of ``body``: somebody else took it, and which one it was nobody can tell."""
        gone = next((key for key in self._waiting if key[0] == body), None)
        if gone is not None:
            del self._waiting[gone]

    def _is_meant(self, webhook: Webhook, body: str, received: Received) -> bool:
        return (
            webhook.endpoint in self._meant.get(body, ())
            and received.developer == self._world.developer_of(webhook)
            and received.signed_by == webhook.app
        )

    def waiting(self, account: str | None = None) -> set[str]:
        """The developers that something has yet to arrive at, of ``account`` or of anybody."""
        with self._changed:
            return {
                self._world.developer_of(self._world.webhook(endpoint))
                for (_, endpoint), whose in self._waiting.items()
                if account in (None, whose)
            }

    def count_waiting(self, developer: str) -> int:
        """How much has yet to arrive at ``developer``."""
        with self._changed:
            return sum(
                self._world.developer_of(self._world.webhook(endpoint)) == developer
                for _, endpoint in self._waiting
            )

    def count_arrived(self) -> int:
        """How many deliveries have arrived and were answered."""
        with self._changed:
            return len(self._answered)

    def wait(self, is_over: Callable[[], bool], check: Callable[[], None], idle_s: float) -> bool:
        """Wait until ``is_over()``; False where nothing at all arrived for ``idle_s`` seconds before that.

        ``check`` is called all the while, and raises where there is no sense in waiting.
        """
        seen, since_s = -1, time.monotonic()
        while not is_over():
            check()
            with self._changed:
                if len(self._log) != seen:
                    seen, since_s = len(self._log), time.monotonic()
                elif time.monotonic() - since_s > idle_s:
                    return False
                self._changed.wait(LOOK_S)
        return True

    def tally(self) -> Tally:
        """What came of it all so far."""
        with self._changed:
            expected = sum(len(endpoints) for endpoints in self._meant.values())
            return Tally(
                expected=expected,
                arrived=len(self._answered),
                lost=len(self._waiting),
                requests=len(self._log),
                misdelivered=sum(not is_right for _, is_right in self._log),
                duplicates=self._answered.total() - len(self._answered),
            )

    def truth_rows(self) -> Iterator[dict[str, Any]]:
        """The ground truth, request by request: whose key ended the connection, and for whom the body was meant."""
        with self._changed:
            log = [*self._log]
        for received, is_right in log:
            body = received.body_sha256
            yield {
                "delivery": received.delivery,
                "body_sha256": body,
                "meant_for": sorted(
                    self._world.developer_of(self._world.webhook(endpoint))
                    for endpoint in self._meant.get(body, ())
                ),
                "received_developer": received.developer,
                "received_sni": received.sni,
                "received_path": received.target,
                "received_spki_sha256": received.spki_sha256,
                "signed_by": received.signed_by,
                "status": received.status,
                "misdelivered": not is_right,
            }
