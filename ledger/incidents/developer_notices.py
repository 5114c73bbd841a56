"""Telling a developer that it has something to delete (incidents and exports, section 5.3).

By its own webhooks, in a message that says how many deliveries and until when, and nothing of them: the list is behind the
developer's key. One webhook that takes it is enough, and the obligation is ``NOTIFIED``. A developer without a webhook, or
whose webhooks take nothing, is notified when it reads the obligation; its deadlines run either way.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ledger.errors import LedgerError
from ledger.gateway.messages import Messages, obligation_notice
from ledger.incidents.obligation_moves import LEDGER
from ledger.incidents.obligation_states import deadlines_of
from ledger.incidents.obligations import ObligationDesk
from ledger.ports import Clock
from ledger.ports.obligations import Obligation
from ledger.ports.registry import Registry

TRIED_EVERY_MS = 600_000

log = structlog.get_logger()


class DeveloperNotices:
    """Tells developers. One run at a time; what was tried when is remembered in memory alone."""

    def __init__(
        self, *, desk: ObligationDesk, registry: Registry, messages: Callable[[], Messages], clock: Clock
    ) -> None:
        """``messages`` is asked for when there is something to send."""
        self._desk = desk
        self._registry = registry
        self._messages = messages
        self._clock = clock
        self._tried_ms: dict[str, int] = {}

    def run_once(self) -> int:
        """Tell every developer that was not told yet; how many were told now."""
        told = 0
        for one in self._desk.load_all():
            now_ms = self._clock.now_ms()
            if one.state != "OPENED" or now_ms - self._tried_ms.get(one.obligation, 0) < TRIED_EVERY_MS:
                continue
            self._tried_ms[one.obligation] = now_ms
            if self.tell(one):
                self._desk.note_notified(one, LEDGER)
                told += 1
        return told

    def tell(self, obligation: Obligation) -> bool:
        """Send the message to each of the developer's webhooks; whether one has taken it. Never raises for their trouble."""
        acknowledge, delete, attest = deadlines_of(obligation)
        message = obligation_notice(
            obligation.obligation, obligation.deliveries, acknowledge.by_ms, delete.by_ms, attest.by_ms
        )
        is_taken = False
        for app in self._registry.load_apps(obligation.developer):
            for webhook in self._registry.load_webhooks(app.app):
                if not webhook.is_valid:
                    continue
                try:
                    status = self._messages().send(webhook, message).observed.status
                except LedgerError as error:
                    log.warning("obligations.not_told", webhook=webhook.webhook, reason=str(error))
                    continue
                is_taken = is_taken or (status is not None and 200 <= status < 300)
        return is_taken
