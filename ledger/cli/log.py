"""``grantledger log``: what others need to check the log (transparency formats, sections 4.2 to 4.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.core.strict import encode_base64
from ledger.errors import UsageError

app = typer.Typer(rich_markup_mode=None)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where to publish; made if it is not there.")]


@app.callback()
def about() -> None:
    """Publish the log and its key, so that others can check it.

    \b
    Examples:
      grantledger log publish ./public
      grantledger log vkey

    \b
    Exit status: that of the command below it.
    """


@app.command()
def publish(
    ctx: typer.Context, directory: Directory, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Write what readers of the log need to DIR, as a static site.

    That is the checkpoint, tiles, entry bundles and log.vkey. Any reader of tlog-tiles can check them; serve
    the directory as it is. Only what is missing is written, the checkpoint last, so it may be stopped and run
    again. A directory that holds another log, or more of this one, is left alone.

    \b
    Examples:
      grantledger log publish ./public
      grantledger verify --tiles ./public --vkey ./public/log.vkey

    \b
    Exit status:
      0  the directory holds the log up to its last checkpoint
      2  the directory and the database contradict each other, or what was signed
      3  nothing is sealed yet, or the directory cannot be written
    """
    from ledger.transparency.publish import publish as publish_log

    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger, session.output.progress("publishing entries") as progress:
        # What this log did not sign is not shown to the world in its name.
        ledger.load_published()
        published = publish_log(ledger.store, directory, ledger.vkey, progress)
    checkpoint = published.checkpoint
    session.output.result(
        {
            "directory": str(directory),
            "origin": checkpoint.origin,
            "tree_size": checkpoint.size,
            "root": encode_base64(checkpoint.root),
            "files_written": published.files_written,
        },
        [
            ("directory", directory),
            ("origin", checkpoint.origin),
            ("tree size", f"{checkpoint.size:,}"),
            ("root", encode_base64(checkpoint.root)),
            ("files written", f"{published.files_written:,}"),
        ],
    )


@app.command()
def vkey(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Print the log's public key.

    Whoever checks the log must have it from the operator once, by a way that they trust: it is what makes a
    checkpoint this log's own.

    \b
    Examples:
      grantledger log vkey > log.vkey
      grantledger log vkey --json

    \b
    Exit status:
      0  printed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger:
        origin, key = ledger.origin, ledger.vkey
    if session.output.as_json:
        session.output.result({"origin": origin, "vkey": key}, [])
    else:
        session.output.text(key)


@app.command()
def checkpoint(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Print the last published checkpoint, byte for byte.

    It was opened under the log's own key first. Keep it: `grantledger verify --checkpoint` shows later that
    the log has only grown since.

    \b
    Examples:
      grantledger log checkpoint > 2018-09-10.checkpoint
      grantledger log checkpoint --json

    \b
    Exit status:
      0  printed
      2  what is published is not a checkpoint that this log signed
      3  nothing is sealed yet, or there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger:
        published = ledger.load_published()
    if published is None:
        raise UsageError("nothing is sealed yet: run `grantledger seal` first")
    if session.output.as_json:
        document = {
            "origin": published.checkpoint.origin,
            "tree_size": published.checkpoint.size,
            "root": encode_base64(published.checkpoint.root),
            "note": published.note.decode(),
        }
        session.output.result(document, [])
    else:
        session.output.raw(published.note)
