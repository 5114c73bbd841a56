"""A monitor whose server, or whose own disk, fails at the worst moment: nothing that is wrong is passed over for good."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger.audit import following
from ledger.errors import StoreError
from ledger.monitor import log_monitor
from ledger.monitor.log_monitor import LogMonitor, Strictness, Target
from ledger.monitor.metrics import MonitorMetrics
from ledger.monitor.rounds import Rounds
from ledger.monitor.telling import Teller
from ledger.store.findings_file import FindingsFile
from ledger.store.monitor_book import MonitorBook
from ledger.transport import fetching
from tests.e2e.test_monitor import LOG, SIZES, Desk, other_history
from tests.support.builders import seen
from tests.support.forged_logs import add_seal, encode_log, open_log, pad, publish, sign, tell_events_apart
from tests.support.log_world import SIGNER
from tests.support.published_server import serving_directory
from tests.support.second_sources import add_receipt, set_key

FIRST_BUNDLE = "tile/entries/000"


def make_log() -> tuple[list[bytes], int, int]:
    """A misdelivery and a delivery that is said not to have left, then a receipt for that one, far behind; two sizes."""
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-b")
    log.issue()
    set_key(log, "dev-a", 110)
    log.settle(log.attempt("astray", at=1_000), observed=seen("b.example"))
    denied = log.attempt("denied", at=1_000)
    log.settle(denied, disclosure="none", status=None)
    pad(log, 300)
    add_seal(log)
    first = log.size
    add_receipt(log, "dev-a", denied)
    add_seal(log)
    return encode_log(tell_events_apart(log)), first, log.size


ENTRIES, FIRST, ALL = make_log()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    public = tmp_path / "public"
    public.mkdir()
    with ExitStack() as stack:
        url, behaviour = stack.enter_context(serving_directory(public))
        made = Desk(tmp_path, url, behaviour, public)
        stack.callback(made.book.close)
        stack.callback(lambda: made.monitor.close())  # noqa: PLW0108 - the one that is there then
        yield made


def restart(desk: Desk) -> None:
    desk.monitor.close()
    desk.monitor = desk.new_monitor()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("size", [FIRST, ALL], ids=["nothing is new", "something is new"])
def test_old_entries_that_read_otherwise_after_a_restart_are_a_finding_and_no_crash(
    desk: Desk, size: int
) -> None:
    desk.publish(ENTRIES[:FIRST])
    desk.look()
    restart(desk)
    desk.publish(ENTRIES[:size])
    flip(desk.public / FIRST_BUNDLE)
    assert desk.look().state == "broken"
    assert "ROOT_MISMATCH" in desk.codes()
    flip(desk.public / FIRST_BUNDLE)
    assert desk.look().state in ("followed", "nothing new")
    assert "ROOT_MISMATCH" not in desk.codes()
    assert ("RECEIPT_WITHOUT_DELIVERY" in desk.codes()) == (size == ALL)


@pytest.mark.parametrize("is_restarted", [False, True], ids=["going on", "after a restart"])
def test_a_receipt_counts_where_its_attempt_could_not_be_read_at_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_restarted: bool
) -> None:
    monkeypatch.setattr(fetching, "TRIES", 1)
    desk.publish(ENTRIES[:FIRST])
    desk.look()
    restart(desk)
    desk.publish(ENTRIES)
    desk.behaviour.what, desk.behaviour.where = "fail", FIRST_BUNDLE
    with pytest.raises(StoreError):
        desk.look()
    if is_restarted:
        restart(desk)
    desk.behaviour.what = None
    desk.look()
    assert desk.codes() == {"WRONG_DEVELOPER", "RECEIPT_WITHOUT_DELIVERY"}


def test_what_could_not_be_written_down_is_told_by_the_next_look(desk: Desk) -> None:
    desk.publish(ENTRIES[:FIRST])
    desk.look()
    desk.publish(ENTRIES)
    other = sqlite3.connect(desk.state / "monitor.db", isolation_level=None)
    desk.book._connection.execute("PRAGMA busy_timeout = 10")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError):
        desk.look()
    other.execute("COMMIT")
    other.close()
    desk.look()
    assert desk.codes() == {"WRONG_DEVELOPER", "RECEIPT_WITHOUT_DELIVERY"}


@pytest.mark.parametrize("when", ["SNAPSHOT_ENTRIES_MIN", "CATCH_UP_ENTRIES_MIN"])
def test_findings_are_told_where_there_is_no_room_for_a_snapshot(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(log_monitor, when, 1)
    for place in [one for one in desk.state.iterdir() if one.is_dir()]:
        shutil.rmtree(place)
        place.write_bytes(b"in the way")
    desk.publish(ENTRIES)
    found = tmp_path / "found.jsonl"
    looks = Rounds(
        [desk.monitor],
        Teller(desk.book, FindingsFile(found), lambda line: None),
        MonitorMetrics(["log"]),
        on_progress=lambda name, done, total: None,
        on_round=lambda one, made: None,
    )
    assert looks.look(desk.monitor) is None
    assert b"WRONG_DEVELOPER" in found.read_bytes()
    for place in [one for one in desk.state.iterdir() if one.read_bytes() == b"in the way"]:
        place.unlink()
        place.mkdir()


def test_long_entries_are_taken_in_a_few_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PIECE_ENTRIES", 256)
    monkeypatch.setattr(following, "STRETCH_BYTES", 1_000)
    desk.publish(ENTRIES)
    seen_sizes: list[int] = []
    desk.monitor.look(lambda done, total: seen_sizes.append(done))
    assert seen_sizes == [256, ALL]
    assert desk.codes() == {"WRONG_DEVELOPER", "RECEIPT_WITHOUT_DELIVERY"}


def test_a_checkpoint_that_is_only_proposed_ends_no_complaint_about_what_is_published(desk: Desk) -> None:
    now = [1_000.0]
    desk.monitor = LogMonitor(
        Target("log", SIGNER.vkey(), desk.url), Strictness(), desk.book, desk.state, clock_s=lambda: now[0]
    )
    desk.publish(LOG[: SIZES[1]])
    desk.look()
    for size in SIZES:
        publish(desk.public, LOG[:size])
    (desk.public / "checkpoint").write_bytes(sign(LOG[: SIZES[0]]))
    told = []
    for seconds, proposed in ((0, None), (59, SIZES[2]), (2, None), (1, SIZES[3])):
        now[0] += seconds
        note = None if proposed is None else sign(LOG[:proposed])
        desk.monitor.look(lambda done, total: None, proposed=note)
        told.append(desk.codes())
    assert told == [set(), set(), {"TRUNCATED"}, {"TRUNCATED"}]
    (desk.public / "checkpoint").write_bytes(sign(LOG))
    desk.look()
    assert desk.codes() == set()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["going on", "after a restart"])
@pytest.mark.parametrize("number", [0, 1, 2], ids=["first group", "later group", "last group"])
def test_an_older_checkpoint_that_was_never_seen_before_is_no_fork(
    desk: Desk, is_restarted: bool, number: int
) -> None:
    desk.publish(LOG)
    desk.look()
    if is_restarted:
        restart(desk)
    desk.publish(LOG[: SIZES[number]])
    assert desk.look().state == "stale"
    assert desk.codes() == {"TRUNCATED"}


@pytest.mark.parametrize("is_restarted", [False, True], ids=["going on", "after a restart"])
def test_a_fork_at_a_size_that_was_never_seen_before_is_one(desk: Desk, is_restarted: bool) -> None:
    desk.publish(LOG)
    desk.look()
    if is_restarted:
        restart(desk)
    desk.publish(other_history()[: SIZES[1]])
    assert desk.look().state == "broken"
    assert desk.codes() == {"CHECKPOINT_INCONSISTENT"}


def test_an_older_checkpoint_with_tiles_that_do_not_fit_it_is_no_fork(desk: Desk) -> None:
    desk.publish(LOG)
    desk.look()
    restart(desk)
    desk.publish(LOG[: SIZES[1]])
    flip(next((desk.public / "tile/1").rglob("*.p/*")))
    assert desk.look().state == "broken"
    assert desk.codes() == {"ROOT_MISMATCH"}


def test_an_attempt_that_was_never_settled_is_not_read_again_at_every_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TRIES", 1)
    log = open_log()
    log.parties()
    log.issue()
    log.attempt("open", at=1_000)
    pad(log, 300)
    log.add("developer.registered", 100_000, developer="dev-y")
    add_seal(log)
    first = log.size
    log.add("developer.registered", 200_000, developer="dev-z")
    add_seal(log)
    entries = encode_log(log)
    desk.publish(entries[:first])
    desk.look()
    restart(desk)
    desk.look()
    assert "ATTEMPT_UNSETTLED" in str(desk.monitor.findings())
    desk.publish(entries)
    desk.behaviour.what, desk.behaviour.where = "fail", FIRST_BUNDLE
    assert desk.look().state == "followed"


def test_a_file_that_another_monitor_told_its_findings_to_hides_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.publish(ENTRIES)
    told = []
    for name in ("one", "two"):
        book = MonitorBook(tmp_path / name / "monitor.db")
        watch = LogMonitor(Target("log", SIGNER.vkey(), desk.url), Strictness(), book, tmp_path / name)
        if name == "two":
            # Also what waits when the file is opened.
            watch.look(lambda done, total: None)
        file = FindingsFile(tmp_path / "found.jsonl")
        teller = Teller(book, file, lambda line: None)
        watch.look(lambda done, total: None)
        told.append(teller.tell())
        watch.close()
        book.close()
        file.close()
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert told == [len(lines) // 2] * 2
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert len([line for line in lines if line["finding"]["code"] == "RECEIPT_WITHOUT_DELIVERY"]) == 2
