"""The rights of a service on PostgreSQL: what the role that it connects as may do to each table, and nothing else.

The owner of the tables makes and upgrades them (``grantledger init``); a service runs as another role, which can append
and never change what was appended, whatever happens to the service: it may neither update, delete nor truncate entries,
nor take the head back past what the triggers let through, nor switch a trigger off, nor make or drop tables. Rights bind
a role only as far as it cannot get round them, so one that owns the tables, or may become their owner, is refused.

A table that nothing here names is one of the service's own and may be read and written, now and when a later migration
makes it (default privileges); one that must not is named in :data:`RIGHTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import Connection, text

from ledger.errors import SettingsError

RIGHTS: Mapping[str, str] = MappingProxyType(
    {
        "entries": "SELECT, INSERT",
        "tiles": "SELECT, INSERT",
        # Locking the row for a turn takes the right to update it.
        "ledger_head": "SELECT, UPDATE",
        "published_checkpoint": "SELECT, INSERT, UPDATE",
        "vault_key": "SELECT, INSERT",
        # Erasing a person deletes the row; no row ever changes.
        "vault_subjects": "SELECT, INSERT, DELETE",
        "vault_erased": "SELECT, INSERT",
        "alembic_version": "SELECT",
    }
)
OWN_TABLES = "SELECT, INSERT, UPDATE, DELETE"
"""Of a table of the service's own."""

_ROLE = text(
    "SELECT rolsuper, pg_has_role(rolname, (SELECT relowner FROM pg_class WHERE oid = 'entries'::regclass), 'MEMBER'), "
    "has_schema_privilege(rolname, current_schema(), 'CREATE') FROM pg_roles WHERE rolname = :role"
)
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
_GRANTED = text(
    "SELECT DISTINCT rolname FROM pg_class, aclexplode(relacl) AS granted JOIN pg_roles ON pg_roles.oid = grantee "
    "WHERE pg_class.oid = 'ledger_head'::regclass AND privilege_type = 'UPDATE' AND grantee <> relowner"
)


def service_roles(connection: Connection) -> set[str]:
    """The roles that were given a service's rights; the tables are there."""
    return set(connection.execute(_GRANTED).scalars())


def grant_service(connection: Connection, role: str) -> None:
    """Give ``role`` a service's rights to the tables of the current schema, and take all others to them away.

    ``connection`` is the tables' owner's. Raises SettingsError where ``role`` is not there, or no rights would bind it.
    """
    _check_role(connection, role)
    quote = connection.dialect.identifier_preparer.quote_identifier
    name = quote(role)
    schema = quote(connection.execute(text("SELECT current_schema()")).scalar_one())
    statements = [f"GRANT USAGE ON SCHEMA {schema} TO {name}"]
    for table in sorted(connection.execute(_TABLES).scalars()):
        statements += [
            f"REVOKE ALL ON TABLE {quote(table)} FROM {name}, PUBLIC",
            f"GRANT {RIGHTS.get(table, OWN_TABLES)} ON TABLE {quote(table)} TO {name}",
        ]
    statements += [
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {name}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {OWN_TABLES} ON TABLES TO {name}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {name}",
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)


def _check_role(connection: Connection, role: str) -> None:
    row = connection.execute(_ROLE, {"role": role}).first()
    if row is None:
        raise SettingsError(
            f"the server has no role {role!r}: make it first, for example with `createuser --pwprompt {role}`"
        )
    is_superuser, may_become_owner, may_create = row
    if is_superuser or may_become_owner:
        raise SettingsError(
            f"the role {role!r} owns the ledger's tables, or may become their owner, or is a superuser: no rights would "
            "bind it; name another role, and keep this one for `grantledger init`"
        )
    if may_create:
        raise SettingsError(
            f"the role {role!r} may make tables in the ledger's schema: take that away first, with "
            "`REVOKE CREATE ON SCHEMA public FROM PUBLIC` or from the role"
        )
