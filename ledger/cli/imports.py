"""``grantledger import``: bring history in from files (ledger format, section 1.6)."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.exits import UNUSABLE
from ledger.cli.output import Field, Output
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import StoreError, UsageError

if TYPE_CHECKING:
    from ledger.ingest.importer import ImportReport, Progress
    from ledger.ingest.sources import Reject, Source
    from ledger.wiring import Ledger

STANDARD_INPUT_SHOWN = "standard input"
REJECTS_SHOWN_MAX = 20
REJECTS_IN_JSON_MAX = 1_000

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="JSON Lines (or in gzip), Parquet, or - for standard input."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Take a file in whole, or nothing of it.")]
Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="FILE", help="Write every rejected line's number and reason there."),
]


@dataclass(slots=True)
class Tally:
    """What became of all files of one run; ``rejects`` holds the first ones for the JSON document."""

    files: list[tuple[str, ImportReport]] = field(default_factory=list)
    rejects: list[dict[str, object]] = field(default_factory=list)
    rejected: int = 0

    def total(self, name: str) -> int:
        """The sum of one count of the reports."""
        return sum(int(getattr(report, name)) for _, report in self.files)


def import_records(
    ctx: typer.Context,
    files: Files,
    strict: Strict = False,
    rejects: Rejects = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import records of developers, apps, grants and deliveries.

    One JSON object a line, or one a row; what a file is, its first bytes tell. Importing a file again changes
    nothing, so after an interruption the same command goes on. A record that is malformed, of an unknown kind
    or in conflict is rejected with its line number and reason, and the rest goes in. With --strict nothing of
    a file goes in when a single record of it is rejected, nor anything of the files after it.

    \b
    Examples:
      grantledger import 2017.jsonl.gz 2018.parquet
      zcat 2017-*.gz | grantledger import - --strict
      grantledger import history.jsonl --rejects rejected.jsonl

    \b
    Exit status:
      0  every record is in the ledger
      2  the database contradicts itself; nothing is appended to it
      3  records were rejected, a file cannot be read, or the machine failed
    """
    session = begin(ctx, db, as_json, quiet)
    session.check_target(rejects)
    tally = Tally()
    with ExitStack() as stack:
        ledger = stack.enter_context(session.open_ledger())
        sources = _open_sources(files, strict, stack)
        write_reject = stack.enter_context(_reject_writer(rejects, files))
        for name, source in sources:
            report = _import_one(ledger, name, source, strict, session.output, tally, write_reject)
            tally.files.append((name, report))
            if strict and report.rejected:
                break
    session.output.result(_document(tally, strict), _fields(tally))
    if tally.rejected:
        _explain_rejects(session.output, tally, rejects)
        raise typer.Exit(UNUSABLE)


def _open_sources(files: Sequence[str], strict: bool, stack: ExitStack) -> list[tuple[str, Source]]:
    """All sources with their names for people, so that a wrong one is told before anything is imported."""
    from ledger.ingest.sources import STANDARD_INPUT, open_source

    if files.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once: name it once")
    spool = None
    if strict:
        # All or nothing takes two passes, and what is no regular file can be read once.
        spool = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grantledger-")))
    return [
        (
            STANDARD_INPUT_SHOWN if name == STANDARD_INPUT else name,
            open_source(name, sys.stdin.buffer, spool_directory=spool),
        )
        for name in files
    ]


@contextmanager
def _reject_writer(path: Path | None, files: Sequence[str]) -> Iterator[Callable[[dict[str, object]], None]]:
    """What writes a reject as a line of JSON to ``path``, where one is wanted."""
    if path is None:
        yield lambda _reject: None
        return
    if path.exists() and any(Path(name).exists() and path.samefile(name) for name in files):
        raise UsageError(f"{path} is one of the files to import: name another file for the rejects")
    try:
        with path.open("w", encoding="utf-8") as file:
            yield lambda reject: _write_line(file.write, reject)
    except OSError as error:
        raise StoreError(f"the rejects cannot be written to {path}: {error.strerror}") from error


def _write_line(write: Callable[[str], object], reject: dict[str, object]) -> None:
    write(json.dumps(reject, separators=(",", ":")) + "\n")


def _import_one(
    ledger: Ledger,
    name: str,
    source: Source,
    strict: bool,
    output: Output,
    tally: Tally,
    write_reject: Callable[[dict[str, object]], None],
) -> ImportReport:
    def keep(reject: Reject) -> None:
        told: dict[str, object] = {"file": name, "line": reject.line, "reason": reject.reason}
        write_reject(told)
        tally.rejected += 1
        if len(tally.rejects) < REJECTS_IN_JSON_MAX:
            tally.rejects.append(told)

    with output.progress(name) as show:

        def tell(progress: Progress) -> None:
            rejected = f", {progress.rejected:,} rejected" if progress.rejected else ""
            note = f"{progress.phase}: {progress.records:,} records{rejected}"
            show(progress.bytes_done, progress.bytes_total or 0, note)

        try:
            return ledger.import_from(source, strict=strict, on_progress=tell, on_reject=keep)
        except StoreError as error:
            raise StoreError(
                f"{error}; what is in the ledger stays, and the same command goes on from there"
            ) from error


def _document(tally: Tally, strict: bool) -> dict[str, object]:
    return {
        "records": tally.total("records"),
        "created": tally.total("created"),
        "duplicates": tally.total("duplicates"),
        "rejected": tally.rejected,
        "accounts_registered": tally.total("accounts_registered"),
        "strict": strict,
        "files": [
            {
                "file": name,
                "records": report.records,
                "created": report.created,
                "duplicates": report.duplicates,
                "rejected": report.rejected,
                "appended": report.appended,
            }
            for name, report in tally.files
        ],
        "rejects": tally.rejects,
    }


def _fields(tally: Tally) -> list[Field]:
    return [
        ("records", f"{tally.total('records'):,}"),
        ("created", f"{tally.total('created'):,}"),
        ("there before", f"{tally.total('duplicates'):,}"),
        ("rejected", f"{tally.rejected:,}"),
        ("people registered", f"{tally.total('accounts_registered'):,}"),
    ]


def _explain_rejects(output: Output, tally: Tally, rejects: Path | None) -> None:
    for reject in tally.rejects[:REJECTS_SHOWN_MAX]:
        output.warning(f"{reject['file']}:{reject['line']}: {reject['reason']}")
    more = tally.rejected - REJECTS_SHOWN_MAX
    if rejects is not None:
        output.warning(f"all rejected lines are in {rejects}")
    elif more > 0:
        output.warning(f"and {more:,} more; --rejects FILE keeps them all")
    # Not by what was asked for: a strict import can meet what somebody else appended after its rehearsal.
    kept = "everything else went in" if tally.files[-1][1].appended else "nothing of that file went in"
    output.error(f"{tally.rejected:,} rejected, {kept}; correct them and import the file again")
