"""Was each delivery backed: the fold over the log, the engine's sweep, and the scalar rule for what the sweep left.

An engine tells the attempts that are surely clean; each of the others is loaded from its entries and judged by
``ledger.core.judgement``, so that every code and reason comes from the one rule, whichever engine ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ledger.core.delivery import Delivery, from_attempt, from_imported
from ledger.core.history import History
from ledger.core.judgement import Judgement, judge
from ledger.ports import Attempt, Sweep

_KINDS = ("delivery.attempted", "delivery.settled", "delivery.imported")

Positions = tuple[int, ...]
"""Where the entries of one delivery stand, ascending: who it is, as the seqs that forged entries state may not be."""


class EntriesByPlace(Protocol):
    """What gives single entries, such as :class:`ledger.audit.entry_reader.EntryReader`."""

    def entry(self, position: int) -> Any:
        """The typed entry at ``position``, or None when it is malformed."""
        ...


def load_deliveries(attempt: Attempt, reader: EntriesByPlace) -> list[tuple[Positions, Delivery]]:
    """The deliveries that the entries at ``attempt.seqs`` tell of, ascending by first entry.

    Nearly always one: an engine names attempts by hashes, and forced entries can repeat an attempt.
    """
    groups: dict[tuple[str, int], dict[str, list[tuple[int, Any]]]] = {}
    for position in sorted(set(attempt.seqs)):
        entry: Any = reader.entry(position)
        if entry is not None:
            of_kinds = groups.setdefault((entry.delivery, entry.attempt), {})
            of_kinds.setdefault(entry.kind, []).append((position, entry))
    found: list[tuple[Positions, Delivery]] = []
    for of_kinds in groups.values():
        attempts, settlements, imports = (of_kinds.get(kind, []) for kind in _KINDS)
        found += [((position,), from_imported(entry)) for position, entry in imports]
        if attempts or settlements:
            told = attempts[:1] + settlements
            delivery = from_attempt(attempts[0][1] if attempts else None, [entry for _, entry in settlements])
            found.append((tuple(sorted(position for position, _ in told)), delivery))
        found += [((position,), from_attempt(entry, [])) for position, entry in attempts[1:]]
    return sorted(found, key=lambda each: each[0])


def find_copies(
    groups: Iterable[Sequence[Attempt]],
    reader: EntriesByPlace,
    history: History,
    tree_size: int,
    ledger_time_ms: int,
) -> set[Positions]:
    """The positions of attempts that repeat an earlier one: the same account's event, disclosed at the same endpoint before.

    Retries of one delivery are no copies of each other, and neither is a replay, which was asked for. The earlier one is
    the one that started first, then the one that stands first.
    """
    copies: set[Positions] = set()
    for group in groups:
        seen: dict[tuple[str, str | None, str], set[str]] = {}
        loaded = [each for attempt in group for each in load_deliveries(attempt, reader)]
        for positions, delivery in sorted(loaded, key=lambda each: (each[1].started_at_ms, each[0])):
            if delivery.disclosure == "none" or delivery.event is None or delivery.replay is not None:
                continue
            judged = judge(delivery, history, tree_size=tree_size, ledger_time_ms=ledger_time_ms)
            if judged.actual is None or judged.actual.endpoint is None:
                continue
            key = (delivery.account, delivery.event, judged.actual.endpoint)
            earlier = seen.setdefault(key, set())
            if earlier - {delivery.delivery} and judged.now:
                copies.add(positions)
            earlier.add(delivery.delivery)
    return copies


def judge_suspects(
    sweep: Sweep,
    reader: EntriesByPlace,
    history: History,
    *,
    tree_size: int,
    ledger_time_ms: int,
    require_tickets: bool,
    on_progress: Callable[[int], None],
    weigh: Callable[[Positions, Delivery], Delivery] = lambda positions, delivery: delivery,
) -> Iterator[Judgement]:
    """The judgement of every attempt that the sweep did not call clean, in the order of the log.

    ``weigh`` puts in what others know of an attempt.
    """
    copies = find_copies(sweep.copies, reader, history, tree_size, ledger_time_ms)
    for count, attempt in enumerate(sweep.suspects, 1):
        for positions, delivery in load_deliveries(attempt, reader):
            yield judge(
                replace(weigh(positions, delivery), is_duplicate=positions in copies),
                history,
                tree_size=tree_size,
                ledger_time_ms=ledger_time_ms,
                require_tickets=require_tickets,
            )
        if count % 1_000 == 0:
            on_progress(count)
