"""PostgreSQL: how its connections are set up, and what its failures mean to the operator.

Every connection runs at READ COMMITTED, because guards stand in the statements and must see what was committed while
they waited; commits wait for the disk (``synchronous_commit``), whatever the server, the database or the role say; a
connection that is gone, because the server was restarted or the network cut, is noticed before it is used.

A client that dies or hangs in the middle of a transaction holds the turn to write until the server notices. That is at
once where its system still answers; otherwise the limits here end it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

IDLE_IN_TRANSACTION_MS = 60_000
"""How long a client may say nothing in the middle of a transaction before the server ends it and frees the turn."""

_CONNECT_ARGS = {
    "application_name": "grantledger",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""libpq's parameters where the URL does not say otherwise; times in seconds."""

# Whoever asked for more than the local disk (a standby that has applied the commit) keeps it.
_SET_UP = """
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
       set_config('lock_timeout', %s, false),
       set_config('idle_in_transaction_session_timeout', %s, false),
       set_config('client_min_messages', 'warning', false)
"""

_LOST = (
    "the connection to the server was lost: what was being done may have happened or not; when the server answers "
    "again, look, then repeat it"
)
_TLS = "check sslmode, sslrootcert and the other TLS options in the URL"
_FIXES = {
    "08": _LOST,
    "53100": "the server's disk is full: free some space there, then run the command again",
    "53200": "the server is out of memory: free some, then run the command again",
    "53300": "the server has no connection to spare: raise its max_connections, or stop another client",
    "25006": "the database is read-only (a standby, or default_transaction_read_only): name the primary with --db",
    "25P03": _LOST,
    "40P01": "two transactions waited for each other and this one was given up: run the command again",
    "42P01": "the ledger's tables are not there: run `grantledger init` first",
    "42501": (
        "the role that connects lacks this right: run `grantledger init --service-role ROLE` as the owner of the tables, "
        "or connect as the owner"
    ),
    "55P03": "another process holds the turn to write: wait for it or stop it, then try again",
    "57014": "the server gave the statement up (its statement_timeout): raise it for this role, then try again",
    "57P01": _LOST,
    "57P02": _LOST,
    "57P05": _LOST,
    "57P03": "the server is starting up or shutting down: wait for it, then try again",
    "58": "the server's disk reported an error: look into the server's log",
    "XX": "the server reports damaged data: look into its log, and restore a backup",
}
"""By SQLSTATE, or by its class where one fix fits all of it."""

_WHILE_CONNECTING = ("connection failed", "connection is bad", "connection timeout", "failed to resolve")
_REFUSED = {
    "password authentication failed": "check the password: in the URL, in PGPASSWORD or in ~/.pgpass",
    "no password supplied": "give the password: in the URL, in PGPASSWORD or in ~/.pgpass",
    "Connection refused": "no server answers there: start it, or check the host and the port",
    "No such file or directory": "no server answers there: start it, or check the socket's directory (`host`)",
    "failed to resolve": "check the name of the host and the port",
    "timeout": "no server answers there: check the host, the port and the firewall",
    "no pg_hba.conf entry": "the server lets nobody in from here as this role: check its pg_hba.conf",
    "does not exist": "make it first, with `createdb` or `createuser`, or check the URL",
    "too many clients": _FIXES["53300"],
    "remaining connection slots": _FIXES["53300"],
    "starting up": _FIXES["57P03"],
    "shutting down": _FIXES["57P03"],
    "certificate": _TLS,
    "ssl": _TLS,
    "SSL": _TLS,
}
"""By what libpq says while it connects, when there is no SQLSTATE yet."""


def create(url: URL, lock_timeout_ms: int) -> Engine:
    """An engine for the server's database at ``url``; a write waits at most ``lock_timeout_ms`` for another one's."""
    engine = create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args={name: value for name, value in _CONNECT_ARGS.items() if name not in url.query},
    )

    def set_up(connection: Any, _record: object) -> None:
        connection.autocommit = True
        connection.execute(_SET_UP, (str(lock_timeout_ms), str(IDLE_IN_TRANSACTION_MS)))
        connection.autocommit = False

    event.listen(engine, "connect", set_up)
    return engine


def is_lost(error: BaseException) -> bool:
    """Whether the driver's ``error`` says that a connection ended that was there before."""
    return fix_of(error) is _LOST


def fix_of(error: BaseException) -> str | None:
    """What to do about the driver's ``error``, where it is one of PostgreSQL's that has a known cause."""
    if not hasattr(error, "sqlstate"):
        return None
    if error.sqlstate is not None:
        return _FIXES.get(error.sqlstate) or _FIXES.get(error.sqlstate[:2])
    text = str(error)
    if text.startswith(_WHILE_CONNECTING):
        return next((fix for said, fix in _REFUSED.items() if said in text), None)
    return _LOST if type(error).__name__ == "OperationalError" else None


def text_of(error: BaseException) -> str | None:
    """What the server said in one line, without the rows' values that its details repeat; None for another's error."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None:
        return None
    return diagnosis.message_primary or " ".join(str(error).split())
