"""Was each delivery backed: the fold over the log, the engine's sweep, and the scalar rule for what the sweep left.

An engine tells the attempts that are surely clean; each of the others is loaded from its entries and judged by
``ledger.core.judgement``, so that every code and reason comes from the one rule, whichever engine ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ledger.audit.entry_reader import EntryReader
from ledger.core.delivery import Delivery, from_attempt, from_imported
from ledger.core.history import History
from ledger.core.judgement import Judgement, judge
from ledger.ports import Attempt, Sweep


def load_deliveries(attempt: Attempt, reader: EntryReader) -> list[Delivery]:
    """The deliveries that the entries at ``attempt.seqs`` tell of, ascending by first entry.

    Nearly always one: an engine names attempts by hashes, and forced entries can repeat an attempt.
    """
    groups: dict[tuple[str, int], tuple[list[Any], list[Any], list[Any]]] = {}
    for seq in sorted(set(attempt.seqs)):
        entry: Any = reader.entry(seq)
        if entry is None:
            continue
        attempts, settlements, imports = groups.setdefault((entry.delivery, entry.attempt), ([], [], []))
        {
            "delivery.attempted": attempts,
            "delivery.settled": settlements,
            "delivery.imported": imports,
        }[entry.kind].append(entry)
    found: list[Delivery] = []
    for attempts, settlements, imports in groups.values():
        found += [from_imported(entry) for entry in imports]
        if attempts or settlements:
            found.append(from_attempt(attempts[0] if attempts else None, settlements))
        found += [from_attempt(entry, []) for entry in attempts[1:]]
    return sorted(found, key=lambda delivery: delivery.seqs)


def find_copies(
    groups: Iterable[Sequence[Attempt]],
    reader: EntryReader,
    history: History,
    tree_size: int,
    ledger_time_ms: int,
) -> set[tuple[int, ...]]:
    """The seqs of attempts that repeat an earlier one: the same account's event, disclosed at the same endpoint before.

    Retries of one delivery are no copies of each other, and neither is a replay, which was asked for. The earlier one is
    the one that started first, then the lower seq.
    """
    copies: set[tuple[int, ...]] = set()
    for group in groups:
        seen: dict[tuple[str, str | None, str], set[str]] = {}
        deliveries = [delivery for attempt in group for delivery in load_deliveries(attempt, reader)]
        for delivery in sorted(deliveries, key=lambda each: (each.started_at_ms, each.seqs)):
            if delivery.disclosure == "none" or delivery.event is None or delivery.replay is not None:
                continue
            judged = judge(delivery, history, tree_size=tree_size, ledger_time_ms=ledger_time_ms)
            if judged.actual is None or judged.actual.endpoint is None:
                continue
            key = (delivery.account, delivery.event, judged.actual.endpoint)
            earlier = seen.setdefault(key, set())
            if earlier - {delivery.delivery} and judged.now:
                copies.add(delivery.seqs)
            earlier.add(delivery.delivery)
    return copies


def judge_suspects(
    sweep: Sweep,
    reader: EntryReader,
    history: History,
    *,
    tree_size: int,
    ledger_time_ms: int,
    require_tickets: bool,
    on_progress: Callable[[int], None],
) -> Iterator[Judgement]:
    """The judgement of every attempt that the sweep did not call clean, in the order of the log."""
    copies = find_copies(sweep.copies, reader, history, tree_size, ledger_time_ms)
    for count, attempt in enumerate(sweep.suspects, 1):
        for delivery in load_deliveries(attempt, reader):
            yield judge(
                replace(delivery, is_duplicate=delivery.seqs in copies),
                history,
                tree_size=tree_size,
                ledger_time_ms=ledger_time_ms,
                require_tickets=require_tickets,
            )
        if count % 1_000 == 0:
            on_progress(count)
