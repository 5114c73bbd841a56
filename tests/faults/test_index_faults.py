"""Writes of the index that fail, in both ways, and writers of it that are there at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import event

from ledger.engines.stored_index import StoredIndex
from ledger.errors import StoreError
from ledger.ports.index import IndexChanges, IndexState
from ledger.store.engine import open_engine
from ledger.store.index_rows import SqlIndexRows, open_index_engine
from tests.faults.test_kill_seal import check_proofs
from tests.support.log_world import World, check_world, open_world, opening, settlement

Kind = Literal["before", "after"]


class FailingRows(SqlIndexRows):
    """The index in a file, whose next commit, or next way to begin anew, fails where it is told to."""

    failing: Kind | None = None

    def commit(self, expected: IndexState | None, state: IndexState, changes: IndexChanges) -> None:
        kind, self.failing = self.failing, None
        if kind == "before":
            raise StoreError("writing the index failed on purpose")
        super().commit(expected, state, changes)
        if kind == "after":
            raise StoreError("writing the index was reported as failed on purpose")


def open_failing(directory: Path) -> tuple[World, FailingRows]:
    rows = FailingRows(open_index_engine(open_engine(f"sqlite:///{directory}/ledger.db")))
    return open_world(directory, index=StoredIndex(rows)), rows


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[World, FailingRows]]:
    opened, rows = open_failing(tmp_path)
    opened.sequencer.append_many(opening())
    yield opened, rows
    opened.close()


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("kind", ["before", "after"])
def test_an_index_that_was_not_stored_is_caught_up_by_the_next_seal_and_proves_until_then_what_it_is(
    world: tuple[World, FailingRows], kind: Kind, grows: bool
) -> None:
    log, rows = world
    first = log.sealer.seal().checkpoint
    log.sequencer.append_many([settlement(f"d-{i}", i % 5) for i in range(300)])
    rows.failing = kind
    with pytest.raises(StoreError, match="on purpose"):
        log.sealer.seal()
    # The checkpoint was published before.
    assert log.store.load_checkpoint() == log.record.load()
    assert (check_proofs(log.directory) == first) == (kind == "before")
    if grows:
        log.sequencer.append_many([settlement(f"e-{i}", i % 7) for i in range(30)])
    sealed = log.sealer.seal()
    assert sealed.created == grows
    assert check_proofs(log.directory) == sealed.checkpoint
    check_world(log.directory, earlier=[first, sealed.checkpoint])


@pytest.mark.parametrize("kind", ["before", "after"])
def test_an_index_that_was_not_stored_is_caught_up_by_another_process(
    world: tuple[World, FailingRows], kind: Kind
) -> None:
    log, rows = world
    log.sealer.seal()
    log.sequencer.append_many([settlement(f"d-{i}", i % 5) for i in range(300)])
    rows.failing = kind
    with pytest.raises(StoreError, match="on purpose"):
        log.sealer.seal()
    other = open_world(log.directory)
    other.sequencer.append_many([settlement(f"e-{i}", i % 7) for i in range(30)])
    second = other.sealer.seal()
    other.close()
    assert check_proofs(log.directory) == second.checkpoint
    # The first process goes on from what the other has stored.
    log.sequencer.append_many([settlement(f"f-{i}", i % 9) for i in range(30)])
    third = log.sealer.seal()
    assert check_proofs(log.directory) == third.checkpoint
    check_world(log.directory, earlier=[second.checkpoint, third.checkpoint])


def test_two_sealers_in_turn_are_one_history(world: tuple[World, FailingRows]) -> None:
    log = world[0]
    other = open_world(log.directory)
    checkpoints = []
    for number in range(6):
        sealing = (log, other)[number % 2]
        sealing.sequencer.append_many([settlement(f"d-{number}-{i}", i % 9) for i in range(40)])
        checkpoints.append(sealing.sealer.seal().checkpoint)
        assert check_proofs(log.directory) == checkpoints[-1]
    other.close()
    check_world(log.directory, earlier=checkpoints)


def test_a_full_disk_stops_the_index_and_not_what_is_published(tmp_path: Path) -> None:
    engine = open_index_engine(open_engine(f"sqlite:///{tmp_path}/ledger.db"))
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 20"))
    log = open_world(tmp_path, index=StoredIndex(SqlIndexRows(engine)))
    log.sequencer.append_many(opening())
    log.sequencer.append_many([settlement(f"d-{i}", i) for i in range(900)])
    with pytest.raises(StoreError, match=r"full.*free some space"):
        log.sealer.seal()
    assert log.store.load_checkpoint() == log.record.load()
    log.close()
    engine.dispose()
    again = open_world(tmp_path)
    sealed = again.sealer.seal()
    again.close()
    assert not sealed.created
    assert check_proofs(tmp_path) == sealed.checkpoint
