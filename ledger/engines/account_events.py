"""Events about accounts and their grants, as columns (verdict rules, section 2.1).

What was recorded after an attempt was decided, but took effect before it started, can change its verdict. Which attempts
these are is found by joining rows with all such events; an event too many only costs time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ledger.engines.rows import Columns
from ledger.engines.scan import ChunkScan
from ledger.engines.text_hash import signed, signed_one, tag_words

FAMILIES = ("account.", "grant.")
REGISTERED = "account.registered"
"""Limits nothing (verdict rules, section 2.5)."""


def account_events(scan: ChunkScan) -> Columns:
    """``account_high``, ``account_low``, ``seq`` and ``at`` of a chunk's events, in no order."""
    parts: list[tuple[Any, ...]] = [_of_typed(scan)]
    for group in scan.groups:
        if _is_event(group.layout.kind):
            high, low = group.tag("account")
            parts.append((signed(high), signed(low), group.number("seq"), group.number("at")))
    columns = zip(*parts, strict=True)
    names = ("account_high", "account_low", "seq", "at")
    return {name: np.concatenate(values) for name, values in zip(names, columns, strict=True)}


def _is_event(kind: str) -> bool:
    return kind.startswith(FAMILIES) and kind != REGISTERED


def _of_typed(scan: ChunkScan) -> tuple[Any, ...]:
    events = [
        (*map(signed_one, tag_words(entry.account)), entry.seq, entry.at)
        for entry in scan.typed.values()
        if entry is not None and _is_event(entry.kind) and hasattr(entry, "account")
    ]
    return tuple(np.array(events, np.int64).reshape(-1, 4).T)
