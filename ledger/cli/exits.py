"""What the exit status of every command means (verdict rules, section 2.3)."""

from __future__ import annotations

from ledger.errors import ForkError, LedgerError, ProofError, SignatureError

OK = 0
EXPOSURES = 1
BROKEN = 2
UNUSABLE = 3
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
PIPE_CLOSED = 141
"""128 and the number of SIGPIPE: whoever read the output has gone."""


def status_of(error: LedgerError) -> int:
    """The exit status for ``error``: evidence that does not hold breaks the ledger, all else is bad usage or input."""
    return BROKEN if isinstance(error, ForkError | ProofError | SignatureError) else UNUSABLE
