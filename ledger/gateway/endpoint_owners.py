"""Whose an endpoint is by now, for callers that name the endpoint alone (verdict rules, section 2.5).

The gate judges an intent: developer, app and environment as well as the endpoint. A caller that leaves them out means
whoever owns the endpoint at this moment, which is looked up here, in what is durable, whichever process appended it. The
gate has the last word: where the endpoint moves between the look-up and the decision, the intent is stale and refused.

Only the parties are folded, and the few entries about them are told from the many about grants by their bytes.
"""

from __future__ import annotations

import threading

from ledger.core.history import History
from ledger.core.parties import Owner, owner_of_endpoint
from ledger.ports import Codec, EntryStore

_TOLD_BY = (b'"kind":"endpoint.', b'"kind":"app.')


class EndpointOwners:
    """Endpoints and apps as the log in ``store`` has them. Safe from any thread."""

    def __init__(self, store: EntryStore, codec: Codec) -> None:
        """Read nothing yet; ``codec`` is used by this object alone."""
        self._store = store
        self._codec = codec
        self._lock = threading.Lock()
        self._history = History()
        self._next = 0

    def catch_up(self) -> None:
        """Take in what has become durable; the first call reads all that there is. Raises StoreError or ForkError."""
        with self._lock:
            for row in self._store.fetch_state(self._next):
                # A text in an entry holds no quotation mark, so that this stands nowhere but where the kind is told.
                if any(told in row.data for told in _TOLD_BY):
                    self._history.add(self._codec.decode(row.data))
                self._next = row.seq + 1

    def owner_of(self, endpoint: str, now_ms: int) -> Owner | None:
        """Who owns ``endpoint`` at ``now_ms``; None for nobody, as of the last :meth:`catch_up`."""
        with self._lock:
            return owner_of_endpoint(self._history, endpoint, now_ms)
