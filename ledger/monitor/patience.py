"""How long a log may show an older checkpoint before that is told: a copy that lags, or a rollback (ledger format, 1.3).

Only what is *published* counts. A checkpoint that the log proposes to a witness is seen by nobody else, so it neither begins
nor ends anything here: else a log that was rolled back in public would be quiet about it by asking for cosignatures.
"""

from __future__ import annotations

from ledger.audit.looking import Looked


class Patience:
    """The patience of one monitor with one log."""

    def __init__(self, seconds: float) -> None:
        """Nothing older was shown; ``seconds`` is how long it may be."""
        self._seconds = seconds
        self._since_s: float | None = None

    def is_over(self, looked: Looked, published_size: int, now_s: float, *, waits: bool = True) -> bool:
        """Whether what a look at the published log came to, at ``now_s``, is told as older; at once unless it ``waits``.

        ``published_size`` is that of the largest checkpoint that was published.
        """
        shown = looked.checkpoint
        if shown is not None and shown.size >= published_size > 0:
            # What is ahead of it was only proposed.
            self._since_s = None
        elif looked.state == "stale":
            self._since_s = now_s if self._since_s is None else self._since_s
            return not waits or now_s - self._since_s >= self._seconds
        elif looked.state != "broken":
            self._since_s = None
        return False
