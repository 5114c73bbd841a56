"""The command line from `init` to `log publish`, as real processes in a directory of their own."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.core.checkpoint import open_checkpoint
from ledger.core.tlog_proof import check_tlog_proof, parse_tlog_proof
from ledger.store.tile_directory import TileDirectory
from ledger.vault.ed25519 import verifier_from_vkey
from tests.support.cli_process import Workplace

ORIGIN = "ledger.example/acme"
DAY = "2017-05-01T00:00:00Z"
DELIVERY = {
    "kind": "delivery.imported",
    "delivery": "d-1",
    "event": "e-1",
    "event_type": "direct_message_events",
    "account": "783214",
    "subjects": ["5550001"],
    "private": True,
    "endpoint": "wh-1",
    "attempt": 1,
    "started_at": "2017-06-01T12:00:00.000Z",
    "observed": {"host": "a.example", "port": 443, "path": "/hook", "sni": "a.example"},
    "status": 200,
    "disclosure": "confirmed",
}
RECORDS: list[dict[str, Any]] = [
    {"kind": "developer.registered", "developer": "dev-a", "at": DAY},
    {"kind": "app.registered", "app": "app-a", "developer": "dev-a", "at": DAY},
    {
        "kind": "endpoint.registered",
        "endpoint": "wh-1",
        "app": "app-a",
        "environment": "prod",
        "url": "https://a.example/hook",
        "at": DAY,
    },
    {
        "kind": "grant.issued",
        "grant": "g-1",
        "account": "783214",
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "scopes": ["direct_messages"],
        "at": DAY,
    },
    DELIVERY,
]
BAD_LINES = [b'{"kind":"developer.registered"}', b"junk", b'{"kind":"no.such","at":1}']


def lines_of(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def developers(count: int) -> list[dict[str, Any]]:
    return [{"kind": "developer.registered", "developer": f"dev-{n}", "at": DAY} for n in range(count)]


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A directory with a new ledger."""
    workplace = Workplace(tmp_path)
    workplace.good("init", "--origin", ORIGIN)
    return workplace


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A directory with a ledger of some records, sealed and published; tests only read it."""
    workplace = Workplace(tmp_path_factory.mktemp("sealed"))
    workplace.good("init", "--origin", ORIGIN)
    workplace.good("import", "-", stdin=lines_of(RECORDS))
    workplace.good("seal")
    workplace.good("log", "publish", "public")
    return workplace


def edit_entry(database: Path, seq: int, old: bytes, new: bytes) -> None:
    """Change an entry behind the ledger's back, as somebody with the database in hands could."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        (data,) = connection.execute("SELECT data FROM entries WHERE seq = ?", (seq,)).fetchone()
        assert old in data
        connection.execute("UPDATE entries SET data = ? WHERE seq = ?", (data.replace(old, new), seq))


def test_init_names_the_log_and_where_everything_lies(tmp_path: Path) -> None:
    made = Workplace(tmp_path).good("init", "--origin", ORIGIN, "--json").json()
    assert (made["created"], made["origin"], made["database"]) == (True, ORIGIN, "grantledger.db")
    assert all(
        (tmp_path / made[name]).is_file() for name in ("operator_key_file", "log_key_file", "database")
    )


def test_init_again_replaces_nothing_and_says_so(place: Workplace) -> None:
    key = (place.directory / "grantledger.db.keys" / "log.key").read_bytes()
    assert place.good("init", "--json").json()["created"] is False
    assert (place.directory / "grantledger.db.keys" / "log.key").read_bytes() == key


def test_a_file_is_imported_once(place: Workplace) -> None:
    (place.directory / "history.jsonl").write_bytes(lines_of(RECORDS))
    first = place.good("import", "history.jsonl", "--json").json()
    again = place.good("import", "history.jsonl", "--json").json()
    assert (first["created"], first["duplicates"], first["accounts_registered"]) == (len(RECORDS), 0, 2)
    assert (again["created"], again["duplicates"], again["accounts_registered"]) == (0, len(RECORDS), 0)


