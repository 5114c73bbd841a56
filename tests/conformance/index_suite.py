"""What every database's stored index does alike, on a real log that is sealed by the real sealer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ledger.core.canonical import decode
from ledger.core.index import index_keys
from ledger.engines.codec import MsgspecCodec
from ledger.errors import DamagedIndexError, StoreError, UsageError
from ledger.ports.index import IndexChanges, IndexState, TileRow
from ledger.sequencer import log_index
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.index_proofs import SqlIndexProofs
from ledger.store.index_rows import SqlIndexRows, open_index_engine
from ledger.store.record import FileCheckpointRecord
from ledger.wiring.index import open_index
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER, SetClock, opening, settlement, tag
from tests.support.naive_index import NaiveIndex
from tests.support.stored_index import check_snapshot

BATCH = 500


@dataclass
class Sealing:
    """A log on some database, as one process has it open."""

    url: str
    directory: Path
    store: SqlEntryStore
    sequencer: Sequencer
    sealer: Sealer
    proofs: SqlIndexProofs
    engine: Engine

    def grow(self, name: str, count: int, accounts: int = 40) -> None:
        drafts = [settlement(f"{name}-{number}", number * 7 % accounts) for number in range(count)]
        for start in range(0, count, BATCH):
            self.sequencer.append_many(drafts[start : start + BATCH])

    def check(self, some: int = 30) -> None:
        """Assert that what is proven is what the naive index proves, for ``some`` keys and for absent ones."""
        keys = {
            key
            for row in self.store.fetch_range(0, self.store.size())
            for key in index_keys(decode(row.data))
        }
        chosen = random.Random(len(keys)).sample(sorted(keys), min(some, len(keys)))
        with self.proofs.snapshot() as snapshot, NaiveIndex(self.store).snapshot() as naive:
            check_snapshot(snapshot, naive, [*chosen, "dev:dev-a", "dev:absent", f"acct:{tag(10**6)}"])

    def read_all(self) -> None:
        """Read the rows of all accounts."""
        with self.proofs.snapshot() as snapshot:
            for account in range(40):
                snapshot.load_row(f"acct:{tag(account)}")

    def edit(self, statement: str) -> int:
        """Change the stored index behind everybody's back; how many rows."""
        engine = open_index_engine(open_engine(self.url))
        with engine.begin() as connection:
            changed = connection.exec_driver_sql(statement).rowcount
        engine.dispose()
        return changed


@contextmanager
def open_sealing(url: str, directory: Path) -> Iterator[Sealing]:
    """The log at ``url``, whose record lies in ``directory``."""
    engine = open_engine(url)
    store = SqlEntryStore(engine)
    sequencer = Sequencer(store, MsgspecCodec(), SetClock())
    sealer = Sealer(
        store,
        sequencer,
        FileCheckpointRecord(directory / "signed"),
        origin=ORIGIN,
        signers=[SIGNER],
        verifiers=[VERIFIER],
        index=open_index(engine),
    )
    proofs = SqlIndexProofs(engine)
    try:
        yield Sealing(url, directory, store, sequencer, sealer, proofs, engine)
    finally:
        sequencer.close()
        proofs.close()
        store.close()


