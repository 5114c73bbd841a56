"""Proofs from the stored index, for its last published checkpoint (ledger format, section 1.4).

Implements :class:`ledger.ports.index.ProvableIndex`. A snapshot is one transaction that only reads, so that a seal which
ends meanwhile changes nothing in it. It reads what a proof is made of and nothing else: some five pages of the map, one
row, a few tiles, and the leaf hashes of the entries of a page; and it checks every proof before it hands it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from ledger.core.checkpoint import parse_checkpoint
from ledger.core.index import KeyRow, key_position
from ledger.core.key_tiles import StoredRow, Tile, decode_row, prove_key_page
from ledger.core.map_pages import prove_in_pages
from ledger.core.map_proof import MapProof, check_map_proof
from ledger.core.note import parse_note
from ledger.errors import DamagedIndexError, FormatError, ProofError, StoreError, UsageError
from ledger.ports.index import IndexState, KeyPage
from ledger.store.address import is_server
from ledger.store.engine import begin_read
from ledger.store.entries import SqlEntryStore, as_bytes
from ledger.store.index_rows import SqlIndexRows, damage_told, open_index_engine

_ANEW = "the next seal makes it, or `grantledger reindex` does at once"


class SqlIndexProofs:
    """The published index of the ledger at ``ledger_engine``. Safe for use from any number of threads."""

    def __init__(self, ledger_engine: Engine) -> None:
        """Use the ledger at ``ledger_engine``, which the caller closes."""
        self._ledger_engine = ledger_engine
        self._engine = open_index_engine(ledger_engine)
        self._rows = SqlIndexRows(self._engine)
        self._entries = SqlEntryStore(ledger_engine)

    @contextmanager
    def snapshot(self) -> Iterator[SqlIndexSnapshot]:
        """The newest state that there is a published checkpoint for.

        Raises UsageError before anything was sealed, StoreError while the index is being built or made anew.
        """
        if not self._rows.is_there():
            raise self._missing()
        with damage_told(), begin_read(self._engine, "reading the index") as connection:
            if is_server(self._engine.url):
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            state = self._rows.load_state_on(connection)
            if state is None:
                raise self._missing()
            if state.note is None:
                raise StoreError(
                    f"the index is being made: it is over {state.map_size:,} of {self._entries.size():,} entries; "
                    "proofs can be made when the seal is done"
                )
            self._check_state(state, state.note)
            yield SqlIndexSnapshot(self._rows, self._entries, connection, state, state.note)

    def close(self) -> None:
        """Close the connections to an index in a file of its own."""
        if self._engine is not self._ledger_engine:
            self._engine.dispose()

    def _missing(self) -> Exception:
        if self._entries.load_checkpoint() is None:
            return UsageError("nothing is sealed yet: run `grantledger seal` first")
        return StoreError(f"the index over the log is not there: {_ANEW}")

    def _check_state(self, state: IndexState, note: bytes) -> None:
        """Raise StoreError unless the index is over entries of this log, and over those that its checkpoint says."""
        if self._entries.leaf_hashes(state.map_size - 1, state.map_size) != state.head:
            raise StoreError(f"the index that is stored is of another copy of the log: {_ANEW}")
        try:
            size = parse_checkpoint(parse_note(note).text).size
            (row,) = self._entries.fetch_range(size - 1, size)
            stated: Any = json.loads(row.data)
            is_stated = (stated["map_size"], stated["map_root"]) == (state.map_size, state.map_root.hex())
        except (FormatError, ValueError, LookupError, TypeError):
            is_stated = False
        if not is_stated:
            raise DamagedIndexError(
                "the index that is stored is not the one that its checkpoint commits to: make it anew with "
                "`grantledger reindex`"
            )


class SqlIndexSnapshot:
    """One state of the index, as :class:`ledger.ports.index.IndexSnapshot`."""

    def __init__(
        self,
        rows: SqlIndexRows,
        entries: SqlEntryStore,
        connection: Connection,
        state: IndexState,
        note: bytes,
    ) -> None:
        self._rows = rows
        self._entries = entries
        self._connection = connection
        self.map_size = state.map_size
        self.map_root = state.map_root
        self.note = note
        self._found: dict[str, tuple[StoredRow | None, MapProof]] = {}

    def load_row(self, key: str) -> KeyRow | None:
        """The row of ``key``, or None where none of the first :attr:`map_size` entries carries it."""
        row = self._find(key)[0]
        return None if row is None else row.key_row()

    def prove_map(self, key: str) -> MapProof:
        """The proof of the row of ``key``, or of its absence, against :attr:`map_root`."""
        return self._find(key)[1]

    def load_page(self, key: str, first: int, count: int) -> KeyPage:
        """The entries of ``key`` from place ``first`` on, ``count`` of them or as many as there are, with their proof."""
        row = self._find(key)[0]
        if row is None or not 0 <= first < row.count:
            raise UsageError(
                f"there is no entry {first} of {key}: it has {row.count if row else 0}, from 0 on"
            )
        if count < 1:
            raise UsageError(f"a page has one entry or more, not {count}")
        position = key_position(key)

        def load_tiles(level: int, start: int, end: int) -> list[Tile]:
            with self._rows.read_on(self._connection) as connection:
                tiles = self._rows.load_tiles_on(connection, position, level, start, end)
            return [Tile(as_bytes(root), as_bytes(data)) for root, data in tiles]

        try:
            page = prove_key_page(row, first, min(count, row.count - first), load_tiles, self._leaf_hashes)
        except ProofError as error:
            raise _damaged(error) from error
        return KeyPage(first, page.seqs, page.leaf_hashes, page.proof)

    def _find(self, key: str) -> tuple[StoredRow | None, MapProof]:
        """The row of ``key`` and the proof of it, checked."""
        found = self._found.get(key)
        if found is None:
            position = key_position(key)
            try:
                proof = prove_in_pages(position, self._load_page, self.map_root)
                with self._rows.read_on(self._connection) as connection:
                    data = self._rows.load_row_on(connection, position)
                row = None if data is None else decode_row(data)
                check_map_proof(key, proof, None if row is None else row.key_row(), self.map_root)
            except (ProofError, FormatError) as error:
                raise _damaged(error) from error
            found = self._found[key] = row, proof
        return found

    def _load_page(self, prefix: str) -> bytes | None:
        with self._rows.read_on(self._connection) as connection:
            return self._rows.load_page_on(connection, prefix)

    def _leaf_hashes(self, seqs: Sequence[int]) -> list[bytes]:
        hashes = self._entries.leaf_hashes_at(seqs)
        if len(hashes) != len(seqs):
            raise ProofError("an entry of the key is not in the log")
        return [hashes[seq] for seq in seqs]


def _damaged(error: Exception) -> DamagedIndexError:
    return DamagedIndexError(
        f"the index that is stored is damaged, or was edited: {error}; it is made from the log: make it anew with "
        "`grantledger reindex`, and run `verify` if that does not help"
    )
