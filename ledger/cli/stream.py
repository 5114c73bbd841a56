"""``grantledger stream``: the log as events for a SIEM, from a cursor on (exports, section 5.5)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.exits import PIPE_CLOSED
from ledger.cli.output import Output
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.cli.stream_output import mend_file, wait_until_taken
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.exports.streaming import CursorFile, EventStream

POLL_SECONDS = 0.5


def stream(
    ctx: typer.Context,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="ocsf or cloudevents.")] = "ocsf",
    start: Annotated[
        int | None,
        typer.Option(
            "--from", metavar="SEQ", min=0, help="Begin at this entry. [default: the cursor, else 0]"
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the log grows.")] = False,
    cursor: Annotated[
        Path | None,
        typer.Option("--cursor", metavar="FILE", help="Keep in this file what was written, and go on there."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write each entry as an event, a line of JSON, in order.

    With --cursor the next run goes on where this one ended, however it ended: some events may come twice, with the
    same id, and none is left out. The cursor moves when the lines are taken: synced where standard output is a file,
    read where it is a pipe. A line that a killed run left half written in a file is cut off and written again.

    \b
    Examples:
      grantledger stream --format ocsf --from 0 > events.jsonl
      grantledger stream --format ocsf --cursor siem.cursor >> events.jsonl
      grantledger stream --format cloudevents --cursor siem.cursor --follow | forwarder

    \b
    Exit status:
      0  everything up to now is written
      2  the database does not hold what was appended
      3  bad usage, the cursor is of another log or beyond this one's end, or no ledger
      130  interrupted, as --follow ends; the cursor stands behind what was written
      141  whoever read the output has gone
    """
    from ledger.exports.streaming import CursorFile, EventStream

    session = begin(ctx, db, as_json, quiet)
    session.check_target(cursor)
    with session.open_ledger() as ledger:
        kept = None if cursor is None else CursorFile(cursor, ledger.origin)
        known = None if kept is None else kept.load()
        if start is not None and known is not None and start != known:
            raise UsageError(f"the cursor stands at entry {known}: leave --from out, or name another cursor")
        events = EventStream(ledger.store, ledger.origin, form)
        following = known if known is not None else start or 0
        mend_file()
        while True:
            following = _write(events, following, kept)
            if not follow:
                return
            time.sleep(POLL_SECONDS)


def _write(events: EventStream, start: int, kept: CursorFile | None) -> int:
    """Write what there is from ``start`` on; the number of the next entry."""
    following = start
    for batch in events.batches(start):
        Output().raw(batch.lines)
        if kept is not None and not wait_until_taken():
            raise typer.Exit(PIPE_CLOSED)
        following = batch.next_seq
        # Dying before this line repeats the batch, dying behind it does not.
        if kept is not None:
            kept.save(following)
    return following
