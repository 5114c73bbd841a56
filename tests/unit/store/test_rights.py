"""The rights of a service on PostgreSQL: what it needs, and no way to the past."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ledger.errors import SettingsError, UsageError
from ledger.ports import NewEntry
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from tests.support.postgresql import OWNER, SERVICE_ROLE, PostgresqlServer, database_of

ENTRY = NewEntry(0, "kind/0", b"h" * 32, b"{}", True)


@pytest.fixture
def store(service_postgresql_url: str) -> Iterator[SqlEntryStore]:
    """A store of the service, with one entry, a tile and a checkpoint."""
    opened = SqlEntryStore(open_engine(service_postgresql_url))
    opened.append(0, [ENTRY])
    opened.put_tiles([("tile/0/000", b"t")])
    opened.put_checkpoint(1, b"signed")
    yield opened
    opened.close()


@pytest.fixture
def service(service_postgresql_url: str) -> Iterator[psycopg.Connection]:
    """A connection as the service's role, past the store."""
    with psycopg.connect(service_postgresql_url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET data = leaf_hash",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "DROP TABLE entries",
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "DROP TRIGGER entries_refuse_change ON entries",
        "DROP FUNCTION ledger_refuse CASCADE",
        "CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE RULE quietly AS ON INSERT TO entries DO INSTEAD NOTHING",
        "CREATE TRIGGER mine BEFORE INSERT ON entries EXECUTE FUNCTION ledger_refuse('no')",
        "UPDATE tiles SET data = data",
        "DELETE FROM tiles",
        "TRUNCATE tiles",
        "INSERT INTO ledger_head VALUES (2, 0)",
        "DELETE FROM ledger_head",
        "TRUNCATE ledger_head",
        "DELETE FROM published_checkpoint",
        "UPDATE vault_subjects SET tag = tag",
        "UPDATE vault_key SET key_check = key_check",
        "DELETE FROM vault_key",
        "DELETE FROM vault_erased",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE mine (x integer)",
        "SET session_replication_role = replica",
        f"SET ROLE {OWNER}",
    ],
)
def test_a_service_may_not(store: SqlEntryStore, service: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute(statement.encode())
    assert [(row.seq, row.data) for row in store.fetch_range(0, 9)] == [(0, b"{}")]


def test_a_service_cannot_give_itself_a_right(service: psycopg.Connection) -> None:
    service.execute(f"GRANT ALL ON entries TO {SERVICE_ROLE}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute("DELETE FROM entries")


def test_a_service_cannot_move_the_head_back(store: SqlEntryStore, service: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="never shrinks"):
        service.execute("UPDATE ledger_head SET size = 0")
    assert store.size() == 1


def test_a_service_uses_tables_that_a_later_migration_makes(
    service: psycopg.Connection, migrated_postgresql_url: str
) -> None:
    with psycopg.connect(migrated_postgresql_url) as owner:
        owner.execute("CREATE TABLE later (number SERIAL PRIMARY KEY, x INTEGER)")
    service.execute("INSERT INTO later (x) VALUES (1), (2)")
    service.execute("UPDATE later SET x = 3 WHERE number = 1")
    service.execute("DELETE FROM later WHERE number = 2")
    assert service.execute("SELECT * FROM later").fetchall() == [(1, 3)]


def test_naming_a_role_again_takes_away_what_it_should_not_have(
    service: psycopg.Connection, migrated_postgresql_url: str, store: SqlEntryStore
) -> None:
    with psycopg.connect(migrated_postgresql_url) as owner:
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {SERVICE_ROLE}, PUBLIC".encode())
    upgrade(migrated_postgresql_url, SERVICE_ROLE)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute("DELETE FROM entries")
    assert store.size() == 1


def test_another_role_has_no_rights_at_all(
    postgresql_server: PostgresqlServer, migrated_postgresql_url: str
) -> None:
    other = postgresql_server.url(database_of(migrated_postgresql_url), postgresql_server.make_role())
    with (
        psycopg.connect(other) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT * FROM vault_subjects")


@pytest.mark.parametrize("options", ["SUPERUSER", f"ROLE {OWNER}", "member", "owner"])
def test_a_role_that_no_rights_could_bind_is_refused(
    postgresql_server: PostgresqlServer, options: str
) -> None:
    owner = postgresql_server.make_role()
    with postgresql_server.database(with_tables=False) as name:
        postgresql_server.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
        named = owner if options == "owner" else postgresql_server.make_role()
        if options == "SUPERUSER":
            postgresql_server.execute(f"ALTER ROLE {named} SUPERUSER")
        elif options != "owner":
            postgresql_server.execute(f"GRANT {owner} TO {named}")
        with pytest.raises(SettingsError, match="no rights would bind it"):
            upgrade(postgresql_server.url(name, owner), named)


def test_a_role_that_may_make_tables_is_refused(
    postgresql_server: PostgresqlServer, migrated_postgresql_url: str
) -> None:
    role = postgresql_server.make_role()
    postgresql_server.execute(
        f"GRANT CREATE ON SCHEMA public TO {role}", database_of(migrated_postgresql_url)
    )
    with pytest.raises(SettingsError, match="REVOKE CREATE"):
        upgrade(migrated_postgresql_url, role)


def test_a_role_that_is_not_there_is_not_made(migrated_postgresql_url: str) -> None:
    with pytest.raises(SettingsError, match="make it first"):
        upgrade(migrated_postgresql_url, "nosuch")


def test_a_name_that_needs_quotes_is_quoted(
    postgresql_server: PostgresqlServer, migrated_postgresql_url: str
) -> None:
    postgresql_server.execute('CREATE ROLE "an odd ""name%" LOGIN')
    upgrade(migrated_postgresql_url, 'an odd "name%')
    granted = postgresql_server.execute(
        "SELECT has_table_privilege('an odd \"name%', 'entries', 'INSERT'), "
        "has_table_privilege('an odd \"name%', 'entries', 'DELETE')",
        database_of(migrated_postgresql_url),
    )
    assert granted == [(True, False)]


def test_sqlite_has_no_roles(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(UsageError, match="SQLite has no roles"):
        upgrade(f"sqlite:///{tmp_path_factory.mktemp('rights')}/ledger.db", SERVICE_ROLE)
