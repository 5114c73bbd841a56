"""Delivery rows of whole columns of entries (see :mod:`ledger.engines.rows`).

Attempts and settlements of a chunk are joined by their keys, and then everything that the keys stand for is compared byte
by byte. Keys that do not stand for exactly one attempt and one later settlement are left to the maker of single rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.engines.chunk_bytes import ChunkBytes, Integers
from ledger.engines.groups import Group
from ledger.engines.rows import (
    NO_SEQ,
    ROW_TYPES,
    SEND_WITHIN_MS,
    Columns,
    Resolved,
    RowHashes,
    merge_resolved,
)
from ledger.engines.text_hash import signed

Table = dict[str, Any]


class RowColumns:
    """Makes the rows of the groups of one chunk, whose first entry stands at ``first``."""

    def __init__(self, first: int, chunk: ChunkBytes, hashes: RowHashes) -> None:
        self._first = first
        self._chunk = chunk
        self._hashes = hashes

    def imported(self, groups: Sequence[Group]) -> tuple[Columns, Resolved]:
        """The rows of imported deliveries, and where endpoints resolved to."""
        resolved: Resolved = {}
        tables = []
        for group in groups:
            if group.layout.kind != "delivery.imported":
                continue
            table = self._common(group) | {
                "settled_seq": np.full(len(group.places), NO_SEQ),
                "decided_at_size": np.full(len(group.places), NO_SEQ),
                "started_at": group.number("started_at"),
                "route": group.noted("route"),
                "arrival": group.noted("arrival"),
                "copy_key": signed(self._hashes.events.of_columns(group.text("event"))),
                "odd": group.noted("is_odd"),
            }
            table["attempt_seq"] = table["position"]
            tables.append(table)
            merge_resolved(resolved, _resolved(group))
        return _as_rows(_stacked(tables)), resolved

    def pairs(self, groups: Sequence[Group]) -> tuple[Columns, Integers]:
        """The rows of attempts with their settlements, and the positions of those that are in none."""
        attempts = _stacked([self._attempted(each) for each in groups if _is(each, "delivery.attempted")])
        settled = _stacked([self._settled(each) for each in groups if _is(each, "delivery.settled")])
        if not attempts or not settled:
            alone = [table["position"] for table in (attempts, settled) if table]
            return _as_rows({}), np.concatenate([np.zeros(0, np.int64), *alone])
        ours, theirs = _meeting(attempts["attempt_key"], settled["attempt_key"])
        same = self._are_pairs(_chosen(attempts, ours), _chosen(settled, theirs))
        ours, theirs = ours[same], theirs[same]
        alone = [
            np.delete(attempts["position"], ours),
            np.delete(settled["position"], theirs),
        ]
        rows = self._paired(_chosen(attempts, ours), _chosen(settled, theirs))
        return _as_rows(rows), np.concatenate(alone)

    def _common(self, group: Group) -> Table:
        high, low = group.tag("account")
        keys = self._hashes.deliveries.of_columns(group.text("delivery"))
        attempts = group.number("attempt").astype(np.uint64)
        return {
            "position": self._first + group.places,
            "attempt_key": signed(self._hashes.deliveries.with_number(keys, attempts)),
            "account_high": signed(high),
            "account_low": signed(low),
        }

    def _attempted(self, group: Group) -> Table:
        return (
            self._common(group)
            | self._compared(group)
            | {
                "recorded_at": group.number("recorded_at"),
                "decided_at_size": group.number("decided_at_size"),
                "send_before": group.number("send_before"),
                "route": group.noted("route"),
                "copy_key": signed(self._hashes.events.of_columns(group.text("event"))),
                "odd": np.full(len(group.places), "replay" in group.layout.members),
            }
        )

    def _settled(self, group: Group) -> Table:
        return (
            self._common(group)
            | self._compared(group)
            | {
                "started_at": group.number("started_at"),
                "arrival": group.noted("arrival"),
                "odd": group.noted("is_odd"),
            }
        )

    def _compared(self, group: Group) -> Table:
        """What an attempt and its settlement both state; texts by where they stand."""
        table: Table = {
            "seq": group.number("seq"),
            "attempt": group.number("attempt"),
            "developer": group.noted("developer"),
        }
        for member in ("delivery", "subjects"):
            start, end = group.layout.members[member]
            table[f"{member}_from"] = self._chunk.starts[group.places] + start
            table[f"{member}_bytes"] = np.full(len(group.places), end - start)
        return table

    def _are_pairs(self, attempts: Table, settled: Table) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = attempts["attempt"] == settled["attempt"]
        same &= attempts["position"] < settled["position"]
        return same & self._same_text(attempts, settled, "delivery")

    def _same_text(self, left: Table, right: Table, member: str) -> NDArray[np.bool_]:
        lengths = left[f"{member}_bytes"]
        same: NDArray[np.bool_] = lengths == right[f"{member}_bytes"]
        for length in np.unique(lengths[same]).tolist():
            chosen = np.flatnonzero(same & (lengths == length))
            texts = self._chunk.rows(left[f"{member}_from"][chosen], length)
            others = self._chunk.rows(right[f"{member}_from"][chosen], length)
            same[chosen] = (texts == others).all(axis=1)
        return same

    def _paired(self, attempts: Table, settled: Table) -> Table:
        recorded_at, started_at = attempts["recorded_at"], settled["started_at"]
        even = (attempts["decided_at_size"] == attempts["seq"]) & (attempts["seq"] < settled["seq"])
        even &= (recorded_at <= started_at) & (started_at < attempts["send_before"])
        even &= attempts["send_before"] <= recorded_at + SEND_WITHIN_MS
        for name in ("account_high", "account_low", "developer"):
            even &= attempts[name] == settled[name]
        even &= self._same_text(attempts, settled, "subjects")
        return attempts | {
            "attempt_seq": attempts["position"],
            "settled_seq": settled["position"],
            "arrival": settled["arrival"],
            "started_at": started_at,
            "odd": ~even | attempts["odd"] | settled["odd"],
        }


def _is(group: Group, kind: str) -> bool:
    return group.layout.kind == kind


def _stacked(tables: Sequence[Table]) -> Table:
    """The tables of several groups as one; empty where there are none."""
    if not tables:
        return {}
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _chosen(table: Table, rows: Integers) -> Table:
    return {name: values[rows] for name, values in table.items()}


def _as_rows(table: Table) -> Columns:
    """The columns that rows have, in their types."""
    return {name: np.asarray(table.get(name, ()), dtype) for name, dtype in ROW_TYPES.items()}


def _meeting(left: Integers, right: Integers) -> tuple[Integers, Integers]:
    """The places of keys that stand once in ``left`` and once in ``right``."""
    keys = np.concatenate([left, right])
    order = np.argsort(keys, kind="stable")
    again = np.zeros(len(keys) + 1, bool)
    again[1:-1] = keys[order[1:]] == keys[order[:-1]]
    # The first of exactly two: another one follows, none stands before it, no third comes.
    twice = again[1:-1] & ~again[:-2] & ~again[2:]
    ours, theirs = order[:-1][twice], order[1:][twice]
    meets = (ours < len(left)) & (theirs >= len(left))
    return ours[meets], theirs[meets] - len(left)


def _resolved(group: Group) -> Resolved:
    """Where the endpoints of a group's imported deliveries resolved to, and when."""
    found: Resolved = {}
    if "resolved_ip" not in group.layout.members:
        return found
    started_at = group.number("started_at")
    distinct, which = group.distinct()
    for number, noted in enumerate(distinct):
        times = started_at[which == number]
        if len(times) and noted.resolved is not None:
            merge_resolved(found, {noted.resolved: (int(times.min()), int(times.max()))})
    return found