def test_gzip_parquet_and_standard_input_hold_the_same_records(place: Workplace) -> None:
    (place.directory / "history.jsonl.gz").write_bytes(gzip.compress(lines_of(RECORDS)))
    columns = {name: [record.get(name) for record in RECORDS] for record in RECORDS for name in record}
    pq.write_table(pa.table(columns), place.directory / "history.parquet")
    done = place.good(
        "import", "history.jsonl.gz", "history.parquet", "-", "--json", stdin=lines_of(RECORDS)
    ).json()
    assert [(file["created"], file["duplicates"]) for file in done["files"]] == [(5, 0), (0, 5), (0, 5)]


def test_rejected_lines_are_told_by_number_and_the_rest_goes_in(place: Workplace) -> None:
    data = b"\n".join([BAD_LINES[0], lines_of(RECORDS).rstrip(), BAD_LINES[1], b"", BAD_LINES[2]])
    (place.directory / "history.jsonl").write_bytes(data)
    done = place.run("import", "history.jsonl", "--json", "--rejects", "rejected.jsonl")
    assert (done.status, done.json()["created"]) == (3, len(RECORDS))
    assert [reject["line"] for reject in done.json()["rejects"]] == [1, 7, 9]
    kept = (place.directory / "rejected.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in kept] == done.json()["rejects"]
    assert "history.jsonl:7: " in done.err


def test_strict_takes_all_of_a_file_or_nothing(place: Workplace) -> None:
    (place.directory / "good.jsonl").write_bytes(lines_of(RECORDS))
    (place.directory / "bad.jsonl").write_bytes(lines_of(developers(3)) + BAD_LINES[1])
    refused = place.run("import", "bad.jsonl", "good.jsonl", "--strict", "--json")
    assert (refused.status, refused.json()["created"], len(refused.json()["files"])) == (3, 0, 1)
    assert place.good("status", "--json").json()["size"] == 1
    assert place.good("import", "good.jsonl", "--strict", "--json").json()["created"] == len(RECORDS)


def test_strict_reads_standard_input_twice_and_leaves_no_copy(place: Workplace) -> None:
    done = place.run(
        "import", "-", "--strict", stdin=lines_of(RECORDS) + BAD_LINES[1], settings={"TMPDIR": "."}
    )
    assert (done.status, "standard input:6: " in done.err) == (3, True)
    assert list(place.directory.glob("grantledger-*")) == []


def test_strict_reads_a_named_pipe_twice(place: Workplace) -> None:
    pipe = place.directory / "pipe"
    os.mkfifo(pipe)
    importing = place.start("import", "pipe", "--strict", "--json")
    pipe.write_bytes(lines_of(RECORDS))
    out, error = importing.communicate(timeout=60)
    assert (importing.returncode, json.loads(out)["created"]) == (0, len(RECORDS)), error


def test_no_file_is_imported_when_one_is_missing(place: Workplace) -> None:
    (place.directory / "good.jsonl").write_bytes(lines_of(RECORDS))
    assert place.run("import", "good.jsonl", "missing.jsonl").status == 3
    assert place.good("status", "--json").json()["size"] == 1


def test_rejects_never_overwrite_the_file_that_is_imported(place: Workplace) -> None:
    (place.directory / "good.jsonl").write_bytes(lines_of(RECORDS))
    assert place.run("import", "good.jsonl", "--rejects", "./good.jsonl").status == 3
    assert (place.directory / "good.jsonl").read_bytes() == lines_of(RECORDS)


def durable_entries(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (size,) = connection.execute("SELECT size FROM ledger_head").fetchone()
    return int(size)


def test_an_interrupted_import_keeps_what_is_durable_and_goes_on(place: Workplace) -> None:
    records = developers(40_000)
    (place.directory / "history.jsonl").write_bytes(lines_of(records))
    with place.start("import", "history.jsonl") as process:
        while (durable := durable_entries(place.directory / "grantledger.db")) < 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1].decode()
    assert (process.returncode, "Traceback" in said, "goes on from there" in said) == (130, False, True)
    resumed = place.good("import", "history.jsonl", "--json").json()
    assert resumed["duplicates"] >= durable - 1 > 0
    assert resumed["created"] + resumed["duplicates"] == len(records)


def test_seal_says_whether_anything_was_new(place: Workplace) -> None:
    first, again = (place.good("seal", "--json").json() for _ in range(2))
    assert (first["sealed"], first["tree_size"]) == (True, 2)
    assert again == {**first, "sealed": False}


def test_status_tells_sizes_kinds_and_keys(sealed: Workplace) -> None:
    shown = sealed.good("status", "--json").json()
    assert (shown["size"], shown["sealed_size"], shown["unsealed"], shown["vault_rows"]) == (9, 9, 0, 2)
    assert sum(shown["kinds"].values()) == 9
    assert shown["kinds"]["account.registered"] == 2
    assert (shown["origin"], shown["log_key_present"]) == (ORIGIN, True)


def test_status_needs_no_secret_key(sealed: Workplace) -> None:
    away = {"GRANTLEDGER_KEY_FILE": "absent", "GRANTLEDGER_LOG_KEY_FILE": "absent"}
    shown = sealed.run("status", "--json", settings=away)
    assert (shown.status, shown.json()["log_key_present"]) == (0, False)


def test_json_of_a_command_that_only_reads_is_stable(sealed: Workplace) -> None:
    assert sealed.good("status", "--json").out == sealed.good("status", "--json").out


def test_options_stand_before_or_after_the_command(sealed: Workplace, tmp_path: Path) -> None:
    elsewhere = Workplace(tmp_path)
    database = f"sqlite:///{sealed.directory}/grantledger.db"
    after = elsewhere.good("status", "--json", "--db", database).json()
    assert elsewhere.good("--json", "--db", database, "status").json() == after
    assert elsewhere.run("status", "--json", settings={"GRANTLEDGER_DB": database}).json() == after


def test_the_shown_bytes_have_the_shown_leaf_hash(sealed: Workplace) -> None:
    raw, shown = sealed.good("show", "4", "--raw").out, sealed.good("show", "4", "--json").json()
    assert sha256(b"\x00" + raw).hexdigest() == shown["leaf_hash"]
    assert (json.loads(raw), raw.decode()) == (shown["entry"], shown["canonical"])


def test_an_entry_is_found_by_its_uid(sealed: Workplace) -> None:
    assert sealed.good("show", "delivery.imported/d-1/1", "--json").json()["entry"]["delivery"] == "d-1"


def test_the_shown_proof_holds_under_the_public_key(sealed: Workplace) -> None:
    shown = sealed.good("show", "2", "--json").json()
    key = verifier_from_vkey(sealed.good("log", "vkey").text.strip())
    opened = check_tlog_proof(
        parse_tlog_proof(shown["proof"].encode()), bytes.fromhex(shown["leaf_hash"]), ORIGIN, [key]
    )
    assert opened.checkpoint.size == 9


def test_an_unsealed_entry_has_no_proof_yet(place: Workplace) -> None:
    assert place.good("show", "0", "--json").json()["proof"] is None
    assert "grantledger seal" in place.good("show", "0").text


@pytest.mark.parametrize("which", ["9", "99999999999999999999", "-1", "no/such/uid", ""])
def test_an_entry_that_is_not_there_is_bad_usage(sealed: Workplace, which: str) -> None:
    assert sealed.run("show", "--", which).status == 3


def test_an_edited_entry_is_not_shown_as_proven(sealed: Workplace, tmp_path: Path) -> None:
    shutil.copytree(sealed.directory, tmp_path / "copy")
    edit_entry(tmp_path / "copy" / "grantledger.db", 1, b"dev-a", b"dev-b")
    done = Workplace(tmp_path / "copy").run("show", "1")
    assert (done.status, done.out) == (2, b"")


def test_the_published_directory_is_the_log(sealed: Workplace) -> None:
    published = TileDirectory.open(sealed.directory / "public")
    key = verifier_from_vkey((sealed.directory / "public" / "log.vkey").read_text().strip())
    note = sealed.good("log", "checkpoint").out
    assert published.checkpoint() == note
    assert open_checkpoint(note, ORIGIN, [key]).checkpoint.size == published.size_available() == 9
    assert published.read_block(0, 9).entries[4] == sealed.good("show", "4", "--raw").out


def test_publishing_again_writes_nothing(sealed: Workplace) -> None:
    assert sealed.good("log", "publish", "public", "--json").json()["files_written"] == 0


def test_nothing_is_published_before_the_first_seal(place: Workplace) -> None:
    for command in (["log", "publish", "public"], ["log", "checkpoint"]):
        done = place.run(*command)
        assert (done.status, "grantledger seal" in done.err) == (3, True)


def test_a_checkpoint_that_the_log_did_not_sign_is_not_published(place: Workplace) -> None:
    place.good("seal")
    with closing(sqlite3.connect(place.directory / "grantledger.db")) as connection, connection:
        connection.execute(
            "UPDATE published_checkpoint SET checkpoint = CAST(replace(checkpoint, 'acme', 'evil') AS BLOB)"
        )
    done = place.run("log", "publish", "public")
    assert (done.status, (place.directory / "public").exists()) == (2, False)


def test_an_older_copy_of_the_database_is_not_sealed(place: Workplace) -> None:
    database = place.directory / "grantledger.db"
    shutil.copy(database, place.directory / "backup")
    place.good("import", "-", stdin=lines_of(RECORDS))
    place.good("seal")
    shutil.copy(place.directory / "backup", database)
    done = place.run("seal")
    assert (done.status, "older copy" in done.err) == (2, True)


@pytest.mark.parametrize("command", ["import -", "seal", "status", "show 0", "log vkey", "log checkpoint"])
def test_without_a_ledger_every_command_names_init_and_makes_nothing(tmp_path: Path, command: str) -> None:
    done = Workplace(tmp_path).run(*command.split())
    assert (done.status, "grantledger init" in done.err, list(tmp_path.iterdir())) == (3, True, [])


@pytest.mark.parametrize(
    ("database", "hint"),
    [
        ("absent/ledger.db", "make it first"),
        (".", "directory"),
        ("postgresql://user:secret@127.0.0.1:1/db", "no server answers there"),
        ("mysql://user:secret@host/db", "not supported"),
        ("sqlite://", "sqlite:///PATH"),
        ("garbage.db", "not a SQLite database"),
    ],
)
def test_a_database_that_cannot_be_is_told_with_the_fix(tmp_path: Path, database: str, hint: str) -> None:
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 1_000)
    done = Workplace(tmp_path).run("init", "--db", database)
    assert (done.status, hint in done.err, "secret" in done.err) == (3, True, False)


