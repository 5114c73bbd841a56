"""How often Python looks for cycles in a process that serves.

A service keeps the folded history in memory, millions of objects, and makes a dozen for each call, none of them in cycles.
At Python's own threshold it looks through them every few hundred calls, which costs a quarter of the time of everything.
"""

from __future__ import annotations

import gc

from ledger.ingest.preparing_process import COLLECTION_THRESHOLD


def collect_seldom() -> None:
    """Let this process look for cycles once in many calls; may be called any number of times."""
    threshold, *older = gc.get_threshold()
    gc.set_threshold(max(COLLECTION_THRESHOLD, threshold), *older)
