"""``grantledger table``: any selection of entries as a table (exports, section 5.5)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import filters
from ledger.cli.session import ACTOR, AsJson, Db, Purpose, Quiet, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.core.export_filter import Filter
    from ledger.exports.selecting import Selection
    from ledger.wiring import Ledger

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
    from ledger.exports.tables import FORMATS

    session = begin(ctx, db, as_json, quiet)
    if form not in FORMATS:
        raise UsageError(f"{form!r} is no format: write one of {', '.join(FORMATS)}")
    if out == STANDARD_OUTPUT and form == "parquet":
        raise UsageError("a Parquet file is written to a file: name it with --out")
    session.check_target(None if out == STANDARD_OUTPUT else out)
    with session.open_ledger() as ledger:
        wanted = filters.make_filter(
            ledger,
            accounts=account,
            developers=developer,
            pairs=pair,
            incident=incident,
            kinds=kind,
            times=(at_from, at_to, recorded_from, recorded_to),
            seqs=(seq_from, seq_to),
        )
        _record_look(ledger, wanted, purpose)
        selection = _select(ledger, wanted)
        if out == STANDARD_OUTPUT:
            _write_lines(selection, form, sys.stdout.buffer.write)
            sys.stdout.buffer.flush()
            return
        count = _write_file(selection, form, out)
    session.output.result(
        {"file": str(out), "format": form, "rows": count, "bytes": out.stat().st_size},
        [("rows", f"{count:,}"), ("bytes", f"{out.stat().st_size:,}"), ("written", out)],
    )


def _select(ledger: Ledger, wanted: Filter) -> Selection:
    from ledger.core.export_filter import keys_of
    from ledger.exports.selecting import Selection

    size = ledger.store.size()
    if not keys_of(wanted) or ledger.store.load_checkpoint() is None:
        return Selection(ledger.store, wanted, size, None)
    with ledger.proofs.snapshot() as snapshot:
        return Selection(ledger.store, wanted, size, snapshot)


def _record_look(ledger: Ledger, wanted: Filter, purpose: str | None) -> None:
    """Each account and developer whose entries are looked at is one entry."""
    from ledger.core.canonical import JsonValue
    from ledger.gateway.drafts import append_whole, live_draft

    looked = {("account", tag) for tag in wanted.accounts or ()}
    looked |= {("developer", developer) for developer in wanted.developers or ()}
    looked |= {("account", pair.split(":", 1)[0]) for pair in wanted.pairs or ()}
    drafts = []
    for name, value in sorted(looked):
        stated: dict[str, JsonValue] = {name: value}
        if purpose is not None:
            stated["purpose"] = purpose
        uid = f"access.viewed/{ledger.randomness.token(16).hex()}"
        drafts.append(live_draft("access.viewed", ACTOR, stated, uid=uid))
    if drafts:
        append_whole(ledger.sequencer, drafts)


def _write_lines(selection: Selection, form: str, write: Callable[[bytes], object]) -> int:
    from ledger.exports.tables import csv_lines, json_lines

    count = -1 if form == "csv" else 0
    for line in (csv_lines if form == "csv" else json_lines)(selection.entries()):
        write(line)
        count += 1
    return count


def _write_file(selection: Selection, form: str, out: Path) -> int:
    """Write beside ``out`` and put it there when it is whole; the number of rows."""
    from ledger.exports.tables import write_parquet

    beside = out.with_name(f".{out.name}.new")
    try:
        with beside.open("wb") as opened:
            if form == "parquet":
                count = write_parquet(selection.entries(), opened)
            else:
                count = _write_lines(selection, form, opened.write)
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    return count
