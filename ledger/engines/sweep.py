"""The sweep: which delivery attempts are surely clean, over all rows at once in DuckDB (verdict rules, section 2.1).

An attempt is clean when its pair of route and arrival was clean at ``started_at`` (:mod:`ledger.engines.clean_pairs`), a
live span of a grant of its account covers it, and nothing recorded after its decision could change the answer. All that
is left is judged by the core's rule, one by one; so this can only cost time, never change a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ledger.core.destinations import observed_destination
from ledger.core.history import History
from ledger.core.intervals import grant_intervals
from ledger.core.scopes import mask_of
from ledger.engines.chunk_bytes import Integers
from ledger.engines.clean_pairs import Pairs, Party, Route, route_of
from ledger.engines.files import as_table, map_table
from ledger.engines.recurring import Fresh
from ledger.engines.rows import NO_SEQ, Columns, LeftOver, Resolved
from ledger.engines.text_hash import tag_columns
from ledger.engines.uids import repeated
from ledger.ports import Attempt, Sweep

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 100_000
FETCHED = 50_000

_CLEAN = """
CREATE TEMP TABLE good AS
SELECT r.attempt_seq
FROM rows r
JOIN clean_spans c
  ON r.route = c.route AND r.arrival = c.arrival
 AND r.started_at >= c.from_ms AND r.started_at < c.to_ms
JOIN live_spans l
  ON l.account_high = r.account_high AND l.account_low = r.account_low
 AND l.party = c.party AND l.scopes & c.scope <> 0
 AND r.started_at >= l.from_ms AND r.started_at < l.to_ms
WHERE r.odd = 0
"""

_SUSPECTS = f"""
CREATE TEMP TABLE suspects AS
SELECT attempt_seq FROM rows ANTI JOIN good USING (attempt_seq)
UNION
SELECT r.attempt_seq FROM rows r
JOIN late_events e
  ON e.account_high = r.account_high AND e.account_low = r.account_low AND e.seq >= r.decided_at_size AND e.at <= r.started_at
WHERE r.decided_at_size <> {NO_SEQ}
UNION
SELECT r.attempt_seq FROM rows r
JOIN late_standing s ON s.route = r.route AND s.seq >= r.decided_at_size AND s.at <= r.started_at
WHERE r.decided_at_size <> {NO_SEQ}
UNION
SELECT attempt_seq FROM rows SEMI JOIN repeated USING (attempt_key)
UNION
SELECT attempt_seq FROM copies
UNION
SELECT attempt_seq FROM rows SEMI JOIN doubted USING (attempt_seq)
"""

_COPIES = """
CREATE TEMP TABLE copies AS
WITH again AS (
    SELECT r.copy_key, e.endpoint FROM rows r SEMI JOIN repeated_copies USING (copy_key) JOIN endpoints e USING (route)
    GROUP BY r.copy_key, e.endpoint HAVING count(*) > 1
)
SELECT r.attempt_seq, r.copy_key
FROM rows r JOIN endpoints e USING (route) JOIN again a ON a.copy_key = r.copy_key AND a.endpoint = e.endpoint
UNION
SELECT r.attempt_seq, r.copy_key FROM rows r
WHERE r.copy_key IN (
    SELECT copy_key FROM rows JOIN strays USING (route, arrival)
    UNION SELECT copy_key FROM rows SEMI JOIN repeated USING (attempt_key)
    UNION SELECT copy_key FROM left_over WHERE copy_key IS NOT NULL)
