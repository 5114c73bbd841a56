"""The commands on a PostgreSQL server, as processes: an owner makes the ledger, a service with a password uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.ingest.preparing_process import RECORDS_BEFORE_HELP
from tests.support.cli_process import Workplace
from tests.support.postgresql import PASSWORD, PASSWORD_ROLE, PostgresqlServer
from tests.support.records import make_lines

RECORDS = RECORDS_BEFORE_HELP + 1_500
"""Enough for the import to prepare in a second process, which opens the vault for itself."""


@pytest.fixture
def name(postgresql_server: PostgresqlServer) -> Iterator[str]:
    with postgresql_server.database(with_tables=False) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """The home of somebody whose password stands in ``~/.pgpass``."""
    passwords = tmp_path / ".pgpass"
    passwords.write_text(f"*:*:*:{PASSWORD_ROLE}:{PASSWORD}\n")
    passwords.chmod(0o600)
    return Workplace(tmp_path)


def test_a_ledger_lives_on_a_server_from_init_to_verify(
    place: Workplace, name: str, postgresql_server: PostgresqlServer
) -> None:
    owner = postgresql_server.url(name)
    made = place.good("init", "--db", owner, "--service-role", PASSWORD_ROLE, "--json").json()
    assert (made["created"], made["log_key_file"]) == (True, f"{name}.keys/log.key")
    service = postgresql_server.url(name, PASSWORD_ROLE)
    lines = make_lines(1, RECORDS + 50).splitlines(keepends=True)
    (place.directory / "records.jsonl").write_bytes(b"".join(lines[:RECORDS]))
    (place.directory / "more.jsonl").write_bytes(b"".join(lines[RECORDS:]))
    assert place.good("import", "records.jsonl", "--db", service, "--json").json()["records"] == RECORDS
    place.good("import", "more.jsonl", "--strict", "--db", service)
    place.good("seal", "--db", service)
    assert place.good("status", "--db", service, "--json").json()["unsealed"] == 0
    verified = place.run("verify", "--db", service, "--json", "--processes", "2")
    assert (verified.status, verified.json()["exit_status"]) == (1, 1), verified.err
    assert PASSWORD not in verified.err + verified.text


def test_a_wrong_password_is_told_without_it(
    place: Workplace, name: str, postgresql_server: PostgresqlServer
) -> None:
    place.good("init", "--db", postgresql_server.url(name), "--service-role", PASSWORD_ROLE)
    done = place.run("status", "--db", postgresql_server.url(name, PASSWORD_ROLE, "hidden"))
    assert done.status == 3
    assert "check the password" in done.err
    assert "hidden" not in done.err


def test_files_of_a_ledger_on_a_server_are_not_overwritten(
    place: Workplace, name: str, postgresql_server: PostgresqlServer
) -> None:
    url = postgresql_server.url(name)
    place.good("init", "--db", url)
    done = place.run("verify", "--db", url, "--html", f"{name}.keys/log.key")
    assert "is a file of the ledger itself" in done.err
