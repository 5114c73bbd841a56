"""Every way to alter a live database, and what ``verify`` says of each (verdict rules, section 2.3).

The ledger was made by the command line: 500 records imported, sealed, 100 more, sealed again. Each test alters a copy,
with the triggers dropped that keep everybody else from doing it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.report import Report
from ledger.core import canonical
from ledger.core.merkle import hash_leaf
from ledger.settings import load_settings
from ledger.verifying import Asked, run_verification
from tests.support.cli_process import Workplace
from tests.support.forged_logs import faults_of, ignore_progress, relink, report_bytes, tile_files
from tests.support.records import make_lines

HERE = 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an honest ledger, and beside it the directory as it was at the first seal."""
    directory = tmp_path_factory.mktemp("ledger") / "now"
    directory.mkdir()
    place = Workplace(directory)
    place.good("init", "--origin", "ledger.example/live")
    lines = make_lines(7, 600, accounts=30).splitlines(keepends=True)
    for part, name in ((lines[:500], "before"), (lines[500:], "now")):
        place.good("import", "-", stdin=b"".join(part))
        place.good("seal")
        if name == "before":
            shutil.copytree(directory, directory.with_name("before"))
    return directory


@pytest.fixture
def live(made: Path, tmp_path: Path) -> Path:
    """A copy of the honest ledger's directory."""
    return Path(shutil.copytree(made, tmp_path / "live"))


