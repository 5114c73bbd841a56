"""Bring a database's tables up to this version (alembic); the migrations lie beside the package.

Of two that upgrade one database at once the second waits and finds nothing left to do: on SQLite by the write lock, on
PostgreSQL by an advisory lock. Both databases change their tables within a transaction, so that an upgrade that fails
leaves them as they were.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from ledger.errors import SettingsError, StoreError, UsageError
from ledger.store.address import is_server, show_address
from ledger.store.engine import begin_read, begin_write, open_engine
from ledger.store.rights import grant_service, service_roles

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

_DOING = "creating the ledger's tables"
_LOCK = int.from_bytes(b"glmigrat")


def upgrade(url: str, service_role: str | None = None) -> None:
    """Create or upgrade the tables of the database ``url`` in one transaction; does nothing when they are current.

    With ``service_role``, a role of a PostgreSQL server, that role afterwards has the rights that a service needs and no
    others (:mod:`ledger.store.rights`); roles that were given them before get those to new tables, too.

    Raises StoreError when the database cannot be written or was made by a newer version, UsageError when
    ``service_role`` is named for SQLite, SettingsError when no rights could bind that role, or the server's text is
    not UTF-8.
    """
    engine = open_engine(url)
    try:
        if service_role is not None and not is_server(engine.url):
            raise UsageError(
                "SQLite has no roles: leave --service-role out, and let the file's permissions say who may write"
            )
        _check_revision(engine)
        if service_role is None and _revision(engine) == _head():
            return
        with begin_write(engine, _DOING) as connection:
            _upgrade(connection, service_role)
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether the tables of the database ``url`` are those of this version."""
    engine = open_engine(url)
    try:
        return _revision(engine) == _head()
    finally:
        engine.dispose()


def _upgrade(connection: Connection, service_role: str | None) -> None:
    on_server = connection.dialect.name == "postgresql"
    if on_server:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise SettingsError(
                f"the database keeps its text as {encoding}: make one with `createdb --encoding UTF8`"
            )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if on_server:
        roles = service_roles(connection)
        for role in sorted({*roles, service_role} if service_role is not None else roles):
            grant_service(connection, role)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _check_revision(engine: Engine) -> None:
    current = _revision(engine)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"{show_address(engine.url)} has tables of revision {current}, which this version does not know: upgrade it"
        )


def _revision(engine: Engine) -> str | None:
    with begin_read(engine, "reading the revision of the tables") as connection:
        return MigrationContext.configure(connection).get_current_revision()
