"""``grantledger restore``: a database put back from a backup, made fit to serve again (ledger format, section 1.2)."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin

Log = Annotated[
    str,
    typer.Option("--log", metavar="DIR|URL", help="The published log: its directory, or where it is served."),
]


def restore(
    ctx: typer.Context, log: Log, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Bring a restored backup up to the log, with its erasures.

    A backup holds people that were erased since, and not the entries that say so. `grantledger serve` does not
    start on it before this ran. The published entries are appended as they are, once it is sure that they continue
    the database and that the log's key signed them. Keep a copy of the published log elsewhere, for this.

    API keys and tokens are not in the log: revoke again those that were revoked since the backup.

    \b
    Examples:
      grantledger restore --log ./public
      grantledger restore --log https://log.example --db postgresql://service@db.example/ledger

    \b
    Exit status:
      0  the database has everything that was published, and nobody in it who was erased
      2  the published log does not continue the database, or is not what was signed; nothing was appended
      3  the published log is older than what was signed, or cannot be read, or no ledger
    """
    from ledger.verifying import open_published
    from ledger.wiring.privacy import restore_from

    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service, session.output.progress("restoring entries") as bar:
        source = open_published(log, os.environ.get("GRANTLEDGER_API_KEY"))
        done = restore_from(service, source, bar)
    session.output.result(
        {
            "entries": done.size_after,
            "appended": done.size_after - done.size_before,
            "erased_again": done.people,
            "left": done.left,
        },
        [
            ("entries", f"{done.size_after:,}"),
            ("appended", f"{done.size_after - done.size_before:,}"),
            ("erased again", f"{done.people:,}"),
            ("files", done.left or "nothing of anybody erased is left in the database's own files"),
        ],
    )
