"""``grantledger export``: parts of the log for a regulator, with proofs (exports, section 5.5)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli import export_opening, filters
from ledger.cli.export_session import actor_of, open_desk, text_or_file
from ledger.cli.output import Field, Output
from ledger.cli.service_session import time_of
from ledger.cli.session import AsJson, Db, Quiet, begin

if TYPE_CHECKING:
    from ledger.exports.desk import ExportDesk
    from ledger.ports.exports import Export

app = typer.Typer(rich_markup_mode=None)

Named = Annotated[str, typer.Argument(metavar="EXPORT", help="The export's id, as `export list` shows it.")]
By = Annotated[str, typer.Option("--by", metavar="ROLE:ID", help="Who does this, such as operator:maria.")]
Recipients = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="KEY", help="A recipient's x25519 key, or a file with it. Repeatable."),
]
Profile = Annotated[
    str, typer.Option("--open", metavar="WHAT", help="tags (nothing), identities, or all that is known.")
]


@app.callback()
def about() -> None:
    """Hand over a part of the log with its proofs, approved by two.

    \b
    Examples:
      grantledger export keygen recipient.key                     # the recipient, once
      grantledger export create --account 783214 --for "DPC" --case 2018-7 --basis "GDPR Art. 58" \\
          --by operator:maria --to x25519:8520f0...
      grantledger export approve x-0123456789abcdef --by operator:jonas
      grantledger export seal x-0123456789abcdef --by operator:maria
      grantledger export open x-0123456789abcdef.sealed --key recipient.key --out opened

    \b
    Exit status: that of the command below it.
    """


@app.command()
def create(
    ctx: typer.Context,
    requester: Annotated[str, typer.Option("--for", metavar="TEXT", help="Who asked for it.")],
    case: Annotated[str, typer.Option("--case", metavar="TEXT", help="Their reference.")],
    basis: Annotated[str, typer.Option("--basis", metavar="TEXT", help="The legal basis.")],
    by: By,
    to: Recipients = None,
    profile: Profile = "tags",
    name: Annotated[str | None, typer.Option("--id", metavar="ID", help="[default: drawn]")] = None,
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
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an export of what the options select, for a second person to approve.

    By account, developer or pair, everything recorded about them is in it, and the export proves that; further
    options narrow it, and then it proves how many there are. Without any the whole log is exported. The same
    command with the same --id again is the export that is there. An export by account, developer or pair is a look
    at its history, and recorded as such.

    \b
    Examples:
      grantledger export create --account 783214 --for "DPC" --case 2018-7 --basis "GDPR Art. 58" --by operator:maria
      grantledger export create --incident inc-1 --open identities --for "DPC" --case 2018-7 --basis "GDPR Art. 33" \\
          --by operator:maria --to dpc.key.pub --json

    \b
    Exit status:
      0  made
      2  the database does not hold what was sealed
      3  nothing is sealed yet, nobody has such an id, another export has this id, or no ledger
    """
    from ledger.exports.parts import Question
    from ledger.wiring.filters import make_filter

    session = begin(ctx, db, as_json, quiet)
    with open_desk(session) as (service, desk):
        wanted = make_filter(
            service.ledger,
            accounts=account,
            developers=developer,
            pairs=pair,
            incident=incident,
            kinds=kind,
            times=(at_from, at_to, recorded_from, recorded_to),
            seqs=(seq_from, seq_to),
        )
        keys = tuple(_recipient(text) for text in to or ())
        question = Question(requester, case, basis, wanted, actor_of(by), keys, profile, name)
        size = service.ledger.store.size()
        with session.output.progress("exporting") as show:
            made = desk.create(question, show)
        place = desk.bag_of(made.export)
    _remark_newer(session.output, size - made.tree_size)
    session.output.result({**_row(made), "bag": str(place)}, [*_fields(made), ("bag", place)])


