"""``grantledger app``: developers' apps, with the credentials that their code uses (delivery protocol, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import Field, Output
from ledger.cli.service_session import issuing_of, open_service, remark_once
from ledger.cli.session import AsJson, Db, Quiet, begin

if TYPE_CHECKING:
    from ledger.gateway.parties import NewApp
    from ledger.gateway.tokens import NewToken

app = typer.Typer(rich_markup_mode=None)

Developer = Annotated[str, typer.Option("--developer", metavar="ID", help="Whose app it is.")]
OfDeveloper = Annotated[
    str | None, typer.Option("--developer", metavar="ID", help="Only the apps of this developer.")
]
Name = Annotated[
    str, typer.Option("--name", metavar="NAME", help="As accounts are to see it, on consent pages.")
]
AppId = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="The app's id. [default: 19 digits, drawn]")
]
Environments = Annotated[
    list[str] | None,
    typer.Option(
        "--environment",
        metavar="NAME",
        help="An environment of webhooks and grants; may be given several times. [default: prod]",
    ),
]
Callbacks = Annotated[
    list[str] | None,
    typer.Option(
        "--callback",
        metavar="URL",
        help="Where accounts come back to after consenting, or oob; may be given several times.",
    ),
]
Description = Annotated[str, typer.Option("--description", metavar="TEXT", help="What the app is for.")]
Website = Annotated[str, typer.Option("--website", metavar="URL", help="The app's own page.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="The app may register no webhooks.")]
OwnerAccount = Annotated[
    str | None,
    typer.Option(
        "--owner-account",
        metavar="ACCOUNT",
        help="The account that owns the app, by the platform's own id: one access token for both.",
    ),
]
RetryWaits = Annotated[
    list[int] | None,
    typer.Option(
        "--retry-wait",
        metavar="MS",
        help="The wait before a further attempt; once for each. [default: 3 s, 27 s, 242 s]",
    ),
]


@app.callback()
def about() -> None:
    """Register apps, and list them.

    \b
    Examples:
      grantledger app create --developer dev-acme --name DeskLine --callback https://acme.example/back
      grantledger app list

    \b
    Exit status: that of the command below it.
    """


@app.command()
def create(
    ctx: typer.Context,
    developer: Developer,
    name: Name,
    app_id: AppId = None,
    environment: Environments = None,
    callback: Callbacks = None,
    description: Description = "",
    website: Website = "",
    read_only: ReadOnly = False,
    retry_wait: RetryWaits = None,
    owner_account: OwnerAccount = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register an app, and show the credentials that its developer needs.

    Consumer key and secret sign calls (OAuth 1.0a), and the secret signs what is delivered. The owner's
    access token registers webhooks; the bearer token reads. Run again with the same --id it gives another
    owner's token, and changes nothing else.

    With --owner-account the token is that account's, as client libraries expect it: it registers webhooks and
    subscribes the account, which is a grant of the account like any other. What it may subscribe to is
    everything until the account allows less, and the account can take it back on its own page. An app that
    has no owning account yet gets one.

    \b
    Examples:
      grantledger app create --developer dev-acme --name DeskLine
      grantledger app create --developer dev-acme --name DeskLine --owner-account 783214
      grantledger app create --developer dev-acme --name DeskLine --id 4711 --environment prod \\
        --environment test --callback https://acme.example/back --json

    \b
    Exit status:
      0  the app is there
      2  the database contradicts itself; nothing is appended to it
      3  no such developer, the id is another app's, another account owns it, a value that is unusable, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        subject = None if owner_account is None else service.parties.create_account(owner_account)
        made = service.parties.create_app(
            developer,
            name,
            app=app_id,
            description=description,
            website=website,
            environments=tuple(environment or ("prod",)),
            callbacks=tuple(callback or ()),
            can_write=not read_only,
            retry_waits_ms=tuple(retry_wait or ()),
            owner_account=None if subject is None else subject.tag,
        )
        issuing = issuing_of(service)
        bearer = issuing.bearer_of(made.app, made.consumer_secret)
        if owner_account is None or subject is None:
            owner = issuing.issue_owner(made.app)
        else:
            owner = issuing.issue_access(made.app, owner_account, subject.tag, ["all"])
    _show(session.output, made, bearer, owner)


@app.command("list")
def list_apps(
    ctx: typer.Context,
    developer: OfDeveloper = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List apps by age, with their webhooks; no secrets.

    \b
    Examples:
      grantledger app list
      grantledger app list --developer dev-acme --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        rows = [
            {
                "app": one.app,
                "developer": one.developer,
                "name": one.name,
                "environments": list(one.environments),
                "consumer_key": one.consumer_key,
                "webhooks": [webhook.webhook for webhook in service.registry.load_webhooks(one.app)],
            }
            for one in service.registry.load_apps(developer)
        ]
    fields: list[Field] = []
    for row in rows:
        named = f"{row['name']} of {row['developer']}, consumer key {row['consumer_key']}"
        fields.append((str(row["app"]), f"{named}, {len(row['webhooks'])} webhooks"))
    session.output.result({"apps": rows}, fields or [("apps", "none")])


def _show(output: Output, made: NewApp, bearer: str, owner: NewToken) -> None:
    """Show an app with everything that its developer's code needs, this once."""
    app_row = made.app
    output.result(
        {
            "app": app_row.app,
            "developer": app_row.developer,
            "name": app_row.name,
            "environments": list(app_row.environments),
            "consumer_key": app_row.consumer_key,
            "consumer_secret": made.consumer_secret,
            "bearer_token": bearer,
            "access_token": owner.text,
            "access_token_secret": owner.secret,
        },
        [
            ("app", app_row.app),
            ("developer", app_row.developer),
            ("environments", ", ".join(app_row.environments)),
            ("consumer key", app_row.consumer_key),
            ("consumer secret", made.consumer_secret),
            ("bearer token", bearer),
            ("owner's access token", owner.text),
            ("its secret", owner.secret),
        ],
    )
    remark_once(output)
