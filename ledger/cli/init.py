"""``grantledger init``: make a ledger (ledger format, section 1.1)."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.output import configure_log
from ledger.cli.session import AsJson, Db, Quiet, begin

Origin = Annotated[
    str | None,
    typer.Option(
        "--origin",
        metavar="ORIGIN",
        help="The log's name for ever: a URL without scheme, such as ledger.example/prod. "
        "[default: a random name under localhost]",
    ),
]
ServiceRole = Annotated[
    str | None,
    typer.Option(
        "--service-role",
        metavar="ROLE",
        help="PostgreSQL: give this role of the server, which is there and does not own the tables, what a service "
        "needs: it can append, and never change what was appended.",
    ),
]


def init(
    ctx: typer.Context,
    origin: Origin = None,
    service_role: ServiceRole = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a ledger: the database, its two keys and entry 0.

    Makes what is missing and replaces nothing, so it can be run again: after a crash, or to bring the tables
    of an older version up to date. The keys lie beside the database in DB.keys/: operator.key wraps the
    vault, log.key signs checkpoints. Back both up, apart from the database: without operator.key nobody can
    be named again, without log.key the log cannot go on.

    A PostgreSQL database has to be there already; its keys lie in NAME.keys/ in the working directory. Whoever
    runs init owns the tables; let the service connect as another role (--service-role).

    \b
    Examples:
      grantledger init --origin ledger.example/prod
      grantledger init --db /srv/ledger/prod.db
      grantledger init --db postgresql://owner@db.example/ledger --service-role ledger_service

    \b
    Exit status:
      0  the ledger is there
      2  the database is not the beginning of a ledger, or that of a signed log is gone
      3  another origin, a missing or unusable key, or a place that cannot be written
    """
    from ledger.wiring import create_ledger

    session = begin(ctx, db, as_json, quiet)
    configure_log()
    settings = session.load_settings()
    created = create_ledger(settings, origin, service_role=service_role)
    session.output.result(
        {
            "created": created.is_new,
            "origin": created.origin,
            "vkey": created.vkey,
            "database": settings.database,
            "operator_key_file": None if settings.operator_key else str(settings.operator_key_file),
            "log_key_file": str(settings.log_key_file),
            "checkpoint_file": str(settings.checkpoint_file),
            "made": [str(path) for path in created.made],
        },
        [
            ("ledger", "made" if created.is_new else "there already, nothing replaced"),
            ("origin", created.origin),
            ("public key", created.vkey),
            ("database", settings.database),
            ("operator's key", "in GRANTLEDGER_KEY" if settings.operator_key else settings.operator_key_file),
            ("log's key", settings.log_key_file),
        ],
    )
    if created.is_new:
        session.output.remark(
            "back up both keys apart from the database, and "
            "hand the public key to everybody who is to check the log"
        )
