"""Bring a database's tables up to this version (alembic); the migrations lie beside the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.errors import StoreError
from ledger.store.engine import begin_read, begin_write, open_engine

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Create or upgrade the tables of the database ``url`` in one transaction; does nothing when they are current.

    Raises StoreError when the database cannot be written or was made by a newer version.
    """
    engine = open_engine(url)
    try:
        head = ScriptDirectory.from_config(_config()).get_current_head()
        current = _revision(engine_url=url)
        if current == head:
            return
        if current is not None and current not in _known_revisions():
            raise StoreError(
                f"{url} has tables of revision {current}, which this version does not know: upgrade it"
            )
        with begin_write(engine, "creating the ledger's tables") as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether the tables of the database ``url`` are those of this version."""
    return _revision(engine_url=url) == ScriptDirectory.from_config(_config()).get_current_head()


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _revision(engine_url: str) -> str | None:
    engine = open_engine(engine_url)
    try:
        with begin_read(engine, "reading the revision of the tables") as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