"""

_CLEAN_OBSERVED = """
SELECT count(*) FROM rows r JOIN observed_arrivals o USING (arrival)
ANTI JOIN suspects s ON s.attempt_seq = r.attempt_seq
"""


class DuckSweep:
    """One sweep over the rows of a log's chunks, against one history."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        scratch: Path,
        firsts: Sequence[int],
        joining: Columns,
        history: History,
    ) -> None:
        self._connection = connection
        self._rows = pa.concat_tables([map_table(scratch, "rows", firsts), as_table(joining)])
        self._events = map_table(scratch, "events", firsts)
        self._history = history
        self._parties: dict[Party, int] = {}

    def prepare(
        self, recurring: Sequence[Fresh], left_over: Sequence[LeftOver], doubted: Sequence[int] = ()
    ) -> None:
        """Make the tables but for the live spans; ``recurring`` names the routes and arrivals in the rows.

        The attempts at the places ``doubted`` are suspects.
        """
        self._connection.register("doubted", pa.table({"attempt_seq": pa.array(doubted, pa.int64())}))
        self._connection.register("rows", self._rows)
        self._register_pairs({number: (kind, values) for number, kind, values in recurring})
        self._connection.register("late_events", self._events)
        keys = ((left.key, left.copy_key) for left in left_over)
        self._register("left_over", pa.schema([("key", pa.int64()), ("copy_key", pa.int64())]), keys)

    def find_repeated(self, left_over: Sequence[LeftOver]) -> None:
        """Find what stands more than once. Nearly all of it happens beside other Python threads.

        Of an attempt that is told of more than once, another settlement than that of its row may be the one believed.
        """
        left_keys = np.array([left.key for left in left_over], np.int64)
        keys = repeated(np.concatenate([self._column("attempt_key"), left_keys]))
        self._connection.register("repeated", pa.table({"attempt_key": keys}))
        self._connection.register(
            "repeated_copies", pa.table({"copy_key": repeated(self._column("copy_key"))})
        )
        self._connection.execute(_COPIES)

    def _column(self, name: str) -> Integers:
        values: Integers = self._rows[name].to_numpy()
        return values

    def run(self, live_spans: Any, left_over: Sequence[LeftOver], resolved: Resolved) -> Sweep:
        """Sweep what was prepared, in DuckDB as well; after :meth:`find_repeated`."""
        self._connection.register("live_spans", live_spans)
        for statement in (_CLEAN, _SUSPECTS):
            self._connection.execute(statement)
        suspects = self._suspects(left_over)
        copies = self._copies(suspects, left_over)
        clean = self._rows.num_rows - self._count("SELECT count(*) FROM suspects")
        observed = self._count(_CLEAN_OBSERVED)
        return Sweep(clean, observed, suspects, copies, resolved)

    def _count(self, query: str) -> int:
        row = self._connection.execute(query).fetchone()
        assert row is not None, "a count gives a row"
        return int(row[0])

    def _register(self, name: str, schema: Any, values: Iterable[tuple[Any, ...]]) -> None:
        """Make a table of ``values``, in batches."""
        batches, batch = [], []
        for value in values:
            batch.append(value)
            if len(batch) == _BATCH:
                batches.append(_record_batch(schema, batch))
                batch = []
        batches.append(_record_batch(schema, batch))
        self._connection.register(name, pa.Table.from_batches(batches, schema))

    def _register_pairs(self, recurring: dict[int, tuple[str, tuple[Any, ...]]]) -> None:
        pairs = Pairs(self._history)
        found = self._connection.execute("SELECT DISTINCT route, arrival FROM rows").fetchall()
        spans: list[tuple[int, ...]] = []
        strays: list[tuple[int, int]] = []
        for route_id, arrival_id in found:
            route = route_of(*recurring[route_id])
            observed, received_by, *_ = recurring[arrival_id][1]
            for span in pairs.clean_spans(route, observed, received_by):
                party = self._parties.setdefault(span.party, len(self._parties))
                spans.append((route_id, arrival_id, span.from_ms, span.to_ms, party, mask_of((span.scope,))))
            if pairs.is_stray(route, observed):
                strays.append((route_id, arrival_id))
        self._register("clean_spans", _CLEAN_SPANS, spans)
        self._register("strays", _STRAYS, strays)
        arrivals = {arrival_id for _, arrival_id in found}
        observed_arrivals = [
            (number,)
            for number in sorted(arrivals)
            if observed_destination(recurring[number][1][0]) is not None
        ]
        self._register("observed_arrivals", pa.schema([("arrival", pa.int32())]), observed_arrivals)
        routes = {route_id: route_of(*recurring[route_id]) for route_id, _ in found}
        places: dict[str, int] = {}
        endpoints = (
            (number, places.setdefault(route.endpoint, len(places))) for number, route in routes.items()
        )
        self._register("endpoints", _ENDPOINTS, endpoints)
        self._register("late_standing", _LATE_STANDING, self._late_standing(routes))

    def live_spans(self) -> Any:
        """When which account's data might go to whom on a clean route: a table of the effective grants to its parties."""
        accounts: list[str] = []
        numbers: list[tuple[int, ...]] = []
        parties = self._parties
        for interval in grant_intervals(self._history):
            # Equal to a Party, and so found as one.
            party = parties.get(interval[1:4])  # type: ignore[call-overload]
            if party is not None:
                accounts.append(interval[0])
                numbers.append((party, *interval[4:]))
        high, low = tag_columns(accounts)
        columns = np.array(numbers, np.int64).reshape(-1, 4).T
        names = ("party", "scopes", "from_ms", "to_ms")
        table = {"account_high": high, "account_low": low, **dict(zip(names, columns, strict=True))}
        return pa.table({name: pa.array(np.ascontiguousarray(values)) for name, values in table.items()})

    def _late_standing(self, routes: dict[int, Route]) -> Iterator[tuple[int, int, int]]:
        """``(route, seq, at)`` of every event about the standing of a route's app and developer."""
        for number, route in routes.items():
            app = self._history.apps.get(route.app or "")
            developer = self._history.developers.get(route.developer or "")
            for record in (app, developer):
                if record is not None:
                    yield from ((number, event.seq, event.at) for event in record.standing.events)

    def _suspects(self, left_over: Sequence[LeftOver]) -> list[Attempt]:
        """The attempts to be judged one by one; rows and left-over entries with one key are one candidate group."""
        rows = self._connection.execute(
            "SELECT r.attempt_key, r.attempt_seq, r.settled_seq FROM rows r JOIN suspects USING (attempt_seq)"
        )
        grouped: dict[int, list[int]] = {}
        while fetched := rows.fetchmany(FETCHED):
            for key, attempt_seq, settled_seq in fetched:
                seqs = grouped.setdefault(key, [])
                seqs.append(attempt_seq)
                if settled_seq != NO_SEQ:
                    seqs.append(settled_seq)
        for left in left_over:
            grouped.setdefault(left.key, []).append(left.position)
        return sorted((Attempt(tuple(sorted(seqs))) for seqs in grouped.values()), key=lambda each: each.seqs)

    def _copies(self, suspects: Sequence[Attempt], left_over: Sequence[LeftOver]) -> list[list[Attempt]]:
        """Suspects that may be copies of each other, by the event that they deliver."""
        by_position = {position: attempt for attempt in suspects for position in attempt.seqs}
        groups: dict[int, dict[Attempt, None]] = {}
        rows = self._connection.execute("SELECT copy_key, attempt_seq FROM copies").fetchall()
        rows += [(left.copy_key, left.position) for left in left_over if left.copy_key is not None]
        for key, position in rows:
            groups.setdefault(key, {})[by_position[position]] = None
        return [list(group) for group in groups.values() if len(group) > 1]


def _record_batch(schema: Any, values: list[tuple[Any, ...]]) -> Any:
    columns = zip(*values, strict=True) if values else ([] for _ in schema)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


_CLEAN_SPANS = pa.schema(
    [
        ("route", pa.int32()),
        ("arrival", pa.int32()),
        ("from_ms", pa.int64()),
        ("to_ms", pa.int64()),
        ("party", pa.int32()),
        ("scope", pa.int32()),
    ]
)
_STRAYS = pa.schema([("route", pa.int32()), ("arrival", pa.int32())])
_ENDPOINTS = pa.schema([("route", pa.int32()), ("endpoint", pa.int32())])
_LATE_STANDING = pa.schema([("route", pa.int32()), ("seq", pa.int64()), ("at", pa.int64())])
