"""``grantledger erase``: destroying who is behind a tag, asked for by one person and approved by another (section 1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ledger.cli.output import Field
from ledger.cli.service_session import open_service, time_of
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from ledger.ports.privacy import Erasure
    from ledger.privacy.erasures import Plan
    from ledger.wiring.service import Service


class _PlanFirst(TyperGroup):
    """``erase ACCOUNT`` is ``erase plan ACCOUNT``: what is not a command is an account, and the dry run comes first."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that ``args`` name."""
        known = self.commands
        return super().resolve_command(ctx, args if args and args[0] in known else ["plan", *args])


app = typer.Typer(rich_markup_mode=None, cls=_PlanFirst)

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account by the platform's id, or by its tag.")
]
Named = Annotated[
    str,
    typer.Argument(metavar="ERASURE", help="The request's id, as `erase request` and `erase list` show it."),
]
By = Annotated[
    str,
    typer.Option(
        "--by", metavar="NAME", help="Who you are: an id; the log says operator:NAME. The second is another."
    ),
]

STAYS = (
    "the log's entries: they hold the tag, and nothing says any more who is behind it",
    "others' data: bodies of other accounts' events, under those accounts' keys, and proofs and exports made before",
    "what was delivered: a developer keeps it until it deletes it",
    "sealed exports and copies that were handed out: their recipients alone can read them",
    "backups of the database: a restore erases again, before it serves (`grantledger restore`)",
)


@app.callback()
def about() -> None:
    """Destroy who is behind a tag, and all that says something of them.

    First the dry run, which is what `erase ACCOUNT` does; then a request; then another person's approval, which
    cannot be undone. The log keeps its entries, and verifies as before.

    \b
    Examples:
      grantledger erase 783214
      grantledger erase request 783214 --basis request --by ada
      grantledger erase approve er-0123456789abcdef --by grace

    \b
    Exit status: that of the command below it.
    """


