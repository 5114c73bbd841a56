"""``grantledger seal``: sign a checkpoint over everything durable (ledger format, section 1.3)."""

from __future__ import annotations

import typer

from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.core.strict import encode_base64


def seal(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Sign and publish a checkpoint over every entry that is durable now.

    Appends the index over the entries (index.sealed), writes the hash tiles, signs the checkpoint with the
    log's key and moves the record of the last signature, DB.checkpoint, which lies outside the database. Does
    nothing when nothing is new. Refuses to sign when the database is behind that record: an older copy would
    become a fork. May be stopped and run again at any time.

    \b
    Examples:
      grantledger seal
      grantledger seal --json --db /srv/ledger/prod.db

    \b
    Exit status:
      0  sealed, or nothing was new
      2  the database is not a continuation of what was signed last
      3  no ledger or no usable key, another sealer did not finish within 30 s, or the machine failed
    """
    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger, session.output.progress("indexing entries") as progress:
        ledger.on_index_progress = progress
        sealed = ledger.sealer.seal()
    checkpoint = sealed.checkpoint
    session.output.result(
        {
            "sealed": sealed.created,
            "origin": checkpoint.origin,
            "tree_size": checkpoint.size,
            "root": encode_base64(checkpoint.root),
        },
        [
            ("seal", "new checkpoint" if sealed.created else "nothing new since the last checkpoint"),
            ("origin", checkpoint.origin),
            ("tree size", f"{checkpoint.size:,}"),
            ("root", encode_base64(checkpoint.root)),
        ],
    )
