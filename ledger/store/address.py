"""Addresses of databases: which are taken, and how they are shown to people, never with a password.

A SQLite database is ``sqlite:///PATH``. A PostgreSQL database is ``postgresql://USER@HOST:PORT/NAME?OPTIONS``, also
written ``postgres://`` or ``postgresql+psycopg://``; options are libpq's own (``sslmode``, ``host=/run/postgresql``,
``passfile``), and what is left out comes from where libpq looks for it: ``PGPASSWORD``, ``~/.pgpass``, a service file.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import URL, exc
from sqlalchemy.engine import make_url

from ledger.errors import SettingsError

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

DRIVERS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "sqlite+pysqlite",
        "sqlite+pysqlite": "sqlite+pysqlite",
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "postgresql+psycopg": "postgresql+psycopg",
    }
)
"""What may stand before ``://``, and the driver that it means."""

_EXAMPLES = "write for example sqlite:///ledger.db or postgresql://ledger@localhost/ledger"


def parse_address(text: str) -> URL:
    """The URL ``text`` with its driver named and its password, where it has one, at the one place that hides it.

    Raises SettingsError, whose text repeats no password, where ``text`` is not the address of a database that the
    store can use.
    """
    scheme, separator, _ = text.partition("://")
    if not separator:
        # Not repeated: nobody knows where in such a text a password would stand.
        raise SettingsError(f"the name of the database is no URL; {_EXAMPLES}")
    driver = DRIVERS.get(scheme)
    if driver is None:
        raise SettingsError(f"{scheme} databases are not supported; {_EXAMPLES}")
    try:
        url = make_url(text).set(drivername=driver)
    except (exc.ArgumentError, ValueError) as error:
        # A password that is not percent-encoded ends up in the host or the port, so neither is repeated.
        raise SettingsError(
            f"the {scheme} URL of the database cannot be read: check its port, and that characters such as @ / : ? # "
            "in its password are percent-encoded"
        ) from error
    password = url.query.get("password")
    if isinstance(password, str):
        url = url.set(password=url.password or password)
    return url.difference_update_query(["password"])


def is_server(url: URL) -> bool:
    """Whether the database at ``url`` is a server's, and so no file of this machine."""
    return url.get_backend_name() == POSTGRESQL


def show_address(url: URL) -> str:
    """``url`` as people write it, with ``***`` in the place of its password."""
    if "sslpassword" in url.query:
        url = url.update_query_dict({"sslpassword": "***"})
    shown = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
    return shown.replace("%2F", "/").replace("%3A", ":").replace("%2A", "*")