@pytest.fixture(params=["scalar", "duckdb"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def look(live: Path, engine: str = "scalar", **asked: Any) -> Report:
    """The report on the database in ``live``, whose user remembers in ``live/state``."""
    settings = load_settings({"GRANTLEDGER_STATE_DIR": str(live / "state")}, str(live / "grantledger.db"))
    return run_verification(settings, Asked(engine=engine, processes=1, **asked), ignore_progress).report


@contextmanager
def editing(live: Path) -> Iterator[sqlite3.Connection]:
    """The database without its triggers, changed when this ends."""
    with closing(sqlite3.connect(live / "grantledger.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()


def data_of(connection: sqlite3.Connection) -> list[bytes]:
    return [row[0] for row in connection.execute("SELECT data FROM entries ORDER BY seq")]


def size_of(live: Path) -> int:
    with closing(sqlite3.connect(live / "grantledger.db")) as connection:
        return len(data_of(connection))


def put(connection: sqlite3.Connection, entries: list[bytes]) -> None:
    """Write ``entries`` and the hashes and tiles that fit them, as far as no key is needed."""
    connection.execute("DELETE FROM entries")
    rows = [(seq, f"x/{seq}", hash_leaf(data), False, data) for seq, data in enumerate(entries)]
    connection.executemany(
        "INSERT INTO entries (seq, uid, leaf_hash, bears_state, data) VALUES (?, ?, ?, ?, ?)", rows
    )
    connection.execute("DELETE FROM tiles")
    tiles = [(path, data) for path, data in tile_files(entries) if not path.startswith("tile/entries")]
    connection.executemany("INSERT INTO tiles (path, data) VALUES (?, ?)", tiles)


def test_the_honest_ledger_is_unbroken_and_engines_agree(live: Path) -> None:
    reports = [look(live, name, remember=False) for name in ("scalar", "duckdb")]
    assert report_bytes(reports[0]) == report_bytes(reports[1])
    assert faults_of(reports[0]) == set()
    assert reports[0].exit_status == 1


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_flipped_bit_in_an_entry_is_told_where_it_is(live: Path, engine: str, place: int) -> None:
    with editing(live) as connection:
        data = bytearray(data_of(connection)[HERE])
        data[place] ^= 1
        connection.execute("UPDATE entries SET data = ? WHERE seq = ?", (bytes(data), HERE))
    faults = faults_of(look(live, engine))
    assert ("TILE_MISMATCH", HERE) in faults
    assert ("CHAIN_BROKEN", HERE + 1) in faults


def removed(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("DELETE FROM entries WHERE seq = ?", (HERE,))
    return {("SEQ_GAP", HERE), ("CHAIN_BROKEN", HERE)}


def removed_at_the_end_of_a_group(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("DELETE FROM entries WHERE seq = 511")
    return {("TRUNCATED", 511)}


def removed_and_closed_up(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    found = removed(connection)
    for seq in range(HERE + 1, len(data_of(connection)) + 1):
        connection.execute("UPDATE entries SET seq = ? WHERE seq = ?", (seq - 1, seq))
    return found


def truncated(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("DELETE FROM entries WHERE seq >= ?", (HERE,))
    return {("TRUNCATED", HERE)}


def added_at_the_end(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    size = len(data_of(connection))
    connection.execute(
        "INSERT INTO entries SELECT ?, 'x/1', leaf_hash, bears_state, data FROM entries WHERE seq = ?",
        (size, HERE),
    )
    return {("SEQ_DUPLICATE", size), ("CHAIN_BROKEN", size), ("ENTRY_MALFORMED", size)}


def added_far_behind_the_end(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    size = len(data_of(connection))
    connection.execute(
        "INSERT INTO entries SELECT ?, 'x/1', leaf_hash, bears_state, data FROM entries WHERE seq = ?",
        (2**61, HERE),
    )
    return {("SEQ_GAP", size)}


def swapped(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    for old, new in ((HERE, -1), (HERE + 1, HERE), (-1, HERE + 1)):
        connection.execute("UPDATE entries SET seq = ? WHERE seq = ?", (new, old))
    return {("SEQ_GAP", HERE), ("SEQ_DUPLICATE", HERE + 1), ("SEQ_GAP", HERE + 2), ("CHAIN_BROKEN", HERE)}


def text_in_place_of_bytes(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("UPDATE entries SET data = 'not an entry' WHERE seq = ?", (HERE,))
    return {("ENTRY_MALFORMED", HERE)}


def a_number_in_place_of_bytes(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("UPDATE entries SET data = 12345678901 WHERE seq = ?", (HERE,))
    return {("ENTRY_MALFORMED", HERE)}


def hashes_of_another_type(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("UPDATE entries SET leaf_hash = 'text' WHERE seq = ?", (HERE,))
    return {("TILE_MISMATCH", HERE)}


def a_hash_edited(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq = ?", (HERE,))
    return {("TILE_MISMATCH", HERE)}


def not_canonical_with_all_hashes_made_again(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    entries = data_of(connection)
    entries[HERE] = entries[HERE].replace(b'"kind":', b'"kind": ', 1)
    put(connection, entries)
    return {("ENTRY_MALFORMED", HERE), ("CHAIN_BROKEN", HERE + 1), ("ROOT_MISMATCH", len(entries) - 1)}


def rewritten_with_all_links_hashes_and_tiles_made_again(
    connection: sqlite3.Connection,
) -> set[tuple[str, int]]:
    members = [canonical.decode(entry) for entry in data_of(connection)]
    members[HERE]["actor"] = "import:nobody"
    put(connection, relink([canonical.encode(each) for each in members]))
    return {("ROOT_MISMATCH", len(members) - 1), ("CHECKPOINT_INCONSISTENT", len(members) - 1)}


def checkpoint_edited(connection: sqlite3.Connection) -> set[tuple[str, int]]:
    connection.execute("UPDATE published_checkpoint SET checkpoint = CAST(checkpoint AS TEXT) || 'x'")
    return {("CHECKPOINT_SIGNATURE_INVALID", 0)}


TAMPERS: list[Callable[[sqlite3.Connection], set[tuple[str, int]]]] = [
    removed,
    removed_at_the_end_of_a_group,
    removed_and_closed_up,
    truncated,
    added_at_the_end,
    added_far_behind_the_end,
    swapped,
    text_in_place_of_bytes,
    a_number_in_place_of_bytes,
    hashes_of_another_type,
    a_hash_edited,
    not_canonical_with_all_hashes_made_again,
    rewritten_with_all_links_hashes_and_tiles_made_again,
    checkpoint_edited,
]


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.__name__)
def test_an_altered_database_is_broken_and_told_where(live: Path, tamper: Any) -> None:
    with editing(live) as connection:
        expected = tamper(connection)
    report = look(live)
    assert report.exit_status == 2
    assert expected <= faults_of(report)


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.__name__)
def test_engines_give_one_report_on_an_altered_database(live: Path, tamper: Any) -> None:
    with editing(live) as connection:
        tamper(connection)
    reports = [look(live, name, remember=False) for name in ("scalar", "duckdb")]
    assert report_bytes(reports[1]) == report_bytes(reports[0])


def test_an_edited_tile_of_each_level_and_width_is_found(live: Path) -> None:
    with editing(live) as connection:
        size = len(data_of(connection))
        needed = {f"tile/0/{index:03}" for index in range(size // 256)}
        needed |= {f"tile/0/{size // 256:03}.p/{size % 256}", f"tile/1/000.p/{size // 256}"}
    for path in sorted(needed):
        with editing(live) as connection:
            (data,) = connection.execute("SELECT data FROM tiles WHERE path = ?", (path,)).fetchone()
            connection.execute(
                "UPDATE tiles SET data = ? WHERE path = ?", (data[:40] + b"\0" + data[41:], path)
            )
        report = look(live)
        assert [finding.code for finding in report.findings if finding.severity == "I"] == ["TILE_MISMATCH"]
        with editing(live) as connection:
            connection.execute("UPDATE tiles SET data = ? WHERE path = ?", (data, path))


def test_columns_that_no_hash_covers_change_nothing(live: Path, engine: str) -> None:
    honest = look(live, engine)
    with editing(live) as connection:
        connection.execute("UPDATE entries SET uid = 'z/' || seq, bears_state = NOT bears_state")
        connection.execute("UPDATE ledger_head SET size = 3")
        connection.execute("UPDATE published_checkpoint SET tree_size = 3")
    assert report_bytes(look(live, engine)) == report_bytes(honest)


def put_back(made: Path, live: Path, *names: str) -> None:
    """Put files of the ledger as it was at the first seal in place of the present ones."""
    for name in names:
        shutil.copy(made.with_name("before") / name, live / name)


def test_an_older_copy_of_the_database_is_noticed_by_the_record_of_the_last_signature(
    made: Path, live: Path, engine: str
) -> None:
    put_back(made, live, "grantledger.db")
    assert faults_of(look(live, engine, remember=False)) == {("TRUNCATED", size_of(live))}


def test_an_older_copy_of_database_and_record_is_noticed_by_whoever_verified_before(
    made: Path, live: Path, engine: str
) -> None:
    look(live, engine)
    put_back(made, live, "grantledger.db", "grantledger.db.checkpoint")
    for _ in range(2):
        assert faults_of(look(live, engine)) == {("TRUNCATED", size_of(live))}


def test_a_published_checkpoint_that_went_back_does_not_make_anybody_forget(made: Path, live: Path) -> None:
    look(live)
    with closing(sqlite3.connect(made.with_name("before") / "grantledger.db")) as before:
        (older,) = before.execute("SELECT checkpoint FROM published_checkpoint").fetchone()
    with editing(live) as connection:
        connection.execute("UPDATE published_checkpoint SET checkpoint = ?", (older,))
    look(live)
    put_back(made, live, "grantledger.db", "grantledger.db.checkpoint")
    assert ("TRUNCATED", size_of(live)) in faults_of(look(live))


def test_entries_that_no_seal_covers_yet_are_verified_and_said_to_be_changeable(
    made: Path, live: Path, engine: str
) -> None:
    Workplace(live).good(
        "import", "-", stdin=b"".join(make_lines(7, 640, accounts=30).splitlines(True)[600:])
    )
    report = look(live, engine)
    assert faults_of(report) == set()
    assert any("not sealed yet" in note for note in report.notes)
    with editing(live) as connection:
        last = len(data_of(connection)) - 3
        connection.execute("DELETE FROM entries WHERE seq = ?", (last,))
    assert ("SEQ_GAP", last) in faults_of(look(live, engine))


def test_the_command_exits_1_on_the_honest_ledger_and_2_on_an_altered_one(live: Path) -> None:
    assert Workplace(live).run("verify", "--json").status == 1
    with editing(live) as connection:
        expected = swapped(connection)
    done = Workplace(live).run("verify", "--json", "--engine", "scalar")
    assert done.status == 2
    told = {(finding["code"], *finding["entries"][:1]) for finding in done.json()["findings"]}
    assert expected <= told


def test_the_command_says_in_words_that_a_ledger_is_broken_and_where(live: Path) -> None:
    with editing(live) as connection:
        removed(connection)
    done = Workplace(live).run("verify")
    assert done.status == 2
    assert "BROKEN" in done.text + done.err
    assert f"SEQ_GAP at [{HERE}]" in done.text + done.err
