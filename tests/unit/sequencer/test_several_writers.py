"""Several sequencers, of other processes or threads, on one log (ledger format, section 1.1)."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ledger.core.entries import Entry
from ledger.engines.codec import MsgspecCodec
from ledger.errors import ForkError
from ledger.ports import Permit, Refused
from ledger.sequencer.draft import Appended, Rejection, expect
from ledger.sequencer.sequencer import Sequencer
from tests.support.log_world import (
    SetClock,
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


@pytest.fixture
def first(tmp_path: Path) -> Iterator[World]:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    yield world
    world.close()


@pytest.fixture
def second(first: World, tmp_path: Path) -> Iterator[World]:
    world = open_world(tmp_path)
    yield world
    world.close()


def test_what_another_writer_appended_is_taken_in_before_anything_is_judged(
    first: World, second: World
) -> None:
    expect(second.sequencer.append(revocation(0)))
    late = draft("grant.suspended", "late", grant="g-0", account=tag(0), developer="dev-a")
    assert isinstance(first.sequencer.append(late), Rejection)
    assert isinstance(first.sequencer.request(attempt("d-1", 0)), Refused)
    check_world(first.directory)


def test_an_entry_of_another_writer_is_found_by_its_uid(first: World, second: World) -> None:
    appended = expect(second.sequencer.append(settlement("d-1")))
    again = expect(first.sequencer.append(settlement("d-1")))
    assert (again.seq, again.created) == (appended.seq, False)


def test_writers_that_take_turns_make_one_chain(first: World, second: World) -> None:
    for number in range(40):
        world = (first, second)[number % 2]
        assert expect(world.sequencer.append(settlement(f"d-{number}"))).created
    assert len(check_world(first.directory)) == len(opening()) + 40


def test_a_batch_that_was_overtaken_between_judging_and_committing_is_judged_anew(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    world.close()
    other = open_world(tmp_path)
    armed = [True]

    def overtake(step: str) -> None:
        if step == "append.judged" and armed:
            armed.clear()
            expect(other.sequencer.append(revocation(0)))

    with Sequencer(open_store(tmp_path), MsgspecCodec(), SetClock(), reached=overtake) as sequencer:
        decision = sequencer.request(attempt("d-1", 0))
        assert isinstance(decision, Refused), "judged on the log with the revocation in it"
        assert expect(sequencer.append(settlement("d-2"))).created
    other.close()
    check_world(tmp_path)


def test_calls_judged_ahead_of_one_that_was_overtaken_keep_their_order(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    world.close()
    other = open_world(tmp_path)
    seen: list[str] = []

    def overtake(step: str) -> None:
        seen.append(step)
        if step == "append.judged" and seen.count(step) == 1:
            expect(other.sequencer.append(settlement("foreign")))

    with Sequencer(open_store(tmp_path), MsgspecCodec(), SetClock(), reached=overtake) as sequencer:
        calls = [
            sequencer.submit([settlement(f"d-{number}-{item}") for item in range(500)]) for number in range(6)
        ]
        seqs = [expect(outcome).seq for call in calls for outcome in call.result()]  # type: ignore[arg-type]
    other.close()
    start = len(opening()) + 1
    assert seqs == list(range(start, start + 3000))
    check_world(tmp_path)


def test_four_writers_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    world.close()
    worlds = [open_world(tmp_path) for _ in range(4)]
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for item in range(60):
                assert expect(worlds[number].sequencer.append(settlement(f"d-{number}-{item}"))).created
                expect(worlds[number].sequencer.append(settlement(f"shared-{item}")))
        except Exception as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for opened in worlds:
        opened.close()
    assert failures == []
    assert len(check_world(tmp_path)) == len(opening()) + 4 * 60 + 60


def append_in_a_process(directory: Path, number: int) -> None:
    world = open_world(directory)
    for item in range(50):
        world.sequencer.append_many([settlement(f"d-{number}-{item}"), grant(0, f"h-{number}-{item}")])
    world.close()


def test_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    world.close()
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=append_in_a_process, args=(tmp_path, number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert len(check_world(tmp_path)) == len(opening()) + 300


def test_a_log_that_is_not_the_one_known_is_a_fork(first: World, tmp_path: Path) -> None:
    first.sequencer.append(settlement("d-1"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = open_world(elsewhere)
    other.sequencer.append_many([*opening(), settlement("another"), settlement("one-more")])
    other.close()
    first.store.close()  # type: ignore[attr-defined]
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    (elsewhere / "ledger.db").rename(tmp_path / "ledger.db")
    with pytest.raises(ForkError, match="another database in its place"):
        first.sequencer.append(settlement("d-2"))


def test_entries_that_bear_state_are_told_once_durable_and_before_the_answer(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    store = open_store(tmp_path)

    def listen(entries: Sequence[Entry]) -> None:
        assert all(entry.seq < store.size() for entry in entries), "not durable yet"
        told.extend((entry.kind, entry.seq) for entry in entries)

    with Sequencer(store, MsgspecCodec(), SetClock(), on_durable=listen) as sequencer:
        sequencer.append_many(opening())
        told.clear()
        appended = expect(sequencer.append(revocation(0)))
        assert told == [("grant.revoked", appended.seq)]
        expect(sequencer.append(settlement("d-1")))
        assert told == [("grant.revoked", appended.seq)]
    store.close()


def test_entries_of_another_writer_are_told_when_they_are_noticed(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    told: list[str] = []
    store = open_store(tmp_path)
    with Sequencer(
        store, MsgspecCodec(), SetClock(), on_durable=lambda entries: told.extend(one.kind for one in entries)
    ) as sequencer:
        expect(world.sequencer.append(revocation(1)))
        size = sequencer.catch_up()
        assert told == ["grant.revoked"]
        assert size == world.store.size()
    store.close()
    world.close()


def test_a_permit_of_one_writer_is_no_second_permit_for_another(first: World, second: World) -> None:
    assert isinstance(first.sequencer.request(attempt("d-1", 0)), Permit)
    decided = second.sequencer.request(attempt("d-1", 0))
    assert isinstance(decided, Appended)
    assert not decided.created


def test_a_writer_is_not_held_up_by_one_that_appends_without_pause(first: World, second: World) -> None:
    stop = threading.Event()

    def flood() -> None:
        number = 0
        while not stop.is_set():
            second.sequencer.append_many([settlement(f"flood-{number}-{item}") for item in range(100)])
            number += 1

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        started = time.monotonic()
        for number in range(20):
            assert expect(first.sequencer.append(settlement(f"d-{number}"))).created
        assert time.monotonic() - started < 20
    finally:
        stop.set()
        thread.join()
    check_world(first.directory)