@pytest.mark.parametrize(("key", "command"), [("operator.key", "import -"), ("log.key", "seal")])
def test_a_key_that_others_can_read_is_refused_with_the_fix(place: Workplace, key: str, command: str) -> None:
    (place.directory / "grantledger.db.keys" / key).chmod(0o644)
    done = place.run(*command.split(), stdin=lines_of(RECORDS))
    assert (done.status, "chmod 600" in done.err) == (3, True)


@pytest.mark.parametrize(("key", "command"), [("operator.key", "import -"), ("log.key", "seal")])
def test_a_key_that_is_none_is_refused(place: Workplace, key: str, command: str) -> None:
    (place.directory / "grantledger.db.keys" / key).write_bytes(b"\xffnonsense\n")
    done = place.run(*command.split(), stdin=lines_of(RECORDS))
    assert (done.status, key in done.err) == (3, True)


@pytest.mark.parametrize("arguments", ["bogus", "status --bogus", "show", "log", "import", "", "--db"])
def test_bad_usage_is_answered_in_a_line_and_status_3(tmp_path: Path, arguments: str) -> None:
    done = Workplace(tmp_path).run(*arguments.split())
    assert (done.status, done.out, "--help" in done.err) == (3, b"", True)


def test_a_reader_that_goes_away_is_no_error(sealed: Workplace) -> None:
    with sealed.start("show", "0") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


@pytest.mark.parametrize("own", ["grantledger.db", "grantledger.db.keys/log.key"])
@pytest.mark.parametrize(
    "arguments", [("verify", "--findings"), ("verify", "--html"), ("import", "-", "--rejects")]
)
def test_no_command_writes_its_output_over_a_file_of_the_ledger(
    place: Workplace, arguments: tuple[str, ...], own: str
) -> None:
    assert place.run("init", "--origin", ORIGIN).status == 0
    before = (place.directory / own).read_bytes()
    done = place.run(*arguments, own)
    assert done.status == 3
    assert "a file of the ledger itself" in done.err
    assert (place.directory / own).read_bytes() == before
