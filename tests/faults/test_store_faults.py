"""Writes that fail, in both ways: it did not happen, and it happened and was reported as failed."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import event

from ledger.core.checkpoint import open_checkpoint
from ledger.errors import StoreError
from ledger.ports import Change, CheckpointRecord, EntryStore, NewEntry, StoredEntry, Turn
from ledger.ports.permit import Permit, Refused
from ledger.sequencer.draft import Appended, expect
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.record import FileCheckpointRecord
from tests.support.log_world import (
    ORIGIN,
    VERIFIER,
    World,
    attempt,
    check_world,
    draft,
    grant,
    open_store,
    open_world,
    opening,
    revocation,
    settlement,
    tag,
)

Kind = Literal["before", "after"]
KINDS: list[Kind] = ["before", "after"]


class Faults:
    """Which calls fail: ``plan(method, kind)`` makes the next call of ``method`` fail, ``blind`` all reads as well.

    With ``blinding`` reads fail from the next planned failure on.
    """

    def __init__(self) -> None:
        self.planned: dict[str, Kind] = {}
        self.blind = False
        self.blinding = False
        self.hits = 0

    def plan(self, method: str, kind: Kind) -> None:
        self.planned[method] = kind

    @contextmanager
    def around(self, method: str) -> Iterator[None]:
        kind = self.planned.pop(method, None)
        self.blind = self.blind or (self.blinding and kind is not None)
        if kind == "before":
            self.hits += 1
            raise StoreError(f"{method} failed on purpose")
        yield
        if kind == "after":
            self.hits += 1
            raise StoreError(f"{method} was reported as failed on purpose")

    def check_sight(self) -> None:
        if self.blind:
            raise StoreError("nothing can be read on purpose")


class FaultyTurn:
    """A Turn in front of another one, with the same faults at its write."""

    def __init__(self, held: Turn, faults: Faults) -> None:
        self.held = held
        self.faults = faults

    @property
    def size(self) -> int:
        return self.held.size

    def append(self, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        with self.faults.around("append"):
            self.held.append(entries, changes)


class FaultyStore:
    """An EntryStore in front of another one, with faults at its writes."""

    def __init__(self, store: EntryStore, faults: Faults) -> None:
        self.inner = store
        self.faults = faults

    def size(self) -> int:
        self.faults.check_sight()
        return self.inner.size()

    def append(self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        with self.faults.around("append"):
            self.inner.append(expected_size, entries, changes)

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        with self.inner.turn() as held:
            yield FaultyTurn(held, self.faults)

    def fetch_by_uids(self, uids: Sequence[str]) -> dict[str, StoredEntry]:
        with self.faults.around("fetch_by_uids"):
            return self.inner.fetch_by_uids(uids)

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        return self.inner.fetch_range(start, end)

    def fetch_state(self, start: int = 0) -> Iterator[StoredEntry]:
        self.faults.check_sight()
        return self.inner.fetch_state(start)

    def leaf_hashes(self, start: int, end: int) -> bytes:
        return self.inner.leaf_hashes(start, end)

    def load_tile(self, path: str) -> bytes | None:
        return self.inner.load_tile(path)

    def put_tiles(self, tiles: Iterable[tuple[str, bytes]]) -> None:
        with self.faults.around("put_tiles"):
            self.inner.put_tiles(tiles)

    def load_checkpoint(self) -> bytes | None:
        return self.inner.load_checkpoint()

    def put_checkpoint(self, tree_size: int, checkpoint: bytes) -> None:
        with self.faults.around("put_checkpoint"):
            self.inner.put_checkpoint(tree_size, checkpoint)

    def close(self) -> None:
        close: Any = getattr(self.inner, "close", None)
        close()


class FaultyRecord:
    """A CheckpointRecord in front of another one, with faults at its swap."""

    def __init__(self, record: CheckpointRecord, faults: Faults) -> None:
        self.inner = record
        self.faults = faults

    def load(self) -> bytes | None:
        return self.inner.load()

    def compare_and_swap(self, expected: bytes | None, new: bytes) -> None:
        with self.faults.around("compare_and_swap"):
            self.inner.compare_and_swap(expected, new)

    def lock(self) -> AbstractContextManager[None]:
        return self.inner.lock()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def world(tmp_path: Path, faults: Faults) -> Iterator[World]:
    store = FaultyStore(open_store(tmp_path), faults)
    record = FaultyRecord(FileCheckpointRecord(tmp_path / "signed"), faults)
    opened = open_world(tmp_path, store=store, record=record)
    opened.sequencer.append_many(opening())
    yield opened
    opened.close()


@pytest.mark.parametrize("bears_state", [False, True], ids=["delivery", "grant"])
def test_an_append_that_did_not_happen_fails_and_can_be_repeated(
    world: World, faults: Faults, bears_state: bool
) -> None:
    item = grant(0, "h-0") if bears_state else settlement("d-1")
    faults.plan("append", "before")
    with pytest.raises(StoreError, match="on purpose"):
        world.sequencer.append(item)
    check_world(world.directory)
    assert expect(world.sequencer.append(item)).created
    check_world(world.directory)


@pytest.mark.parametrize("bears_state", [False, True], ids=["delivery", "grant"])
def test_an_append_that_happened_is_answered_as_durable_however_it_was_reported(
    world: World, faults: Faults, bears_state: bool
) -> None:
    item = grant(0, "h-0") if bears_state else settlement("d-1")
    faults.plan("append", "after")
    appended = expect(world.sequencer.append(item))
    assert appended.created
    assert faults.hits == 1
    entries = check_world(world.directory, {str(item.members["uid"]): appended.leaf_hash.hex()})
    assert len(entries) == len(opening()) + 1
    assert not expect(world.sequencer.append(item)).created


def test_a_permit_is_given_once_when_the_attempt_was_reported_as_failed(world: World, faults: Faults) -> None:
    faults.plan("append", "after")
    assert isinstance(world.sequencer.request(attempt("d-1")), Permit)
    assert isinstance(world.sequencer.request(attempt("d-1")), Appended)


def test_a_revocation_that_did_not_happen_is_not_known(world: World, faults: Faults) -> None:
    faults.plan("append", "before")
    with pytest.raises(StoreError):
        world.sequencer.append(revocation(0))
    assert isinstance(world.sequencer.request(attempt("d-1")), Permit)


def test_a_revocation_that_was_reported_as_failed_is_known(world: World, faults: Faults) -> None:
    faults.plan("append", "after")
    expect(world.sequencer.append(revocation(0)))
    assert not isinstance(world.sequencer.request(attempt("d-1")), Permit)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_was_judged_ahead_of_a_failing_one_is_judged_anew(
    tmp_path: Path, faults: Faults, kind: Kind
) -> None:
    first_judged, second_judged = threading.Event(), threading.Event()

    class SlowStore(FaultyStore):
        def append(
            self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()
        ) -> None:
            if faults.planned:
                assert second_judged.wait(30)
            super().append(expected_size, entries, changes)

    def reached(step: str) -> None:
        if step == "append.judged" and faults.planned:
            (second_judged if first_judged.is_set() else first_judged).set()

    world = open_world(tmp_path, reached, store=SlowStore(open_store(tmp_path), faults), batch_items_max=20)
    world.sequencer.append_many(opening())
    faults.plan("append", kind)
    revoked = world.sequencer.submit([revocation(0)])
    assert first_judged.wait(30)
    asked = world.sequencer.submit([attempt("d-1"), settlement("d-0")])
    if kind == "before":
        with pytest.raises(StoreError, match="on purpose"):
            revoked.result()
        assert isinstance(asked.result()[0], Permit), "the revocation is not in the log"
    else:
        assert isinstance(revoked.result()[0], Appended)
        assert isinstance(asked.result()[0], Refused)
    world.close()
    entries = check_world(tmp_path)
    assert len(entries) == len(opening()) + (2 if kind == "before" else 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_batch_among_many_in_a_row_loses_and_doubles_nothing(
    tmp_path: Path, faults: Faults, kind: Kind
) -> None:
    world = open_world(tmp_path, store=FaultyStore(open_store(tmp_path), faults), batch_items_max=20)
    world.sequencer.append_many(opening())
    batches = [[settlement(f"d-{n}-{i}") for i in range(19)] + [grant(0, f"h-{n}")] for n in range(60)]
    calls = []
    for number, batch in enumerate(batches):
        if number % 10 == 5:
            faults.plan("append", kind)
        calls.append(world.sequencer.submit(batch))
    acknowledged: dict[str, str] = {}
    failed = 0
    for batch, call in zip(batches, calls, strict=True):
        try:
            outcomes = call.result()
        except StoreError:
            failed += 1
            continue
        for item, outcome in zip(batch, outcomes, strict=True):
            assert isinstance(outcome, Appended)
            acknowledged[str(item.members["uid"])] = outcome.leaf_hash.hex()
    assert (failed > 0) == (kind == "before")
    assert len(check_world(tmp_path, acknowledged)) == len(opening()) + len(acknowledged)
    for batch in batches:
        acknowledged |= {
            str(item.members["uid"]): expect(outcome).leaf_hash.hex()
            for item, outcome in zip(batch, world.sequencer.append_many(batch), strict=True)
        }
    world.close()
    assert len(check_world(tmp_path, acknowledged)) == len(opening()) + 60 * 20


@pytest.mark.parametrize("kind", KINDS)
def test_when_nothing_can_be_read_callers_are_told_and_may_repeat(
    world: World, faults: Faults, kind: Kind
) -> None:
    faults.plan("append", kind)
    faults.blinding = True
    with pytest.raises(StoreError, match="repeat the call"):
        world.sequencer.append(grant(0, "h-0"))
    with pytest.raises(StoreError, match="nothing can be read"):
        world.sequencer.append(settlement("d-1"))
    faults.blind = faults.blinding = False
    appended = expect(world.sequencer.append(grant(0, "h-0")))
    assert appended.created == (kind == "before")
    assert appended.seq == len(opening())
    check_world(world.directory)


def test_all_callers_of_a_failed_batch_are_told(world: World, faults: Faults) -> None:
    faults.plan("fetch_by_uids", "before")
    call = world.sequencer.submit([settlement("d-1"), settlement("d-2")])
    with pytest.raises(StoreError):
        call.result()
    assert len(check_world(world.directory)) == len(opening())
    assert expect(world.sequencer.append(settlement("d-1"))).created


def test_what_a_second_writer_wrote_is_taken_in(world: World, tmp_path: Path) -> None:
    other = open_world(tmp_path)
    expect(other.sequencer.append(revocation(0)))
    other.close()
    late = draft("grant.suspended", "late", grant="g-0", account=tag(0), developer="dev-a")
    assert not isinstance(world.sequencer.append(late), Appended)
    assert expect(world.sequencer.append(settlement("d-1"))).created
    check_world(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["append", "put_tiles", "compare_and_swap", "put_checkpoint"])
def test_a_seal_whose_write_fails_is_completed_by_the_next_one(
    world: World, faults: Faults, method: str, kind: Kind
) -> None:
    first = world.sealer.seal().checkpoint
    world.sequencer.append_many([settlement(f"d-{i}") for i in range(300)])
    faults.plan(method, kind)
    try:
        world.sealer.seal()
    except StoreError:
        assert method != "append" or kind == "before"
    assert faults.hits == 1
    note = world.record.load()
    assert note is not None
    signed = open_checkpoint(note, ORIGIN, [VERIFIER]).checkpoint
    check_world(world.directory, earlier=[first, signed])
    second = world.sealer.seal().checkpoint
    assert second.size == world.store.size() == len(opening()) + 302
    assert world.store.load_checkpoint() == world.record.load()
    check_world(world.directory, earlier=[first, signed, second])


def fill(world: World, appended: list[str]) -> None:
    """Append until it fails."""
    for number in range(10_000):
        outcomes = world.sequencer.append_many([settlement(f"d-{number}-{i}") for i in range(50)])
        appended += [expect(outcome).leaf_hash.hex() for outcome in outcomes]


def check_filled(directory: Path, appended: list[str]) -> None:
    """Everything acknowledged, and nothing else, is there; then appending goes on where it was."""
    entries = check_world(directory)
    assert len(entries) == len(opening()) + len(appended)
    world = open_world(directory)
    expect(world.sequencer.append(settlement("after")))
    world.sealer.seal()
    world.close()
    check_world(directory)


def test_a_full_database_is_a_clear_error_and_the_ledger_is_intact(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 200"))
    world = open_world(tmp_path, store=SqlEntryStore(engine))
    world.sequencer.append_many(opening())
    appended: list[str] = []
    with pytest.raises(StoreError, match=r"full.*free some space"):
        fill(world, appended)
    assert appended
    world.close()
    check_filled(tmp_path, appended)


@pytest.fixture
def file_bytes_max() -> Iterator[Callable[[int], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_may_not_grow_is_a_clear_error_and_the_ledger_is_intact(
    tmp_path: Path, file_bytes_max: Callable[[int], None]
) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    appended: list[str] = []
    file_bytes_max(500_000)
    with pytest.raises(StoreError, match="disk"):
        fill(world, appended)
    with pytest.raises(StoreError, match="disk"):
        world.sequencer.append_many([settlement(f"x-{i}") for i in range(50)])
    file_bytes_max(resource.RLIM_INFINITY)
    assert appended
    outcomes = world.sequencer.append_many([settlement(f"x-{i}") for i in range(50)])
    appended += [expect(outcome).leaf_hash.hex() for outcome in outcomes]
    world.close()
    check_filled(tmp_path, appended)


def test_a_read_only_database_is_a_clear_error_and_stays_as_it_was(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    world.close()
    engine = open_engine(f"sqlite:///file:{tmp_path}/ledger.db?mode=ro&uri=true")
    world = open_world(tmp_path, store=SqlEntryStore(engine))
    assert world.sequencer.size == len(opening())
    with pytest.raises(StoreError, match="read-only: check the permissions"):
        world.sequencer.append(settlement("d-1"))
    world.close()
    assert len(check_world(tmp_path)) == len(opening())


@pytest.mark.parametrize(
    ("content", "fix"),
    [(b"not a database, but long enough to look at" * 40, "not a SQLite database"), (b"", "init")],
)
def test_a_file_that_is_no_ledger_is_a_clear_error(tmp_path: Path, content: bytes, fix: str) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    store = SqlEntryStore(open_engine(f"sqlite:///{tmp_path}/ledger.db"))
    with pytest.raises(StoreError, match=fix):
        store.size()
    store.close()


def test_a_damaged_database_is_a_clear_error(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many([*opening(), *(settlement(f"d-{i}") for i in range(500))])
    world.close()
    path = tmp_path / "ledger.db"
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    store = SqlEntryStore(open_engine(f"sqlite:///{path}"))
    with pytest.raises(StoreError, match="damaged"):
        list(store.fetch_range(0, 510))
    store.close()
