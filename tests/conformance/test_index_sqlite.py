"""The stored index on SQLite, in a file of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.errors import DamagedIndexError, StoreError
from ledger.store.migrate import upgrade
from tests.conformance.index_suite import IndexSuite, Sealing, open_sealing


class TestSqliteIndex(IndexSuite):
    """The suite on SQLite."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A new file."""
        url = f"sqlite:///{tmp_path}/ledger.db"
        upgrade(url)
        return url

    def test_the_index_lies_beside_the_ledger(self, log: Sealing, tmp_path: Path) -> None:
        log.sealer.seal()
        assert (tmp_path / "ledger.db.index").exists()

    def test_a_file_that_is_no_database_stops_the_sealer_until_it_is_made_anew(
        self, log: Sealing, tmp_path: Path
    ) -> None:
        log.sealer.seal()
        for path in tmp_path.glob("ledger.db.index*"):
            path.unlink()
        (tmp_path / "ledger.db.index").write_bytes(b"no database at all" * 1000)
        log.grow("d", 3)
        with pytest.raises(DamagedIndexError, match="reindex"):
            log.sealer.seal()
        with pytest.raises(DamagedIndexError, match="reindex"), log.proofs.snapshot():
            pass
        log.sealer.reindex()
        log.sealer.seal()
        log.check()

    @pytest.mark.parametrize(
        "statement", ["DROP TABLE index_rows", "ALTER TABLE index_pages RENAME COLUMN data TO other"]
    )
    def test_tables_that_are_others_stop_the_sealer_until_they_are_made_anew(
        self, log: Sealing, statement: str
    ) -> None:
        log.sealer.seal()
        log.edit(statement)
        log.grow("d", 3)
        with self.reopened(log) as other:
            with pytest.raises(DamagedIndexError, match="reindex"):
                other.sealer.seal()
            other.sealer.reindex()
            other.sealer.seal()
            other.check()

    @pytest.mark.parametrize(
        "statement",
        [
            "PRAGMA user_version = 0",
            "PRAGMA user_version = 99",
            "DELETE FROM index_state",
            "UPDATE index_state SET head = 'text'",
            "UPDATE index_state SET map_size = 'text'",
        ],
    )
    def test_an_index_of_another_version_or_without_a_state_is_made_anew(
        self, log: Sealing, statement: str
    ) -> None:
        log.sealer.seal()
        log.edit(statement)
        log.grow("d", 3)
        with self.reopened(log) as other:
            assert other.sealer.seal().created
            other.check()

    def test_a_restored_database_with_a_newer_index_goes_on_with_what_its_entries_give(
        self, log: Sealing, tmp_path: Path
    ) -> None:
        log.grow("d", 50)
        log.sealer.seal()
        log.engine.dispose()
        backup = tmp_path / "backup"
        backup.mkdir()
        for name in ("ledger.db", "signed"):
            shutil.copy(tmp_path / name, backup)
        log.grow("lost", 70)
        log.sealer.seal()
        log.sequencer.close()
        log.engine.dispose()
        for path in tmp_path.glob("ledger.db-*"):
            path.unlink()
        for name in ("ledger.db", "signed"):
            # The record too, as nobody should: else nothing is signed at all.
            shutil.copy(backup / name, tmp_path)
        with open_sealing(log.url, tmp_path) as other:
            with pytest.raises(StoreError, match="another copy"), other.proofs.snapshot():
                pass
            other.grow("other", 20)
            other.sealer.seal()
            other.check()

    def test_a_restored_index_that_is_older_than_the_database_proves_its_own_checkpoint_and_catches_up(
        self, log: Sealing, tmp_path: Path
    ) -> None:
        log.grow("d", 50)
        older = log.sealer.seal()
        log.proofs.close()
        log.sealer._index._index._rows._engine.dispose()  # type: ignore[attr-defined]
        shutil.copy(tmp_path / "ledger.db.index", tmp_path / "older")
        log.grow("e", 70)
        newer = log.sealer.seal()
        log.sealer._index._index._rows._engine.dispose()  # type: ignore[attr-defined]
        for path in tmp_path.glob("ledger.db.index*"):
            path.unlink()
        shutil.copy(tmp_path / "older", tmp_path / "ledger.db.index")
        with log.proofs.snapshot() as snapshot:
            assert snapshot.note == older.note
        with self.reopened(log) as other:
            assert other.sealer.seal().note == newer.note
        log.check()
