"""One history on SQLite and on a PostgreSQL server: the same log to the byte, and the same report of it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.ingest.sources import open_source
from ledger.settings import Settings, load_settings
from ledger.store.database_log import DatabaseLog
from ledger.transparency.publish import publish
from ledger.verifying import Asked, run_verification
from ledger.wiring import create_ledger, open_ledger
from tests.support.log_world import SetClock
from tests.support.postgresql import SERVICE_ROLE, PostgresqlServer, database_of
from tests.support.records import make_lines

RECORDS = 3_000


class Stream:
    """Randomness that is the same each time."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def token(self, size_bytes: int) -> bytes:
        return hashlib.shake_256(str(next(self._count)).encode()).digest(size_bytes)


@dataclass
class Lived:
    """A ledger with a history, and what was published of it."""

    settings: Settings
    public: Path


def live(settings: Settings, directory: Path) -> Lived:
    """Make the ledger at ``settings``, import a history in two parts, seal after each, publish."""
    clock, randomness = SetClock(), Stream()
    create_ledger(settings, "ledger.example/one", clock=clock, randomness=randomness)
    lines = make_lines(7, RECORDS).splitlines(keepends=True)
    with open_ledger(settings, clock=clock, randomness=randomness) as ledger:
        for number, part in enumerate((lines[: RECORDS // 2], lines[RECORDS // 2 :])):
            file = directory / f"records-{number}.jsonl"
            file.write_bytes(b"".join(part))
            with file.open("rb") as stdin:
                report = ledger.import_from(open_source(str(file), stdin))
            assert report.rejected == 0
            clock.ms += 1_000
            ledger.sealer.seal()
        publish(ledger.store, directory / "public", ledger.vkey)
    return Lived(settings, directory / "public")


def files_below(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    directory = tmp_path_factory.mktemp("sqlite")
    environ = {"GRANTLEDGER_STATE_DIR": str(directory / "state")}
    return live(load_settings(environ, str(directory / "one.db")), directory)


@pytest.fixture(scope="module")
def on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[Lived]:
    """As the role that a service connects as."""
    directory = tmp_path_factory.mktemp("postgresql")
    with postgresql_server.database(with_tables=True) as name:
        environ = {
            "GRANTLEDGER_STATE_DIR": str(directory / "state"),
            "GRANTLEDGER_KEY_FILE": str(directory / "one.keys/operator.key"),
            "GRANTLEDGER_LOG_KEY_FILE": str(directory / "one.keys/log.key"),
            "GRANTLEDGER_CHECKPOINT_FILE": str(directory / "one.checkpoint"),
        }
        yield live(load_settings(environ, postgresql_server.url(name, SERVICE_ROLE)), directory)


def verify(lived: Lived, asked: Asked) -> dict[str, Any]:
    report = run_verification(lived.settings, asked, lambda _phase, _done, _total: None).report
    return report.to_json()


def test_the_published_logs_are_the_same_to_the_byte(on_sqlite: Lived, on_postgresql: Lived) -> None:
    published = files_below(on_sqlite.public)
    assert len(published) > 20
    assert files_below(on_postgresql.public) == published


@pytest.mark.parametrize("engine", ["scalar", "duckdb"])
def test_the_reports_on_the_live_databases_are_the_same(
    on_sqlite: Lived, on_postgresql: Lived, engine: str
) -> None:
    asked = Asked(engine=engine, remember=False)
    report = verify(on_postgresql, asked)
    assert report == verify(on_sqlite, asked)
    assert report["tree_size"] > RECORDS
    assert report["findings"] != []


def test_several_processes_read_the_live_database(on_postgresql: Lived) -> None:
    one, three = (verify(on_postgresql, Asked(processes=count, remember=False)) for count in (1, 3))
    assert three == one


def test_a_log_on_a_server_is_held_against_what_was_remembered_of_it(on_postgresql: Lived) -> None:
    first = verify(on_postgresql, Asked(engine="scalar"))
    second = verify(on_postgresql, Asked(engine="scalar"))
    assert second == first
    assert list((on_postgresql.settings.state_directory).iterdir()) != []


def test_a_changed_entry_on_the_server_is_found(
    on_postgresql: Lived, postgresql_server: PostgresqlServer
) -> None:
    name = database_of(on_postgresql.settings.database_url)
    flip_a_bit = (
        "BEGIN; ALTER TABLE entries DISABLE TRIGGER ALL; "
        "UPDATE entries SET data = set_byte(data, 30, get_byte(data, 30) # 1) WHERE seq = 40; "
        "ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_refuse_change; COMMIT"
    )
    asked = Asked(engine="scalar", remember=False)
    postgresql_server.execute(flip_a_bit, name)
    try:
        assert verify(on_postgresql, asked)["exit_status"] == 2
    finally:
        postgresql_server.execute(flip_a_bit, name)
    assert verify(on_postgresql, asked)["exit_status"] == 1


def test_a_log_on_a_server_is_described_without_its_password() -> None:
    log = DatabaseLog("postgresql://u:hidden@db.example/ledger")
    assert log.describe() == "postgresql://u:***@db.example/ledger"
    assert "hidden" not in repr(log)