class IndexSuite:
    """The tests; a subclass brings the fixture ``url``, a database that has the ledger's tables."""

    @pytest.fixture
    def log(self, url: str, tmp_path: Path) -> Iterator[Sealing]:
        """A log with its first entries."""
        with open_sealing(url, tmp_path) as sealing:
            sealing.sequencer.append_many(opening())
            yield sealing

    @contextmanager
    def reopened(self, log: Sealing) -> Iterator[Sealing]:
        """The same log in another process."""
        with open_sealing(log.url, log.directory) as sealing:
            yield sealing

    def test_every_seal_is_proven_as_the_naive_index_does_whoever_seals(self, log: Sealing) -> None:
        log.sealer.seal()
        log.check()
        for number, count in enumerate((1, 30, 64, 500, 2, 700)):
            with self.reopened(log) as other:
                other.grow(f"d{number}", count, 30 * (number + 1))
                other.sealer.seal()
                other.check()
            log.check(5)
        log.grow("last", 10)
        log.sealer.seal()
        log.check()

    def test_nothing_can_be_proven_before_the_first_seal(self, log: Sealing) -> None:
        with pytest.raises(UsageError, match="seal"), log.proofs.snapshot():
            pass

    def test_a_page_beyond_the_end_or_of_nothing_is_refused(self, log: Sealing) -> None:
        log.sealer.seal()
        with log.proofs.snapshot() as snapshot:
            count = snapshot.load_row("dev:dev-a")
            assert count is not None
            for first, length in ((count.count, 1), (-1, 1), (0, 0), (0, -1)):
                with pytest.raises(UsageError):
                    snapshot.load_page("dev:dev-a", first, length)
            with pytest.raises(UsageError):
                snapshot.load_page("dev:absent", 0, 1)
            assert snapshot.load_page("dev:dev-a", count.count - 1, 50).first == count.count - 1

    def test_an_open_snapshot_stays_that_of_its_checkpoint(self, log: Sealing) -> None:
        log.sealer.seal()
        with log.proofs.snapshot() as snapshot:
            before = snapshot.load_row("dev:dev-a")
            with self.reopened(log) as other:
                other.grow("d", 300)
                other.sealer.seal()
            assert snapshot.load_row("acct:absent") is None
            again = snapshot.load_page("dev:dev-a", 0, 1000)
            assert before is not None
            assert len(again.seqs) == before.count
        log.check()

    def test_while_the_index_is_being_made_nothing_is_proven_and_the_next_seal_goes_on(
        self, log: Sealing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_index, "CHUNK_ENTRIES", 100)
        log.sealer.seal()
        log.grow("d", 450)
        rows = SqlIndexRows(open_index_engine(log.engine))
        # Interrupted after it was stored in pieces twice.
        log.sealer._index.build(310)
        state = rows.load_state()
        assert state is not None
        assert (state.map_size, state.note) == (210, None)
        with pytest.raises(StoreError, match="210 of 461"), log.proofs.snapshot():
            pass
        with self.reopened(log) as other:
            other.sealer.seal()
        log.check()

    def test_a_deleted_index_is_missed_and_made_anew_by_the_next_seal(self, log: Sealing) -> None:
        log.grow("d", 100)
        log.sealer.seal()
        SqlIndexRows(open_index_engine(log.engine)).clear()
        with pytest.raises(StoreError, match="reindex"), log.proofs.snapshot():
            pass
        assert not log.sealer.seal().created
        log.check()

    def test_reindexing_makes_it_anew_and_signs_nothing(self, log: Sealing) -> None:
        with pytest.raises(UsageError, match="seal"):
            log.sealer.reindex()
        log.grow("d", 100)
        sealed = log.sealer.seal()
        assert log.edit("UPDATE index_rows SET data = (SELECT data FROM index_rows LIMIT 1)")
        with self.reopened(log) as other:
            again = other.sealer.reindex()
        assert (again.created, again.note) == (False, sealed.note)
        assert log.store.size() == sealed.checkpoint.size
        log.check()

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM index_rows",
            "DELETE FROM index_pages WHERE prefix = ''",
            "UPDATE index_pages SET data = (SELECT max(data) FROM index_pages)",
            "UPDATE index_rows SET data = (SELECT max(data) FROM index_rows)",
            "UPDATE index_state SET map_root = head",
        ],
    )
    def test_a_damaged_index_stops_the_sealer_and_every_proof_and_names_the_fix(
        self, log: Sealing, statement: str
    ) -> None:
        log.grow("d", 200)
        sealed = log.sealer.seal()
        assert log.edit(statement)
        with pytest.raises(DamagedIndexError, match="reindex"):
            log.read_all()
        log.grow("e", 200)
        with self.reopened(log) as other, pytest.raises(DamagedIndexError, match="reindex"):
            other.sealer.seal()
        assert log.store.load_checkpoint() == sealed.note
        log.sealer.reindex()
        log.sealer.seal()
        log.check()

    def test_a_damaged_tile_fails_the_pages_that_rest_on_it(self, log: Sealing) -> None:
        log.grow("d", 300)
        log.sealer.seal()
        assert log.edit("UPDATE index_tiles SET data = root || root")
        with log.proofs.snapshot() as snapshot, pytest.raises(DamagedIndexError, match="reindex"):
            snapshot.load_page("dev:dev-a", 5, 5)

    def test_an_entry_that_is_gone_or_changed_fails_the_pages_that_show_it(self, log: Sealing) -> None:
        log.grow("d", 300)
        log.sealer.seal()
        with log.proofs.snapshot() as snapshot:
            log.proofs._entries.leaf_hashes_at = lambda seqs: dict.fromkeys(seqs, bytes(32))  # type: ignore[method-assign]
            with pytest.raises(DamagedIndexError, match="verify"):
                snapshot.load_page("dev:dev-a", 5, 5)
            log.proofs._entries.leaf_hashes_at = lambda seqs: {}  # type: ignore[method-assign]
            with pytest.raises(DamagedIndexError, match="not in the log"):
                snapshot.load_page("dev:dev-a", 5, 5)

    def test_a_commit_happens_as_a_whole_or_not_at_all_and_only_on_the_expected_state(
        self, log: Sealing
    ) -> None:
        rows = SqlIndexRows(open_index_engine(log.engine))
        first = IndexState(5, b"r" * 32, b"h" * 32, None)
        tiles = [TileRow(b"p" * 32, 0, number, b"t" * 32, b"d" * 512) for number in range(3)]
        changes = IndexChanges([(b"p" * 32, b"row")], [("", b"page"), ("a", b"more")], tiles)
        rows.commit(None, first, changes)
        assert rows.load_state() == first
        assert rows.load_rows([b"p" * 32, b"q" * 32]) == {b"p" * 32: b"row"}
        assert rows.load_pages(["", "a", "b"]) == {"": b"page", "a": b"more"}
        assert rows.load_tile_roots(b"p" * 32, 0, 1, 9) == [b"t" * 32] * 2
        second = IndexState(6, b"s" * 32, b"i" * 32, b"note")
        with pytest.raises(StoreError, match="another process"):
            rows.commit(second, second, IndexChanges(pages=[("", b"other")]))
        with pytest.raises(StoreError):
            rows.commit(first, second, IndexChanges(pages=[("", b"other")], tiles=tiles[:1]))
        assert (rows.load_state(), rows.load_pages([""])) == (first, {"": b"page"})
        rows.commit(first, second, IndexChanges(pages=[("", b"other")]))
        assert (rows.load_state(), rows.load_pages([""])) == (second, {"": b"other"})
        rows.clear()
        assert (rows.load_state(), rows.is_there()) == (None, rows._is_server)

    def test_thousands_of_rows_are_read_and_written_as_few_are(self, log: Sealing) -> None:
        rows = SqlIndexRows(open_index_engine(log.engine))
        names = [number.to_bytes(32) for number in range(5_003)]
        state = IndexState(5, b"r" * 32, b"h" * 32, None)
        rows.commit(None, state, IndexChanges([(name, name[::-1]) for name in names]))
        rows.commit(state, state, IndexChanges([(name, name * 2) for name in names[1:]]))
        found = rows.load_rows([*names, b"absent"])
        assert found == {names[0]: names[0][::-1], **{name: name * 2 for name in names[1:]}}
