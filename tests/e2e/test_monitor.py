"""``grantledger monitor`` over real HTTP: every tamper class followed live, bad servers, kills, several logs at once."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core import canonical
from ledger.errors import StoreError
from ledger.monitor.log_monitor import LogMonitor, Round, Strictness, Target
from ledger.store.monitor_book import MonitorBook
from ledger.transport import fetching
from tests.support.builders import Log, seen
from tests.support.cli_process import Workplace
from tests.support.forged_logs import (
    ATTACKER,
    add_seal,
    encode_log,
    open_log,
    pad,
    publish,
    relink,
    sign,
    tell_events_apart,
)
from tests.support.log_world import SIGNER
from tests.support.published_server import Behaviour, serving_directory
from tests.support.service_world import free_port, wait_for

Entries = list[bytes]


def make_log(rounds: int = 4) -> tuple[Entries, list[int]]:
    """A log with a seal after each of some rounds of deliveries, and the sizes that the checkpoints have."""
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-a")
    log.issue()
    sizes = []
    for number in range(rounds):
        deliver(log, number, 10)
        pad(log, 150)
        add_seal(log)
        sizes.append(log.size)
    return encode_log(tell_events_apart(log)), sizes


def deliver(log: Log, number: int, count: int, **ended: Any) -> None:
    for each in range(count):
        at = max(1_000 + number, log.recorded_at)
        log.settle(log.attempt(f"d-{number}-{each}", at=at), **ended)


class Desk:
    """A published log over HTTP and a monitor of it."""

    def __init__(self, directory: Path, url: str, behaviour: Behaviour, public: Path) -> None:
        self.url, self.behaviour, self.public = url, behaviour, public
        self.state = directory / "state"
        self.book = MonitorBook(self.state / "monitor.db")
        self.monitor = self.new_monitor()

    def new_monitor(self, **how: Any) -> LogMonitor:
        return LogMonitor(Target("log", SIGNER.vkey(), self.url), Strictness(**how), self.book, self.state)

    def publish(self, entries: Entries, note: bytes | None = None) -> None:
        shutil.rmtree(self.public, ignore_errors=True)
        publish(self.public, entries, note)

    def look(self, *, at_once: bool = True) -> Round:
        return self.monitor.look(lambda done, total: None, wait_for_stale=not at_once)

    def codes(self) -> set[str]:
        return {finding["code"] for finding in self.monitor.findings().values()}

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for _, line in self.book.untold()]


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


LOG, SIZES = make_log()


def followed(desk: Desk, rounds: int = 2) -> None:
    """Have the first rounds of the log followed, one checkpoint after the other."""
    for size in SIZES[:rounds]:
        desk.publish(LOG[:size])
        made = desk.look()
        assert (made.state, made.size) == ("followed", size)
    assert not desk.monitor.findings()


def test_an_honest_log_is_followed_checkpoint_by_checkpoint_without_a_finding(desk: Desk) -> None:
    followed(desk, 4)
    assert desk.look().state == "nothing new"
    assert desk.monitor.is_index_right


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_in_a_new_bundle_is_found_and_withdrawn_when_it_is_right_again(desk: Desk) -> None:
    followed(desk)
    desk.publish(LOG[: SIZES[2]])
    bundle = max((desk.public / "tile/entries").rglob("*.p/*"))
    flip(bundle)
    made = desk.look()
    assert (made.state, desk.monitor.exit_status()) == ("broken", 2)
    assert desk.codes() <= {"ROOT_MISMATCH", "TRUNCATED"}
    assert desk.codes()
    flip(bundle)
    assert (desk.look().state, desk.codes()) == ("followed", set())
    assert [line["line"] for line in desk.lines()] == ["finding", "withdrawn"]


def test_a_flipped_bit_in_a_tile_is_found(desk: Desk) -> None:
    followed(desk)
    desk.publish(LOG[: SIZES[2]])
    for path in (desk.public / "tile/0").rglob("*"):
        if path.is_file():
            flip(path)
    assert desk.look().state == "followed"
    assert desk.codes() == {"TILE_MISMATCH"}


def test_a_wrong_tile_above_the_leaves_is_found(desk: Desk) -> None:
    followed(desk)
    desk.publish(LOG[: SIZES[2]])
    flip(max((desk.public / "tile/1").rglob("*.p/*")))
    desk.look()
    assert desk.codes() == {"TILE_MISMATCH"}


def other_history() -> Entries:
    """As long a log whose entries differ from the first on, linked and sealed as if nothing had been."""
    members = [canonical.decode(entry) for entry in LOG]
    members[5] |= {"actor": "test:other"}
    return relink([canonical.encode(each) for each in members])


@pytest.mark.parametrize("rounds", [2, 3], ids=["of equal size", "of a larger size"])
def test_a_fork_is_found_with_both_signed_checkpoints_and_never_withdrawn(desk: Desk, rounds: int) -> None:
    followed(desk)
    desk.publish(other_history()[: SIZES[rounds - 1]])
    assert desk.look().state == "broken"
    assert desk.codes() == {"CHECKPOINT_INCONSISTENT"}
    (finding,) = desk.monitor.findings().values()
    known, shown = finding["evidence"]["known"], finding["evidence"]["shown"]
    assert (known, shown) == (sign(LOG[: SIZES[1]]).decode(), (desk.public / "checkpoint").read_text())
    desk.publish(LOG[: SIZES[2]])
    assert desk.look().state == "followed"
    assert desk.codes() == {"CHECKPOINT_INCONSISTENT"}


def test_a_fork_of_a_smaller_size_is_found(desk: Desk) -> None:
    followed(desk)
    desk.publish(other_history()[: SIZES[0]])
    assert desk.look().state == "broken"
    assert desk.codes() == {"CHECKPOINT_INCONSISTENT"}


def test_a_shrunken_log_is_found(desk: Desk) -> None:
    followed(desk)
    desk.publish(LOG[: SIZES[0]])
    assert desk.look().state == "stale"
    assert desk.codes() == {"TRUNCATED"}


def test_an_older_checkpoint_is_forgiven_for_a_while_and_then_told(tmp_path: Path, desk: Desk) -> None:
    followed(desk)
    now = [1_000.0]
    watch = LogMonitor(
        Target("log", SIGNER.vkey(), desk.url), Strictness(), desk.book, desk.state, clock_s=lambda: now[0]
    )
    newest = (desk.public / "checkpoint").read_bytes()
    (desk.public / "checkpoint").write_bytes(sign(LOG[: SIZES[0]]))
    for seconds, codes in ((0, set()), (59, set()), (2, {"TRUNCATED"})):
        now[0] += seconds
        watch.look(lambda done, total: None)
        assert desk.codes() == codes
    (desk.public / "checkpoint").write_bytes(newest)
    watch.look(lambda done, total: None)
    assert desk.codes() == set()
    watch.close()


def test_a_checkpoint_under_another_key_is_refused(desk: Desk) -> None:
    followed(desk)
    desk.publish(LOG[: SIZES[2]], sign(LOG[: SIZES[2]], ATTACKER))
    assert desk.look().state == "broken"
    assert desk.codes() == {"CHECKPOINT_SIGNATURE_INVALID"}


def resealed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Entries:
    """The log with its third seal changed, and all after it linked anew: what an operator with the key can do."""
    members: list[Any] = [canonical.decode(entry) for entry in LOG]
    place = SIZES[2] - 1
    members[place] = change(members[place])
    return encode_log(members)


def test_a_seal_without_its_map_root_is_found(desk: Desk) -> None:
    followed(desk)
    entries = resealed(lambda members: {name: value for name, value in members.items() if name != "map_root"})
    desk.publish(entries[: SIZES[2]])
    desk.look()
    assert {"ENTRY_MALFORMED", "MAP_ROOT_MISMATCH"} <= desk.codes()
    assert not desk.monitor.is_index_right


def test_a_seal_that_omits_an_entry_is_found(desk: Desk) -> None:
    followed(desk)
    # The index over everything but the last delivery before the seal, stated as the index over all.
    short = encode_log(
        [
            *[canonical.decode(entry) for entry in LOG[: SIZES[2] - 2]],
            {
                **canonical.decode(LOG[SIZES[2] - 1]),
                "map_root": "0" * 64,
                "map_size": SIZES[2] - 2,
                "seq": SIZES[2] - 2,
            },
        ]
    )
    root = canonical.decode(short[-1])["map_root"]
    desk.publish(resealed(lambda members: {**members, "map_root": root})[: SIZES[2]])
    desk.look()
    assert "MAP_ROOT_MISMATCH" in desk.codes()
    assert not desk.monitor.is_index_right


def test_a_misdelivery_is_told_when_it_comes_and_a_later_entry_changes_what_is_told(desk: Desk) -> None:
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-b")
    log.issue()
    add_seal(log)
    first = log.size
    log.settle(log.attempt("astray", at=1_000), observed=seen("b.example"))
    add_seal(log)
    second = log.size
    log.issue("g-b", at=50, developer="dev-b", app="app-b", via="api", recorded_at=9_000)
    add_seal(log)
    entries = encode_log(log)
    for size in (first, second, log.size):
        desk.publish(entries[:size])
        assert desk.look().state == "followed"
    told = [(line["line"], line["finding"]["code"]) for line in desk.lines() if "delivery" in line["finding"]]
    assert told == [("finding", "WRONG_DEVELOPER"), ("changed", "GRANT_BACKDATED")]


@pytest.mark.parametrize("what", ["hang", "fail", "truncate", "flood"])
@pytest.mark.parametrize("where", ["checkpoint", "tile/"])
def test_a_server_that_misbehaves_is_no_finding_and_what_was_followed_stays(
    desk: Desk, what: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(fetching, "TRIES", 2)
    followed(desk, 1)
    desk.publish(LOG[: SIZES[1]])
    desk.behaviour.what, desk.behaviour.where = what, where
    with pytest.raises(StoreError):
        desk.look()
    assert not desk.monitor.findings()
    desk.behaviour.what = None
    assert (desk.look().state, desk.monitor.size) == ("followed", SIZES[1])
    assert not desk.monitor.findings()


def test_what_was_kept_is_gone_on_from_and_says_nothing_again(desk: Desk) -> None:
    followed(desk)
    desk.monitor.close()
    desk.monitor = desk.new_monitor()
    assert desk.look().read == 0
    desk.publish(LOG)
    assert (desk.look().read, desk.lines()) == (len(LOG) - SIZES[1], [])
    assert desk.monitor.is_index_right


def test_a_snapshot_that_was_damaged_is_read_no_further_and_the_log_from_its_beginning(desk: Desk) -> None:
    followed(desk)
    desk.monitor.close()
    for path in desk.state.rglob("growth.npz"):
        path.write_bytes(path.read_bytes()[:100])
    desk.monitor = desk.new_monitor()
    assert (desk.look().read, desk.monitor.findings()) == (SIZES[1], {})


# The command.


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    (tmp_path / "log.vkey").write_text(SIGNER.vkey() + "\n")
    return Workplace(tmp_path)


def test_once_ends_with_the_status_of_what_stands(workplace: Workplace) -> None:
    public = workplace.directory / "public"
    publish(public, LOG[: SIZES[0]])
    follow = (
        "monitor",
        "./public",
        "--vkey",
        "log.vkey",
        "--once",
        "--findings",
        "found.jsonl",
        "--state",
        "kept",
    )
    assert workplace.run(*follow).status == 0
    publish(public, other_history()[: SIZES[1]])
    assert workplace.run(*follow).status == 2
    assert workplace.run(*follow).status == 2
    lines = [json.loads(line) for line in (workplace.directory / "found.jsonl").read_text().splitlines()]
    assert [(line["n"], line["line"], line["finding"]["code"]) for line in lines] == [
        (1, "finding", "CHECKPOINT_INCONSISTENT")
    ]
    shutil.rmtree(public)
    assert workplace.run(*follow).status == 2
    assert workplace.run(*follow[:-1], "elsewhere").status == 3


def test_a_monitor_whose_reader_has_died_ends_also_where_the_log_cannot_be_read(workplace: Workplace) -> None:
    public = workplace.directory / "public"
    publish(public, LOG[: SIZES[0]])
    process = workplace.start(
        "monitor", "./public", "--vkey", "log.vkey", "--interval", "0.1", "--rounds", "--state", "kept"
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["line"] == "round"
    shutil.rmtree(public)
    while json.loads(process.stdout.readline())["line"] != "unreadable":
        pass
    process.stdout.close()
    assert process.wait(timeout=60) != 0


def test_killed_at_any_time_every_line_is_told_exactly_once(workplace: Workplace) -> None:
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-b")
    log.issue()
    sizes = []
    for number in range(6):
        deliver(log, number, 5, observed=seen("b.example"))
        add_seal(log)
        sizes.append(log.size)
    entries = encode_log(tell_events_apart(log))
    found = workplace.directory / "found.jsonl"
    arguments: tuple[str, ...] = ("monitor", "./public", "--vkey", "log.vkey", "--interval", "0.1")
    arguments += ("--processes", "1", "--findings", "found.jsonl", "--state", "kept")
    for number, size in enumerate(sizes):
        publish(workplace.directory / "public", entries[:size])
        process = workplace.start(*arguments)
        deadline = time.monotonic() + 60
        wanted = 5 * (number + 1) if number % 2 else 5 * number + 1
        while time.monotonic() < deadline and (
            not found.exists() or found.read_bytes().count(b"\n") < wanted
        ):
            time.sleep(0.01)
        process.kill()
        process.wait()
        process.communicate()
        if number == 3:
            with found.open("ab") as file:
                file.write(b'{"n":99,"line":"find')
    assert workplace.run(*arguments, "--once").status == 1
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    told = [
        line["finding"]["delivery"]
        for line in lines
        if line["line"] == "finding" and "delivery" in line["finding"]
    ]
    assert sorted(told) == sorted(f"d-{number}-{each}" for number in range(6) for each in range(5))


def test_two_logs_are_followed_at_once_and_counted_apart(workplace: Workplace) -> None:
    other = ATTACKER.vkey()
    (workplace.directory / "other.vkey").write_text(other + "\n")
    publish(workplace.directory / "one", LOG[: SIZES[0]])
    publish(workplace.directory / "two", LOG[: SIZES[1]], sign(LOG[: SIZES[1]], ATTACKER))
    port = free_port()
    process = workplace.start(
        "monitor", "one=./one", "two=./two", "--vkey", "log.vkey", "--vkey", "other.vkey", "--state", "kept",
        "--metrics", f"127.0.0.1:{port}", "--interval", "0.1", "--findings", "found.jsonl",
    )  # fmt: skip
    try:

        def metrics() -> str:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/metrics").text
            except httpx.TransportError:
                return ""

        wait_for(lambda: f'tree_size{{log="two"}} {float(SIZES[1])}' in metrics(), 60)
        wait_for(lambda: f'tree_size{{log="one"}} {float(SIZES[0])}' in metrics(), 60)
        publish(workplace.directory / "one", LOG[: SIZES[1]])
        wait_for(lambda: f'checkpoint_size{{log="one"}} {float(SIZES[1])}' in metrics(), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("https://ledger.example",), "name each log's public key"),
        (("ftp://ledger.example", "--vkey", "log.vkey", "--once"), "is this a published log?"),
        (("./a", "./a", "--vkey", "log.vkey", "--vkey", "log.vkey"), "two logs are called"),
        (("./a", "--vkey", "none.vkey"), "none.vkey"),
        (("./a", "--vkey", "log.vkey", "--metrics", "nowhere", "--once"), "HOST:PORT"),
    ],
)
def test_what_cannot_be_asked_for_is_told_with_the_fix(
    workplace: Workplace, arguments: tuple[str, ...], hint: str
) -> None:
    done = workplace.run("monitor", *arguments)
    assert done.status == 3
    assert hint in done.err
