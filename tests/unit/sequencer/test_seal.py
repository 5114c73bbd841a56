"""Sealing, and refusing to sign anything that does not continue what was signed (ledger format, section 1.3)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.core.canonical import JsonValue
from ledger.errors import ForkError, SignatureError, StoreError
from ledger.sequencer.draft import Draft, expect
from tests.support.log_world import (
    START_MS,
    World,
    check_world,
    open_world,
    opening,
    settlement,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    directory = tmp_path / "log"
    directory.mkdir()
    opened = open_world(directory)
    opened.sequencer.append_many(opening())
    yield opened
    opened.close()


def grow(world: World, name: str, count: int) -> None:
    world.sequencer.append_many([settlement(f"{name}-{i}", i % 3) for i in range(count)])


def test_a_seal_covers_every_durable_entry_and_its_own_index(world: World) -> None:
    sealed = world.sealer.seal()
    assert sealed.created
    assert sealed.checkpoint.size == len(opening()) + 1
    assert world.store.load_checkpoint() == world.record.load() == sealed.note
    assert check_world(world.directory)[-1]["map_size"] == len(opening())


def test_nothing_is_sealed_when_nothing_is_new(world: World) -> None:
    sealed = world.sealer.seal()
    again = world.sealer.seal()
    assert (again.created, again.checkpoint, again.note) == (False, sealed.checkpoint, sealed.note)
    assert world.store.size() == sealed.checkpoint.size


def test_nothing_is_sealed_after_a_restart_when_nothing_is_new(world: World) -> None:
    sealed = world.sealer.seal()
    world.close()
    reopened = open_world(world.directory)
    assert not reopened.sealer.seal().created
    assert reopened.store.size() == sealed.checkpoint.size
    reopened.close()


@pytest.mark.parametrize("restart", [False, True])
def test_many_seals_of_a_growing_log_agree_with_one_another(world: World, restart: bool) -> None:
    checkpoints = []
    for number, count in enumerate((1, 2, 240, 1, 255, 256, 513, 3)):
        grow(world, f"d-{number}", count)
        checkpoints.append(world.sealer.seal().checkpoint)
        if restart:
            world.close()
            world = open_world(world.directory)
    world.close()
    check_world(world.directory, earlier=checkpoints)


def test_an_empty_log_is_not_sealed(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    with pytest.raises(StoreError, match="init"):
        world.sealer.seal()
    world.close()


def test_entries_that_come_in_during_a_seal_are_in_the_tree_but_not_in_its_index(tmp_path: Path) -> None:
    during: list[Callable[[], None]] = []

    def reached(step: str) -> None:
        if step == "seal.indexed" and during:
            during.pop()()

    world = open_world(tmp_path, reached)
    world.sequencer.append_many(opening())
    during.append(lambda: grow(world, "during", 5))
    sealed = world.sealer.seal()
    assert sealed.checkpoint.size == len(opening()) + 6
    assert check_world(tmp_path)[-1]["map_size"] == len(opening())
    assert not world.sealer.seal().created
    grow(world, "after", 1)
    assert world.sealer.seal().created
    world.close()
    check_world(tmp_path, earlier=[sealed.checkpoint])


def test_a_second_sealer_is_refused_while_the_first_holds_the_lock(world: World) -> None:
    other = open_world(world.directory)
    with world.record.lock(), pytest.raises(StoreError, match="another sealer"):
        other.sealer.seal()
    other.close()
    assert world.sealer.seal().created


def restore(world: World, backup: Path) -> World:
    """Put an older copy of the database back, as a restore would."""
    world.close()
    for path in world.directory.glob("ledger.db*"):
        path.unlink()
    for path in backup.glob("ledger.db*"):
        shutil.copy(path, world.directory)
    return open_world(world.directory)


def back_up(world: World, to: Path) -> Path:
    world.close()
    shutil.copytree(world.directory, to)
    return to


@pytest.mark.parametrize("count", [0, 1, 9, 10, 400])
def test_a_restored_backup_never_signs_whatever_is_appended_to_it(
    world: World, tmp_path: Path, count: int
) -> None:
    world.sealer.seal()
    backup = back_up(world, tmp_path / "backup")
    world = open_world(world.directory)
    grow(world, "lost", 8)
    signed = world.sealer.seal()
    world = restore(world, backup)
    world.clock.ms = START_MS + 1
    grow(world, "other", count)
    with pytest.raises(ForkError, match=str(signed.checkpoint.size)):
        world.sealer.seal()
    assert world.record.load() == signed.note
    world.close()


def test_a_lost_record_stops_the_sealer(world: World) -> None:
    world.sealer.seal()
    (world.directory / "signed").unlink()
    grow(world, "d", 1)
    with pytest.raises(ForkError, match="record"):
        world.sealer.seal()


def test_an_older_record_stops_the_sealer(world: World) -> None:
    old = world.sealer.seal().note
    grow(world, "d", 1)
    world.sealer.seal()
    (world.directory / "signed").write_bytes(old)
    with pytest.raises(ForkError, match="older copy"):
        world.sealer.seal()


def test_a_forged_record_stops_the_sealer(world: World) -> None:
    note = world.sealer.seal().note
    (world.directory / "signed").write_bytes(note.replace(b"\n11\n", b"\n12\n"))
    with pytest.raises(SignatureError):
        world.sealer.seal()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET data = CAST(replace(data, 'confirmed', 'possible') AS BLOB) WHERE seq = 14",
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq = 14",
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 14",
        "DELETE FROM tiles",
        "UPDATE tiles SET data = zeroblob(length(data))",
    ],
)
def test_a_database_that_was_edited_is_not_signed(world: World, statement: str) -> None:
    signed = world.sealer.seal()
    grow(world, "d", 5)
    world.close()
    edit(world.directory, statement)
    world = open_world(world.directory)
    with pytest.raises(ForkError):
        world.sealer.seal()
    assert world.record.load() == signed.note
    world.close()


def edit(directory: Path, *statements: str) -> None:
    """Change the database past its triggers, as somebody with the file could."""
    connection = sqlite3.connect(directory / "ledger.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq = 9",
        "UPDATE entries SET data = x'7b7d' WHERE seq = 9",
        "UPDATE entries SET uid = 'another' WHERE seq = 9",
        "UPDATE ledger_head SET size = 9",
        "UPDATE ledger_head SET size = 11",
        "DELETE FROM entries WHERE seq = 9",
        "DELETE FROM ledger_head",
        "UPDATE entries SET data = x'7b7d' WHERE seq = 3",
    ],
)
def test_a_log_whose_end_or_state_contradicts_itself_is_not_continued(world: World, statement: str) -> None:
    world.close()
    assert len(opening()) == 10
    edit(world.directory, statement)
    with pytest.raises(ForkError):
        open_world(world.directory)


def test_an_index_sealed_that_lies_is_not_signed(world: World) -> None:
    world.sealer.seal()
    grow(world, "d", 2)
    lie: dict[str, JsonValue] = {
        "kind": "index.sealed",
        "uid": "index.sealed/lie",
        "actor": "system:sealer",
        "via": "system",
        "map_fn": 1,
        "map_root": "0" * 64,
        "map_size": 13,
    }
    expect(world.sequencer.append(Draft(lie)))
    with pytest.raises(ForkError, match="map root"):
        world.sealer.seal()