@app.command()
def plan(
    ctx: typer.Context, account: Account, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show what erasing an account would destroy, what stays, and what stands in the way. Changes nothing.

    `grantledger erase ACCOUNT` is the same.

    \b
    Example:
      grantledger erase plan 783214 --json

    \b
    Exit status:
      0  shown; nothing was changed
      3  nobody has this id or tag, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        tag = _tag_of(service, account)
        found = service.privacy.erasures.plan(tag)
        if not found.is_known and found.erased_seq is None:
            raise UsageError(f"nobody here has the tag {tag}")
    session.output.result(_plan_document(found), _plan_fields(found))
    if found.held is None and found.erased_seq is None and found.open_request is None:
        session.output.remark(f"to ask for it: grantledger erase request {tag} --basis request --by NAME")


@app.command()
def request(
    ctx: typer.Context,
    account: Account,
    basis: Annotated[str, typer.Option("--basis", metavar="BASIS", help="Why: request or retention.")],
    by: By,
    policy: Annotated[
        str | None,
        typer.Option("--policy", metavar="ID", help="The retention rule, with --basis retention."),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(
            "--words", metavar="TEXT", help="What the person wrote; only a commitment to it is logged."
        ),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Keep that somebody asks to erase an account. Nothing is destroyed before another person approves.

    A legal hold keeps an account from being erased, not from being asked about. Where a request for the account
    is open already, that one is shown.

    \b
    Examples:
      grantledger erase request 783214 --basis request --by ada --words "please delete me"
      grantledger erase request 783214 --basis retention --policy retention.deleted_accounts --by ada

    \b
    Exit status:
      0  kept; `erase approve` is next
      3  nobody has this id or tag, it is erased already, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    if basis not in ("request", "retention"):
        raise UsageError(f"{basis!r} is no basis: write request or retention")
    with open_service(session) as service:
        tag = _tag_of(service, account)
        subject = service.vault.subjects_behind([tag]).get(tag)
        if subject is None:
            raise UsageError(f"nobody here has the tag {tag}, or it is erased already")
        kept = service.privacy.erasures.request(
            subject,
            basis="request" if basis == "request" else "retention",
            requested_by=f"operator:{by}",
            policy=policy,
            words=words,
        )
        held = service.privacy.erasures.held(tag)
    shown = _row(kept) | ({"held": str(held)} if held is not None else {})
    session.output.result(shown, _fields(shown))
    if held is None:
        session.output.remark(f"another person: grantledger erase approve {kept.erasure} --by NAME")


@app.command()
def approve(
    ctx: typer.Context, erasure: Named, by: By, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Approve a request and carry it out. This cannot be undone.

    Grants end, then the log says that the account is deleted and erased, then who is behind the tag, its key, and
    every row about it are destroyed and the database's files rewritten. On SQLite others wait to write meanwhile.
    Interrupted, the same command goes on; so does a running service by itself.

    \b
    Example:
      grantledger erase approve er-0123456789abcdef --by grace

    \b
    Exit status:
      0  erased; what is left to do, if anything, is shown
      3  a legal hold stands (it is named), the same person asked for it, no such request, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        done = service.privacy.erasures.approve(erasure, approved_by=f"operator:{by}")
        try:
            # The record outside the database then covers the entry, so that an older copy put back is noticed.
            service.ledger.sealer.seal()
        except LedgerError as error:
            session.output.warning(f"erased, and not sealed yet: {error}; run `grantledger seal`")
    document: dict[str, Any] = {
        "erasure": done.erasure,
        "account": done.account,
        "entry": done.seq,
        "state": done.state,
        "destroyed": {what: rows for what, rows in done.destroyed.items() if rows},
        "left": done.left,
    }
    session.output.result(
        document,
        [
            ("erased", done.account),
            ("entry", f"{done.seq:,}"),
            ("destroyed", "who is behind the tag, and its key\n" + _counts(done.destroyed)),
            ("files", done.left or "rewritten: nothing of it is left in the database's own files"),
        ],
    )
    if done.left:
        session.output.warning(done.left)


@app.command()
def withdraw(
    ctx: typer.Context, erasure: Named, by: By, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Take a request back, as long as nobody has approved it.

    \b
    Example:
      grantledger erase withdraw er-0123456789abcdef --by ada

    \b
    Exit status:
      0  withdrawn
      3  no such request, or it is not open any more, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        shown = _row(service.privacy.erasures.withdraw(erasure, withdrawn_by=f"operator:{by}"))
    session.output.result(shown, _fields(shown))


@app.command()
def show(
    ctx: typer.Context, erasure: Named, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show a request with what the person wrote, for whoever decides about it.

    The words are sealed under the person's key, and gone once the request is withdrawn or carried out.

    \b
    Example:
      grantledger erase show er-0123456789abcdef

    \b
    Exit status:
      0  shown
      3  no such request, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        erasures = service.privacy.erasures
        found = erasures.load(erasure)
        subject = service.vault.subjects_behind([found.account]).get(found.account)
        words = None if subject is None else erasures.words_of(subject, found)
        held = erasures.held(found.account)
    document = _row(found) | {
        "words": words,
        "holds": [] if held is None else [one.hold for one in held.holds],
    }
    fields = [*_fields(_row(found)), ("words", words or "none"), ("in the way", str(held or "nothing"))]
    session.output.result(document, fields)


@app.command("list")
def list_erasures(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List requests that wait for a second person, and erasures that are under way.

    \b
    Example:
      grantledger erase list --all --json

    \b
    Exit status:
      0  listed
      3  no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        over = ("withdrawn", "done") if every else ()
        found = service.privacy.erasures.load_all(("requested", "erasing", "erased", "clean", *over))
    rows = [_row(one) for one in found]
    fields: list[Field] = [
        (row["erasure"], f"{row['state']}  {row['account']}  {row['basis']}  by {row['requested_by']}")
        for row in rows
    ]
    session.output.result({"erasures": rows}, fields or [("erasures", "none")])


@app.command()
def clean(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Carry on with every erasure that was approved, and rewrite the database's files.

    A running service does it by itself, except where it may not: on PostgreSQL only the tables' owner can rewrite
    them, so run this as the owner now and then.

    \b
    Example:
      grantledger erase clean --db postgresql://owner@db.example/ledger

    \b
    Exit status:
      0  nothing is left to do now
      3  something is left (it is named), or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        replayed = service.privacy.destroyer.replay()
        steps = service.privacy.destroyer.run_once()
        left = service.privacy.destroyer.clean()
    if left:
        raise UsageError(left)
    session.output.result(
        {"steps": steps, "replayed": replayed}, [("steps", f"{steps:,}"), ("erased again", f"{replayed:,}")]
    )


def _tag_of(service: Service, account: str) -> str:
    from ledger.wiring.proving import find_tag

    return find_tag(service.ledger, account)


def _row(one: Erasure) -> dict[str, Any]:
    return {
        "erasure": one.erasure,
        "account": one.account,
        "state": one.state,
        "basis": one.basis,
        "policy": one.policy,
        "request": one.request,
        "requested_by": one.requested_by,
        "requested_at": time_of(one.requested_at_ms),
        "decided_by": one.decided_by,
        "decided_at": time_of(one.decided_at_ms),
    }


def _fields(row: Mapping[str, Any]) -> list[Field]:
    return [(name.replace("_", " "), str(value)) for name, value in row.items() if value is not None]


def _plan_document(found: Plan) -> dict[str, Any]:
    return {
        "account": found.account,
        "is_known": found.is_known,
        "is_deleted": found.is_deleted,
        "erased_by_entry": found.erased_seq,
        "destroyed": dict(found.destroyed),
        "grants_ended": [
            {"grant": one.grant, "app": one.app, "developer": one.developer, "scopes": list(one.scopes)}
            for one in found.grants
        ],
        "stays": list(STAYS),
        "holds": [] if found.held is None else [one.hold for one in found.held.holds],
        "request": None if found.open_request is None else found.open_request.erasure,
    }


def _plan_fields(found: Plan) -> list[Field]:
    if found.erased_seq is not None:
        gone = "its key and who was behind it are gone" if not found.is_known else "destruction is under way"
        return [("account", found.account), ("erased", f"by entry {found.erased_seq:,}; {gone}")]
    ends = [f"{one.grant}: {one.app} of {one.developer} ({', '.join(one.scopes)})" for one in found.grants]
    opened = found.open_request
    return [
        ("account", f"{found.account}{', deleted' if found.is_deleted else ''}"),
        ("in the way", "nothing" if found.held is None else str(found.held)),
        ("ends first", "\n".join(ends) or "no grant"),
        ("destroys", "who is behind the tag, and its key\n" + _counts(found.destroyed)),
        ("stays", "\n".join(STAYS)),
        ("asked for", "by nobody" if opened is None else f"{opened.erasure}, by {opened.requested_by}"),
    ]


def _counts(rows: Mapping[str, int]) -> str:
    lines: Sequence[str] = [f"{count:,} {what}" for what, count in rows.items() if count]
    return "\n".join(lines) or "no row besides"
