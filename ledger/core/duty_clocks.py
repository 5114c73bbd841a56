"""Everything that somebody owes because of incidents, and by when: one fold for whoever reads a log (section 5).

What the operator owes authorities and people is :mod:`ledger.core.incident_clock`'s, what developers owe
:mod:`ledger.core.obligation_clock`'s.
"""

from __future__ import annotations

from typing import Any

from ledger.core.holds import Holds
from ledger.core.incident_clock import CLOCK_KINDS, Deadline, IncidentClocks
from ledger.core.obligation_clock import OBLIGATION_KINDS, Missed, ObligationClocks

DUTY_KINDS = CLOCK_KINDS | OBLIGATION_KINDS
"""The kinds of which :meth:`DutyClocks.add` makes anything."""


class DutyClocks:
    """All deadlines of a log, as far as its entries were added."""

    def __init__(self) -> None:
        self._incidents = IncidentClocks()
        self._obligations = ObligationClocks()

    def add(self, entry: Any) -> None:
        """Take the next entry of the log, of whatever kind."""
        self._incidents.add(entry)
        self._obligations.add(entry)

    def overdue(self, as_of_ms: int, holds: Holds) -> list[Deadline | Missed]:
        """Every deadline that was missed by then; ``holds`` are the log's legal holds."""
        return [*self._incidents.overdue(as_of_ms), *self._obligations.overdue(as_of_ms, holds)]
