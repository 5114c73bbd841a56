"""Restrictions that have been announced and not recorded yet (ledger format, section 1.5).

What restricts is announced to whoever holds permits before the clock is read for it, so that no first byte leaves between the
instant at which it takes effect and the moment at which it is durable. An announcement stands until it is known what became
of the restriction: after a write of unclear outcome, until the log has been read again.
"""

from __future__ import annotations

from ledger.ports import Announce, Announced
from ledger.sequencer.calls import Items
from ledger.sequencer.draft import Draft


class Announcements:
    """The announcements of one sequencer, made by ``announce``; with None nobody is told.

    Made by the thread that judges, closed by the one that knows what became of them.
    """

    def __init__(self, announce: Announce | None) -> None:
        self._announce = announce
        self._standing: list[Announced] = []

    def make(self, items: Items) -> Announced | None:
        """Announce what of ``items`` may restrict; None where nothing does."""
        if self._announce is None:
            return None
        announced = self._announce([item.members for item in items if isinstance(item, Draft)])
        if announced is not None:
            self._standing.append(announced)
        return announced

    def close(self, announced: Announced | None) -> None:
        """What has become of it is known, and was told."""
        if announced is not None:
            self._standing.remove(announced)
            announced.close()

    def close_all(self) -> None:
        """The same of all; nothing is on its way to the disk."""
        while self._standing:
            self._standing.pop().close()
