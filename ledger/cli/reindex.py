"""``grantledger reindex``: make the stored index over the log anew (ledger format, section 1.4)."""

from __future__ import annotations

import typer

from ledger.cli.session import AsJson, Db, Quiet, begin


def reindex(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Make the stored index anew, from the entries.

    Proofs are made from an index of who is concerned by which entry, which every seal extends. It is derived: where it is
    damaged, seals and proofs stop and name this command, and nothing is lost. The new index has to lead to the map root
    that was sealed last; nothing new is signed. Seals wait until it is done. Stopped and run again it goes on.

    \b
    Examples:
      grantledger reindex
      grantledger reindex --db /srv/ledger/prod.db

    \b
    Exit status:
      0  the index is that of the last published checkpoint
      2  the entries do not give the map root that was sealed, or the database is not what was signed
      3  nothing is sealed yet, no ledger or no usable key, another sealer is at work, or the machine failed
    """
    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger, session.output.progress("indexing entries") as progress:
        ledger.on_index_progress = progress
        checkpoint = ledger.sealer.reindex().checkpoint
    session.output.result(
        {"origin": checkpoint.origin, "tree_size": checkpoint.size},
        [
            ("reindex", "the index is made anew"),
            ("origin", checkpoint.origin),
            ("tree size", f"{checkpoint.size:,}"),
        ],
    )
