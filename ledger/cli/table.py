"""``grantledger table``: any selection of entries as a table (exports, section 5.5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import filters
from ledger.cli.session import ACTOR, AsJson, Db, Purpose, Quiet, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.exports.selecting import Selected

STANDARD_OUTPUT = Path("-")

Out = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is standard output.")
]


def table(
    ctx: typer.Context,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="csv, jsonl or parquet.")] = "csv",
    out: Out = STANDARD_OUTPUT,
    account: filters.Accounts = None,
    developer: filters.Developers = None,
    pair: filters.Pairs = None,
    incident: filters.Incident = None,
    kind: filters.Kinds = None,
    at_from: filters.AtFrom = None,
    at_to: filters.AtTo = None,
    recorded_from: filters.RecordedFrom = None,
    recorded_to: filters.RecordedTo = None,
    seq_from: filters.SeqFrom = None,
    seq_to: filters.SeqTo = None,
    purpose: Purpose = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write selected entries as CSV, JSON Lines or Parquet.

    A cell of the CSV that a spreadsheet could take for a formula begins with an apostrophe. JSON Lines are the
    entries' exact bytes. A table proves nothing: `grantledger export` makes what does. A look at an account's or a
    developer's entries is recorded.

    \b
    Examples:
      grantledger table --developer dev-acme --kind delivery.settled -o settled.csv
      grantledger table --format parquet -o all.parquet
      grantledger table --format jsonl --at-from 2018-01-01T00:00:00Z --at-to 2018-02-01T00:00:00Z

    \b
    Exit status:
      0  written, also where nothing was selected
      2  the database does not hold what was appended
      3  bad usage, nobody has such an id, it cannot be written, or no ledger
    """
    from ledger.exports.tables import FORMATS, table_parts
    from ledger.wiring.exports import make_views
    from ledger.wiring.filters import make_filter

    session = begin(ctx, db, as_json, quiet)
    if form not in FORMATS:
        raise UsageError(f"{form!r} is no format: write one of {', '.join(FORMATS)}")
    if out == STANDARD_OUTPUT and form == "parquet":
        raise UsageError("a Parquet file is written to a file: name it with --out")
    session.check_target(None if out == STANDARD_OUTPUT else out)
    with session.open_ledger() as ledger:
        wanted = make_filter(
            ledger,
            accounts=account,
            developers=developer,
            pairs=pair,
            incident=incident,
            kinds=kind,
            times=(at_from, at_to, recorded_from, recorded_to),
            seqs=(seq_from, seq_to),
        )
        selection = make_views(ledger).open(wanted, ACTOR, purpose)
        with session.output.progress("writing") as show:
            if out == STANDARD_OUTPUT:
                for lines in table_parts(selection.entries(show), form):
                    session.output.raw(lines)
                return
            count = _write_file(selection.entries(show), form, out)
    session.output.result(
        {"file": str(out), "format": form, "rows": count, "bytes": out.stat().st_size},
        [("rows", f"{count:,}"), ("bytes", f"{out.stat().st_size:,}"), ("written", out)],
    )


def _write_file(entries: Iterator[Selected], form: str, out: Path) -> int:
    """Write beside ``out`` and put it there when it is whole; the number of rows."""
    from ledger.exports.tables import Counted, table_parts, write_parquet

    beside = out.with_name(f".{out.name}.{os.getpid()}.new")
    counted = Counted(entries)
    try:
        with beside.open("wb") as opened:
            if form == "parquet":
                write_parquet(counted, opened)
            else:
                opened.writelines(table_parts(counted, form))
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    return counted.count