@app.command()
def show(
    ctx: typer.Context, export: Named, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show what an export holds, for whom, and what became of it.

    \b
    Example:
      grantledger export show x-0123456789abcdef --json

    \b
    Exit status:
      0  shown
      3  there is no such export, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_desk(session) as (_, desk):
        row = desk.load(export)
        manifest = _manifest(desk, row)
    fields = _fields(row)
    if manifest:
        told = ("requester", "case", "legal_basis", "redaction", "proofs")
        fields += [(name.replace("_", " "), str(manifest[name])) for name in told]
        fields.append(
            ("files", "\n".join(f"{file['bytes']:>14,}  {file['path']}" for file in manifest["files"]))
        )
    session.output.result({**_row(row), "manifest_members": manifest}, fields)


@app.command()
def approve(
    ctx: typer.Context, export: Named, by: By, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Check an export whole and approve exactly it; by another person than who made it.

    \b
    Example:
      grantledger export approve x-0123456789abcdef --by operator:jonas

    \b
    Exit status:
      0  approved; the bag carries the log's signature
      2  the bag is not what was made: somebody edited it
      3  there is no such export, it was rejected, the same person made it, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_desk(session) as (_, desk), session.output.progress("checking") as show:
        row = desk.approve(export, actor_of(by), show)
    session.output.result(_row(row), _fields(row))


@app.command()
def reject(
    ctx: typer.Context, export: Named, by: By, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Reject an export and remove its files; by another person than who made it.

    \b
    Example:
      grantledger export reject x-0123456789abcdef --by operator:jonas

    \b
    Exit status:
      0  rejected
      3  there is no such export, it was approved already, the same person made it, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_desk(session) as (_, desk):
        row = desk.reject(export, actor_of(by))
    session.output.result(_row(row), _fields(row))


@app.command()
def seal(
    ctx: typer.Context, export: Named, by: By, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Encrypt an approved export for the recipients that it was made for.

    \b
    Example:
      grantledger export seal x-0123456789abcdef --by operator:maria

    \b
    Exit status:
      0  sealed
      2  the bag is not, to the byte, what was approved
      3  there is no such export, nobody has approved it, it names no recipient, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_desk(session) as (_, desk), session.output.progress("encrypting") as show:
        row = desk.seal(export, actor_of(by), show)
        path = desk.sealed_of(export)
    session.output.result({**_row(row), "file": str(path)}, [*_fields(row), ("file", path)])


@app.command("list")
def list_exports(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List exports by age.

    \b
    Example:
      grantledger export list

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_desk(session) as (_, desk):
        rows = list(desk.load_all())
    fields: list[Field] = [
        (
            row.export,
            f"{row.state}, {row.entries:,} entries, by {row.requested_by} at {time_of(row.created_at_ms)}",
        )
        for row in rows
    ]
    session.output.result({"exports": [_row(row) for row in rows]}, fields or [("exports", "none")])


@app.command()
def download(
    ctx: typer.Context,
    export: Named,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write the sealed file.")],
    by: By,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take the sealed file, which is recorded.

    \b
    Example:
      grantledger export download x-0123456789abcdef --out dpc.sealed --by regulator:dpc

    \b
    Exit status:
      0  written
      2  the file is not the one that was sealed
      3  there is no such export, it is not sealed, it cannot be written, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    session.check_target(out)
    with open_desk(session) as (_, desk):
        path = desk.download(export, actor_of(by))
        shutil.copyfile(path, out)
    session.output.result({"export": export, "file": str(out)}, [("export", export), ("written", out)])


app.command("open")(export_opening.open_sealed)
app.command()(export_opening.verify)
app.command()(export_opening.keygen)


def _remark_newer(output: Output, count: int) -> None:
    if count > 0:
        output.remark(
            f"{count:,} entries are newer than the checkpoint that this is made of, and not in it; to have them in one, run "
            "`grantledger seal` and make another"
        )


def _recipient(text: str) -> bytes:
    from ledger.vault.recipients import parse_recipient

    return parse_recipient(text_or_file(text))


def _manifest(desk: ExportDesk, row: Export) -> dict[str, Any] | None:
    from ledger.core.bag import MANIFEST
    from ledger.core.jcs import decode_file

    path = desk.bag_of(row.export) / MANIFEST
    return decode_file(path.read_bytes()) if path.is_file() else None


def _row(row: Export) -> dict[str, Any]:
    return {
        "export": row.export,
        "state": row.state,
        "manifest": row.manifest,
        "tree_size": row.tree_size,
        "entries": row.entries,
        "incident": row.incident,
        "requested_by": row.requested_by,
        "decided_by": row.decided_by,
        "created_at": time_of(row.created_at_ms),
        "decided_at": time_of(row.decided_at_ms),
        "sealed_at": time_of(row.sealed_at_ms),
        "file_sha256": row.file_sha256,
        "file_bytes": row.file_bytes,
    }


def _fields(row: Export) -> list[Field]:
    shown = {name: value for name, value in _row(row).items() if value not in (None, "-")}
    return [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
        for name, value in shown.items()
    ]
