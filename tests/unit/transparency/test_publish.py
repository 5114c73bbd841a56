"""The published directory: complete, incremental, resumable, and never going back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core import merkle, tiles
from ledger.core.checkpoint import open_checkpoint
from ledger.durable import sync_directory
from ledger.errors import ForkError, StoreError, UsageError
from ledger.transparency import publish as publish_module
from ledger.transparency.publish import publish
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER, World, open_world, opening, settlement


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    directory = tmp_path / "log"
    directory.mkdir()
    opened = open_world(directory)
    opened.sequencer.append_many(opening())
    opened.sequencer.append_many([settlement(f"d-{i}", i % 3) for i in range(600)])
    yield opened
    opened.close()


def check_directory(directory: Path) -> int:
    """Assert that a stranger can check the directory; the size of its tree."""
    note = (directory / "checkpoint").read_bytes()
    checkpoint = open_checkpoint(note, ORIGIN, [VERIFIER]).checkpoint
    assert (directory / "log.vkey").read_text() == SIGNER.vkey() + "\n"
    leaves: list[bytes] = []
    for bundle in tiles.bundles_added(0, checkpoint.size):
        entries = tiles.decode_bundle((directory / tiles.format_path(bundle)).read_bytes())
        assert len(entries) == bundle.width
        leaves += merkle.hash_leaves(entries)
    assert merkle.root_of(leaves) == checkpoint.root

    def load_tile(tile: tiles.TileId) -> bytes | None:
        path = directory / tiles.format_path(tile)
        return path.read_bytes() if path.exists() else None

    assert (
        merkle.compute_root(checkpoint.size, tiles.node_reader(checkpoint.size, load_tile)) == checkpoint.root
    )
    for tile in tiles.tiles_added(0, checkpoint.size):
        assert (directory / tiles.format_path(tile)).stat().st_size == tile.width * 32
    assert not list(directory.rglob(".*")), "no half-written file is left"
    return checkpoint.size


def test_a_stranger_can_check_what_is_published(world: World, tmp_path: Path) -> None:
    sealed = world.sealer.seal()
    published = publish(world.store, tmp_path / "public", SIGNER.vkey())
    assert published.checkpoint == sealed.checkpoint
    assert check_directory(tmp_path / "public") == sealed.checkpoint.size


def test_nothing_is_published_before_the_first_seal(world: World, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seal"):
        publish(world.store, tmp_path / "public", SIGNER.vkey())


def test_publishing_again_writes_nothing(world: World, tmp_path: Path) -> None:
    world.sealer.seal()
    publish(world.store, tmp_path / "public", SIGNER.vkey())
    assert publish(world.store, tmp_path / "public", SIGNER.vkey()).files_written == 0


def test_publishing_a_longer_log_leaves_full_tiles_untouched(world: World, tmp_path: Path) -> None:
    public = tmp_path / "public"
    world.sealer.seal()
    publish(world.store, public, SIGNER.vkey())
    before = {path: path.stat().st_mtime_ns for path in public.rglob("*") if path.is_file()}
    world.sequencer.append_many([settlement(f"e-{i}") for i in range(300)])
    size = world.sealer.seal().checkpoint.size
    publish(world.store, public, SIGNER.vkey())
    assert check_directory(public) == size
    changed = [path.name for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == ["checkpoint"]


def test_a_run_that_failed_is_completed_by_the_next_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = tmp_path / "public"
    world.sealer.seal()
    replace, count = Path.replace, 0

    def fail_later(source: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count > 4:
            raise OSError(28, "No space left on device", str(target))
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", fail_later)
    with pytest.raises(StoreError, match="free some space"):
        publish(world.store, public, SIGNER.vkey())
    assert not (public / "checkpoint").exists()
    monkeypatch.undo()
    publish(world.store, public, SIGNER.vkey())
    check_directory(public)


def test_the_directory_of_another_log_is_refused(world: World, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    note = world.sealer.seal().note
    (public / "checkpoint").write_bytes(note.replace(ORIGIN.encode() + b"\n", b"other.example/x\n", 1))
    with pytest.raises(ForkError, match=r"other\.example/x"):
        publish(world.store, public, SIGNER.vkey())


def test_a_directory_that_is_ahead_of_the_database_is_refused(world: World, tmp_path: Path) -> None:
    public = tmp_path / "public"
    world.sealer.seal()
    old = world.store.load_checkpoint()
    assert old is not None
    world.sequencer.append(settlement("more"))
    world.sealer.seal()
    publish(world.store, public, SIGNER.vkey())

    class Older:
        def load_checkpoint(self) -> bytes | None:
            return old

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

    with pytest.raises(ForkError, match="older copy"):
        publish(Older(), public, SIGNER.vkey())  # type: ignore[arg-type]
    check_directory(public)


def test_progress_is_told_up_to_the_whole_size(world: World, tmp_path: Path) -> None:
    size = world.sealer.seal().checkpoint.size
    told: list[tuple[int, int]] = []
    publish(world.store, tmp_path / "public", SIGNER.vkey(), lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_every_name_is_durable_before_the_checkpoint_refers_to_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sealer.seal()
    public = tmp_path / "public"
    synced: dict[Path, bool] = {}
    sync = sync_directory

    def watched(directory: Path) -> None:
        synced.setdefault(directory, (public / "checkpoint").exists())
        sync(directory)

    monkeypatch.setattr(publish_module, "sync_directory", watched)
    publish(world.store, public, SIGNER.vkey())
    directories = {path for path in public.rglob("*") if path.is_dir()} | {public}
    assert directories <= synced.keys()
    assert not any(synced.values()), "the checkpoint came before a directory was synced"
