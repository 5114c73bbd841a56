"""``grantledger prove``: files that prove something to people outside (ledger format, section 1.4)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import Field
from ledger.cli.session import ACTOR, AsJson, Db, Purpose, Quiet, Session, begin
from ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from ledger.core.completeness import CompletenessBundle
    from ledger.transparency.proving import Page

app = typer.Typer(rich_markup_mode=None)

STANDARD_OUTPUT = Path("-")

Out = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write the proof; - is standard output.")
]
First = Annotated[
    int | None, typer.Option("--first", metavar="N", min=0, help="A page from place N on; 0 is the oldest.")
]
Count = Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="A page of N entries.")]
Last = Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="A page of the last N entries.")]
Openings = Annotated[
    bool,
    typer.Option(
        "--openings", help="Also show the platform's id behind the tag, for the account itself; see check-us."
    ),
]
Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account by the platform's id, or by its tag.")
]
Developer = Annotated[str, typer.Argument(metavar="DEVELOPER", help="The developer's id.")]


@app.callback()
def about() -> None:
    """Make a proof that others can check without this project.

    Each is checked before it is written. `grantledger check FILE` checks it again, and so does verify.py, one
    file of plain Python (`grantledger verify-script`), on a machine that has nothing of this.

    \b
    Examples:
      grantledger prove account 783214 -o bundle.json
      grantledger prove pair 783214 dev-acme -o nothing-went-there.json
      grantledger prove entry 17 -o entry.tlog-proof
      grantledger prove consistency last-month.checkpoint -o grown.json

    \b
    Exit status: that of the command below it.
    """


@app.command()
def entry(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="SEQ|UID", help="The entry's number, or its uid.")],
    out: Out,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prove that an entry stands in the log.

    The file is a tlog-proof, which other people's tools check, too; its extra line holds the entry's bytes.

    \b
    Examples:
      grantledger prove entry 17 -o entry.tlog-proof
      grantledger prove entry delivery.imported/d-1/1 -o -

    \b
    Exit status:
      0  written
      2  the entry is not the one that the checkpoint covers
      3  there is no such entry, no checkpoint covers it yet, or no ledger
    """
    from ledger.cli.show import find_entry
    from ledger.wiring.proving import encode_entry_proof

    session = begin(ctx, db, as_json, quiet)
    _check_out(session, out)
    with session.open_ledger() as ledger:
        row = find_entry(ledger, which)
        data = encode_entry_proof(ledger, row)
    _write(session, out, data, {"kind": "entry", "seq": row.seq}, [("entry", f"{row.seq:,}")])


