"""SIGKILL at each step of a seal, then the same code again: the log is sealed, and no two signatures disagree."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.core.checkpoint import Checkpoint, open_checkpoint
from ledger.sequencer.log_index import CHUNK_ENTRIES
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.index_proofs import SqlIndexProofs
from ledger.store.index_rows import SqlIndexRows, open_index_engine
from tests.support.log_world import ORIGIN, VERIFIER, check_world, open_world, opening, settlement, tag
from tests.support.naive_index import NaiveSnapshot
from tests.support.stored_index import check_snapshot

ROOT = Path(__file__).resolve().parents[2]
STEPS = [
    "seal.locked",
    "seal.index_caught_up",
    "seal.indexed",
    "append.judged",
    "store.append.guarded",
    "store.append.inserted",
    "store.append.committed",
    "append.acknowledging",
    "seal.index_appended",
    "seal.tiles.level_0",
    "seal.tiles.level_1",
    "store.put_tiles.committed",
    "seal.tiles_put",
    "seal.signed",
    "record.written",
    "record.renamed",
    "record.swapped",
    "seal.recorded",
    "store.put_checkpoint.committed",
    "seal.published",
    "index.guarded",
    "index.written",
    "index.committed",
    "seal.index_stored",
]


@pytest.fixture(scope="module")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Checkpoint]:
    """A log that was sealed at about 300 entries and has grown by 500 since."""
    directory = tmp_path_factory.mktemp("log")
    world = open_world(directory)
    world.sequencer.append_many(opening())
    world.sequencer.append_many([settlement(f"d-{i}", i % 3) for i in range(300)])
    first = world.sealer.seal().checkpoint
    world.sequencer.append_many([settlement(f"e-{i}", i % 3) for i in range(500)])
    world.close()
    return directory, first


def kill_at(directory: Path, step: str, chunk_entries: int = CHUNK_ENTRIES) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.seal_child", str(directory), step, str(chunk_entries)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def check_proofs(directory: Path) -> Checkpoint:
    """Assert that the stored index proves what the entries give, for the checkpoint that is returned."""
    engine = open_engine(f"sqlite:///{directory}/ledger.db")
    proofs = SqlIndexProofs(engine)
    try:
        with proofs.snapshot() as snapshot:
            checkpoint = open_checkpoint(snapshot.note, ORIGIN, [VERIFIER]).checkpoint
            entries = [row.data for row in SqlEntryStore(engine).fetch_range(0, snapshot.map_size)]
            keys = ["dev:dev-a", "dev:absent", *[f"acct:{tag(number)}" for number in range(4)]]
            check_snapshot(snapshot, NaiveSnapshot(entries, snapshot.note), keys)
    finally:
        proofs.close()
        engine.dispose()
    return checkpoint


def signed(directory: Path) -> Checkpoint:
    return open_checkpoint((directory / "signed").read_bytes(), ORIGIN, [VERIFIER]).checkpoint


@pytest.mark.parametrize("grows", [False, True], ids=["idle", "growing"])
@pytest.mark.parametrize("step", STEPS)
def test_after_a_kill_the_next_seal_covers_everything_and_continues_what_was_signed(
    sealed_once: tuple[Path, Checkpoint], tmp_path: Path, step: str, grows: bool
) -> None:
    original, first = sealed_once
    directory = tmp_path / "log"
    shutil.copytree(original, directory)
    kill_at(directory, step)
    at_death = signed(directory)
    check_world(directory, earlier=[first, at_death])
    assert check_proofs(directory) in (first, at_death)

    world = open_world(directory)
    if grows:
        world.sequencer.append_many([settlement(f"f-{i}") for i in range(20)])
    sealed = world.sealer.seal()
    again = world.sealer.seal()
    size = world.store.size()
    world.close()
    assert sealed.checkpoint.size == size
    assert (again.created, again.note) == (False, sealed.note)
    entries = check_world(directory, earlier=[first, at_death, sealed.checkpoint])
    assert signed(directory) == check_proofs(directory) == sealed.checkpoint
    assert entries[-1]["kind"] == "index.sealed"


def test_a_kill_at_every_step_in_turn_leaves_one_history(
    sealed_once: tuple[Path, Checkpoint], tmp_path: Path
) -> None:
    original, first = sealed_once
    directory = tmp_path / "log"
    shutil.copytree(original, directory)
    checkpoints = [first]
    for step in ("seal.index_appended", "seal.tiles_put", "seal.signed", "record.renamed", "seal.locked"):
        kill_at(directory, step)
        checkpoints.append(signed(directory))
    world = open_world(directory)
    checkpoints.append(world.sealer.seal().checkpoint)
    world.close()
    assert check_proofs(directory) == checkpoints[-1]
    entries = check_world(directory, earlier=checkpoints)
    assert sum(entry["kind"] == "index.sealed" for entry in entries) == 2, (
        "a pending index.sealed is taken up"
    )


@pytest.mark.parametrize("step", ["index.guarded", "index.written", "index.committed"])
def test_a_kill_while_an_index_is_made_from_the_beginning_loses_no_more_than_a_piece(
    sealed_once: tuple[Path, Checkpoint], tmp_path: Path, step: str
) -> None:
    directory = tmp_path / "log"
    shutil.copytree(sealed_once[0], directory)
    for path in directory.glob("ledger.db.index*"):
        path.unlink()
    # Stored in pieces of 64 entries; each child gets one more of them done, or none.
    sizes = []
    for _ in range(3):
        kill_at(directory, step, chunk_entries=64)
        state = SqlIndexRows(open_index_engine(open_engine(f"sqlite:///{directory}/ledger.db"))).load_state()
        sizes.append(state.map_size if state else 0)
    assert sizes == ([64, 128, 192] if step == "index.committed" else [0, 0, 0])
    world = open_world(directory)
    sealed = world.sealer.seal().checkpoint
    world.close()
    assert check_proofs(directory) == sealed
