"""``grantledger hold``: legal holds, under which nobody is erased (ledger format, section 1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.output import Field
from ledger.cli.service_session import open_service, time_of
from ledger.cli.session import AsJson, Db, Quiet, begin

if TYPE_CHECKING:
    from ledger.ports.privacy import LegalHold

app = typer.Typer(rich_markup_mode=None)

By = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Who you are: an id; the log says operator:NAME.")
]


@app.callback()
def about() -> None:
    """Keep accounts from being erased while the law asks for it.

    \b
    Examples:
      grantledger hold place --account 783214 --by ada
      grantledger hold place --incident inc-1 --until 2027-01-01T00:00:00Z --by ada
      grantledger hold lift h-0123456789ab --by ada

    \b
    Exit status: that of the command below it.
    """


@app.command()
def place(
    ctx: typer.Context,
    by: By,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ACCOUNT", help="The account by the platform's id, or by its tag."),
    ] = None,
    incident: Annotated[
        str | None,
        typer.Option("--incident", metavar="INCIDENT", help="Everybody whom this incident affects."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--id", metavar="HOLD", help="The hold's id. [default: drawn]")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="When it ends by itself, RFC 3339. [default: when lifted]"
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option("--for", metavar="TEXT", help="What it is for; only a commitment to it is logged."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Place a hold on an account, or on everybody whom an incident affects.

    Placed again with the same --id, a hold on an incident reaches those who were found since; a running service
    does that by itself. To hold for longer, place a second one: what is held is held until the last has ended.

    \b
    Examples:
      grantledger hold place --account 783214 --for "case 2026/17" --by ada
      grantledger hold place --incident inc-1 --id h-inc-1 --by ada

    \b
    Exit status:
      0  it stands
      3  no such account or incident, the id is another hold's, the account is erased, or no ledger
    """
    from ledger.core.timestamps import parse_rfc3339
    from ledger.wiring.proving import find_tag

    session = begin(ctx, db, as_json, quiet)
    until_ms = None if until is None else parse_rfc3339(until)
    with open_service(session) as service:
        tag = None if account is None else find_tag(service.ledger, account)
        placed = service.privacy.holds.place(
            placed_by=f"operator:{by}",
            account=tag,
            incident=incident,
            hold=name,
            until_ms=until_ms,
            words=words,
        )
        rows = {one.hold: (one, accounts) for one, accounts in service.privacy.holds.load_all()}
    shown = _row(*rows[placed.hold])
    session.output.result(shown, _fields(shown))


@app.command()
def lift(
    ctx: typer.Context,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id, as `hold list` shows it.")],
    by: By,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """End a hold. Requests for erasure that it stood in the way of can be approved from then on.

    \b
    Example:
      grantledger hold lift h-0123456789ab --by ada

    \b
    Exit status:
      0  lifted, now or before
      3  there is no such hold, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        service.privacy.holds.lift(hold, lifted_by=f"operator:{by}")
        rows = {one.hold: (one, accounts) for one, accounts in service.privacy.holds.load_all()}
    shown = _row(*rows[hold])
    session.output.result(shown, _fields(shown))


@app.command("list")
def list_holds(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List all holds by age, those that have ended too.

    \b
    Example:
      grantledger hold list --json

    \b
    Exit status:
      0  listed
      3  no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        now_ms = service.clock.now_ms()
        found = service.privacy.holds.load_all()
        rows = [
            _row(one, accounts) | {"stands": one.stands(now_ms), "for": service.privacy.holds.words_of(one)}
            for one, accounts in found
        ]
    fields: list[Field] = [
        (
            row["hold"],
            "  ".join(
                (
                    "stands" if row["stands"] else "ended",
                    f"on {row['account'] or row['incident']}",
                    f"{row['accounts']} accounts",
                    f"since {row['placed_at']} by {row['placed_by']}",
                )
            ),
        )
        for row in rows
    ]
    session.output.result({"holds": rows}, fields or [("holds", "none")])


def _row(hold: LegalHold, accounts: int) -> dict[str, Any]:
    return {
        "hold": hold.hold,
        "account": hold.account or None,
        "incident": hold.incident or None,
        "accounts": accounts,
        "placed_by": hold.placed_by,
        "placed_at": time_of(hold.placed_at_ms),
        "until": time_of(hold.until_ms),
        "lifted_by": hold.lifted_by,
        "lifted_at": time_of(hold.lifted_at_ms),
    }


def _fields(row: dict[str, Any]) -> list[Field]:
    return [(name.replace("_", " "), str(value)) for name, value in row.items() if value is not None]
