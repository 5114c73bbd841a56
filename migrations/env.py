"""Alembic's entry: runs the migrations on the connection, or for the URL, that ``ledger.store.migrate`` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel


def migrate(connection: Connection) -> None:
    """Run what is due on ``connection``, in one transaction."""
    context.configure(connection=connection, target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None, "alembic.ini names no sqlalchemy.url"
    with create_engine(url).begin() as opened:
        migrate(opened)