@app.command()
def account(
    ctx: typer.Context,
    account: Account,
    out: Out,
    first: First = None,
    count: Count = None,
    last: Last = None,
    openings: Openings = False,
    purpose: Purpose = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prove that these are all entries about an account.

    Or a page of them; or, by a tag, that there is none. What is recorded after the last seal is not covered. The look is
    recorded first (access.viewed), as that of `grantledger history` is: the account sees who looked.

    \b
    Examples:
      grantledger prove account 783214 -o bundle.json
      grantledger prove account 783214 --last 50 -o page.json
      grantledger prove account a_85da1537e81e80c7c0d2cf2ef7c0e6ab -o -

    \b
    Exit status:
      0  written
      2  the database does not hold what was sealed
      3  nobody has this id, nothing is sealed yet, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    _prove_key(session, out, "acct", account, None, _page(first, count, last), purpose, openings)


@app.command()
def subject(
    ctx: typer.Context,
    account: Account,
    out: Out,
    first: First = None,
    count: Count = None,
    last: Last = None,
    purpose: Purpose = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prove that these are all deliveries with a person's data in them.

    Also those that another account had granted: whoever wrote to it is a person in its events. The look is recorded.

    \b
    Examples:
      grantledger prove subject 5550001 -o bundle.json

    \b
    Exit status: as for `prove account`.
    """
    session = begin(ctx, db, as_json, quiet)
    _prove_key(session, out, "subj", account, None, _page(first, count, last), purpose)


@app.command()
def developer(
    ctx: typer.Context,
    developer: Developer,
    out: Out,
    first: First = None,
    count: Count = None,
    last: Last = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prove that these are all entries about a developer, or that there is none.

    \b
    Examples:
      grantledger prove developer dev-acme --first 0 --count 1000 -o page.json

    \b
    Exit status: as for `prove account`.
    """
    session = begin(ctx, db, as_json, quiet)
    _prove_key(session, out, "dev", None, developer, _page(first, count, last))


@app.command()
def pair(
    ctx: typer.Context,
    account: Account,
    developer: Developer,
    out: Out,
    first: First = None,
    count: Count = None,
    last: Last = None,
    purpose: Purpose = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prove what of an account ever had to do with a developer: all of it, or that nothing had.

    The look at the account is recorded.

    \b
    Examples:
      grantledger prove pair 783214 dev-acme -o pair.json

    \b
    Exit status: as for `prove account`.
    """
    session = begin(ctx, db, as_json, quiet)
    _prove_key(session, out, "pair", account, developer, _page(first, count, last), purpose)


@app.command()
def consistency(
    ctx: typer.Context,
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A checkpoint kept from earlier (a file), or a tree size.")
    ],
    out: Out,
    new: Annotated[
        Path | None, typer.Argument(metavar="NEW", help="A later checkpoint. [default: the published one]")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Prove that the log has only grown since an earlier state.

    With a checkpoint file the proof holds both signed states. With a size it states the root that the log had
    then: compare it with one that you know.

    \b
    Examples:
      grantledger prove consistency last-month.checkpoint -o grown.json
      grantledger prove consistency 20 -o grown.json

    \b
    Exit status:
      0  written
      2  the log does not continue that state: keep that checkpoint, it is the evidence
      3  no such state, nothing is sealed yet, or no ledger
    """
    from ledger.wiring.proving import make_proving

    session = begin(ctx, db, as_json, quiet)
    _check_out(session, out)
    earlier = _read_state(old)
    with session.open_ledger() as ledger:
        proving = make_proving(ledger)
        try:
            bundle = proving.prover.prove_growth(earlier, None if new is None else new.read_bytes())
        except FormatError as error:
            raise UsageError(f"that is no checkpoint: {error}") from error
    _write(session, out, proving.encode(bundle), {"kind": "consistency"}, [("since", old)])


def _prove_key(
    session: Session,
    out: Path,
    family: str,
    account: str | None,
    developer: str | None,
    page: Page | None,
    purpose: str | None = None,
    openings: bool = False,
) -> None:
    from ledger.wiring.proving import find_tag, make_proving, opener_of, record_look

    _check_out(session, out)
    with session.open_ledger() as ledger:
        names = [family]
        tag = None if account is None else find_tag(ledger, account)
        names += [name for name in (tag, developer) if name is not None]
        proving = make_proving(ledger)
        try:
            if openings and tag is not None:
                bundle = proving.prover.prove_key(":".join(names), page, opener_of(ledger, tag))
            else:
                bundle = proving.prover.prove_key(":".join(names), page)
        except FormatError as error:
            raise UsageError(str(error)) from error
        data = proving.encode(bundle)
        # Before anything is handed out. It is newer than what is proven, as the look of `grantledger history` is.
        is_seen = tag is not None and record_look(ledger, tag, actor=ACTOR, purpose=purpose)
    if is_seen:
        session.output.remark("the look is recorded (access.viewed)")
    if openings and not bundle.openings:
        session.output.remark("nothing is opened: no registration is shown, or the vault has lost the key")
    _write(session, out, data, _document(bundle), _fields(bundle))


def _page(first: int | None, count: int | None, last: int | None) -> Page | None:
    from ledger.transparency.proving import Page

    if last is not None and (first is not None or count is not None):
        raise UsageError("--last stands alone: a page is either counted from its first entry or from the end")
    if first is None and count is None and last is None:
        return None
    return Page(first or 0, count, last)


def _document(bundle: CompletenessBundle) -> dict[str, object]:
    row = bundle.row
    return {
        "kind": "completeness",
        "key": bundle.key,
        "count": 0 if row is None else row.count,
        "first": 0 if bundle.page is None else bundle.page.first,
        "shown": len(bundle.entries),
        "tree_size": bundle.index_sealed.index + 1,
    }


def _fields(bundle: CompletenessBundle) -> list[Field]:
    count = 0 if bundle.row is None else bundle.row.count
    shown = (
        f"{len(bundle.entries):,} of {count:,} recorded"
        if count
        else "none: that nothing is recorded is proven"
    )
    return [
        ("about", bundle.key),
        ("entries", shown),
        ("as of", f"tree size {bundle.index_sealed.index + 1:,}"),
    ]


def _read_state(old: str) -> int | bytes:
    path = Path(old)
    if path.exists():
        return path.read_bytes()
    if old.isascii() and old.isdecimal() and len(old) < 17:
        return int(old)
    raise UsageError(f"{old} is neither a file nor a tree size")


def _check_out(session: Session, out: Path) -> None:
    if out != STANDARD_OUTPUT:
        session.check_target(out)


def _write(
    session: Session, out: Path, data: bytes, document: dict[str, object], fields: list[Field]
) -> None:
    if out == STANDARD_OUTPUT:
        session.output.raw(data)
        return
    out.write_bytes(data)
    size: list[Field] = [("bytes", f"{len(data):,}"), ("written", out)]
    session.output.result({"file": str(out), "bytes": len(data), **document}, [*fields, *size])
