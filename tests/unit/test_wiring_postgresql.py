"""The composition root over a PostgreSQL server: what `init` makes there, and what opening refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import ForkError, SettingsError, StoreError, UsageError
from ledger.settings import Settings, load_settings
from ledger.store.migrate import upgrade
from ledger.wiring import create_ledger, open_ledger
from tests.support.postgresql import SERVICE_ROLE, PostgresqlServer, database_of

ORIGIN = "ledger.example/acme"


@pytest.fixture
def settings(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty database, and an empty working directory for its keys and record."""
    monkeypatch.chdir(tmp_path)
    return load_settings({}, postgresql_url)


def as_service(settings: Settings, server: PostgresqlServer) -> Settings:
    """The same ledger, as the role that a service connects as."""
    return load_settings({}, server.url(database_of(settings.database_url), SERVICE_ROLE))


def test_a_new_ledger_lies_on_the_server_and_its_keys_in_the_working_directory(
    settings: Settings, tmp_path: Path
) -> None:
    created = create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        assert (ledger.store.size(), ledger.origin, ledger.vkey) == (1, ORIGIN, created.vkey)
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".keys"]
    assert set(created.made) == {settings.operator_key_file, settings.log_key_file}


def test_making_a_ledger_twice_replaces_nothing(settings: Settings) -> None:
    first = create_ledger(settings, ORIGIN)
    again = create_ledger(settings)
    assert (again.is_new, again.vkey, again.made) == (False, first.vkey, ())


def test_the_origin_of_a_ledger_never_changes(settings: Settings) -> None:
    create_ledger(settings, ORIGIN)
    with pytest.raises(UsageError, match="never changes"):
        create_ledger(settings, "other.example/log")


def test_opening_makes_nothing_where_there_is_no_ledger(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="run `grantledger init`"):
        open_ledger(settings)
    assert list(tmp_path.iterdir()) == []


def test_tables_without_entry_0_are_no_ledger(settings: Settings) -> None:
    upgrade(settings.database_url)
    with pytest.raises(SettingsError, match="never opened"):
        open_ledger(settings)


def test_a_database_that_is_not_there_is_not_made(postgresql_server: PostgresqlServer) -> None:
    with pytest.raises(StoreError, match="make it first, with `createdb`"):
        create_ledger(load_settings({}, postgresql_server.url("nosuch")))


def test_a_signed_log_whose_database_is_gone_is_not_begun_anew(
    settings: Settings, postgresql_server: PostgresqlServer
) -> None:
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        ledger.sealer.seal()
    name = database_of(settings.database_url)
    postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    postgresql_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    with pytest.raises(ForkError, match="Put the database back"):
        create_ledger(settings)


def test_a_service_appends_and_seals_as_its_own_role(
    settings: Settings, postgresql_server: PostgresqlServer
) -> None:
    create_ledger(settings, ORIGIN, service_role=SERVICE_ROLE)
    with open_ledger(as_service(settings, postgresql_server)) as ledger:
        ledger.vault.subjects_of(["783214"])
        ledger.sealer.seal()
        assert ledger.load_published() is not None
        assert ledger.count_subjects() == 1


def test_another_role_is_told_what_it_lacks(settings: Settings, postgresql_server: PostgresqlServer) -> None:
    create_ledger(settings, ORIGIN)
    with pytest.raises(StoreError, match=r"permission denied.*--service-role"):
        open_ledger(as_service(settings, postgresql_server))


def test_a_service_role_is_no_matter_for_sqlite(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SQLite has no roles"):
        create_ledger(load_settings({}, str(tmp_path / "a.db")), service_role=SERVICE_ROLE)
    assert list(tmp_path.iterdir()) == []


def test_no_message_shows_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({}, "postgresql://x:hidden@127.0.0.1:1/ledger")
    for refuse in (create_ledger, open_ledger):
        with pytest.raises(StoreError) as failed:
            refuse(settings)
        assert "hidden" not in str(failed.value)
