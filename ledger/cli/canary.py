"""``grantledger canary``: made-up accounts, and where their data turns up (ledger format, section 1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.output import Field
from ledger.cli.service_session import open_service, time_of
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.ports.canaries import Canary
    from ledger.wiring.service import Service

app = typer.Typer(rich_markup_mode=None)

Named = Annotated[
    str, typer.Argument(metavar="CANARY", help="The canary's id, its marker, or the link that was found.")
]


@app.callback()
def about() -> None:
    """Plant made-up accounts, and report where their data turns up.

    \b
    Examples:
      grantledger canary plant 990000000000000001 --app app-x --later
      grantledger canary report https://api.example/c/6d61726b... --seen-by dev-other

    \b
    Exit status: that of the command below it.
    """


@app.command()
def plant(
    ctx: typer.Context,
    account: Annotated[
        str,
        typer.Argument(metavar="ACCOUNT", help="The platform's id of a made-up account that nobody uses."),
    ],
    to: Annotated[str, typer.Option("--app", metavar="APP", help="The app that is to have its data.")],
    environment: Annotated[
        str | None, typer.Option("--environment", metavar="NAME", help="[default: the app's first]")
    ] = None,
    later: Annotated[bool, typer.Option("--later", help="Only commit to it now.")] = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an account a canary of one developer.

    The log says that a canary is planted, and not which account it is. With --later the account is neither
    registered nor granted yet: plant many like that and release them one by one, so that the order of entries
    does not give them away.

    \b
    Examples:
      grantledger canary plant 990000000000000001 --app app-x
      grantledger canary plant 990000000000000002 --app app-x --later --json

    \b
    Exit status:
      0  planted
      3  the account is known already, the app is unknown or has no webhook, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        canary = service.canaries.plant(account, to, environment)
        if not later:
            _release(service, canary)
        shown = _row(service, service.canaries.find(canary.canary) or canary)
    session.output.result(shown, _fields(shown))


@app.command()
def release(
    ctx: typer.Context, canary: Named, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Register and grant the account of a canary that was planted with --later, and hand in an event of it.

    Of one that is released already another event is handed in.

    \b
    Example:
      grantledger canary release c-0123456789abcdef

    \b
    Exit status:
      0  released
      3  there is no such canary, its app has no webhook, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        _release(service, _find(service, canary))
        shown = _row(service, _find(service, canary))
    session.output.result(shown, _fields(shown))


@app.command("list")
def list_canaries(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List canaries by age, with their links and how often these were followed.

    A followed link is a lead and no proof: the developer that the canary is for may have followed it.

    \b
    Example:
      grantledger canary list --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        rows = [_row(service, canary) for canary in service.canaries.load_all()]
    fields: list[Field] = [
        (row["canary"], f"{row['developer']}  released {row['released_at']}  followed {row['fetches']} times")
        for row in rows
    ]
    session.output.result({"canaries": rows}, fields or [("canaries", "none")])


@app.command()
def report(
    ctx: typer.Context,
    canary: Named,
    seen_by: Annotated[
        str | None, typer.Option("--seen-by", metavar="DEVELOPER", help="Who had it. [default: nobody knows]")
    ] = None,
    evidence: Annotated[
        str | None, typer.Option("--evidence", metavar="TEXT", help="Where and how; kept as a commitment.")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Record that a canary turned up, which opens its commitment in the log.

    Anywhere but at its own developer that is CANARY_LEAKED. The canary is known from then on, and of no more use.

    \b
    Examples:
      grantledger canary report https://api.example/c/6d61726b... --seen-by dev-other
      grantledger canary report c-0123456789abcdef --evidence "in a dump that was offered to us"

    \b
    Exit status:
      0  recorded
      3  this is no canary, or no ledger
    """
    from ledger.gateway.canaries import OPERATOR, Sighting

    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        found = _find(service, canary)
        made = service.canaries.see(found, Sighting("report", seen_by, evidence), OPERATOR)
    shown: dict[str, Any] = {
        "canary": found.canary,
        "developer": found.developer,
        "seen_by": seen_by,
        "seq": made.seq,
        "recorded": "now" if made.created else "before",
    }
    session.output.result(shown, [(name, str(value)) for name, value in shown.items()])


def _find(service: Service, named: str) -> Canary:
    found = service.canaries.find(named)
    if found is None:
        raise UsageError(f"{named!r} is no canary; see `grantledger canary list`")
    return found


def _release(service: Service, canary: Canary) -> None:
    service.canaries.release(canary)
    service.canaries.feed(canary, service.settings.external_urls[0])


def _row(service: Service, canary: Canary) -> dict[str, Any]:
    return {
        "canary": canary.canary,
        "developer": canary.developer,
        "app": canary.app,
        "planted_at": time_of(canary.created_at_ms),
        "released_at": time_of(canary.released_at_ms),
        "fetches": canary.fetches,
        "link": f"{service.settings.external_urls[0]}/c/{service.canaries.open(canary).marker}",
    }


def _fields(row: dict[str, Any]) -> list[Field]:
    return [(name.replace("_", " "), str(value)) for name, value in row.items()]
