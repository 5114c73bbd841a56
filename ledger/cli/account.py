"""``grantledger account``: the people and businesses whose data it is (delivery protocol, section 3.1)."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.apikey import issue, show_key
from ledger.cli.output import Field
from ledger.cli.service_session import issuing_of, open_service, remark_once
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

app = typer.Typer(rich_markup_mode=None)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account by the platform's own id.")]
AppId = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="APP",
        help="Also give this app an access token of the account, for trying things out.",
    ),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        metavar="SCOPE",
        help="What the token lets the app subscribe to; may be given several times. [default: all]",
    ),
]
Business = Annotated[bool, typer.Option("--business", help="The account is a business, not a person.")]


@app.callback()
def about() -> None:
    """Register accounts, and let them see what is theirs.

    \b
    Examples:
      grantledger account create 783214
      grantledger account key 783214

    \b
    Exit status: that of the command below it.
    """


@app.command()
def create(
    ctx: typer.Context,
    account: Account,
    app_id: AppId = None,
    scope: Scopes = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register an account: from then on it has a tag, and events of it are taken.

    The log holds the tag, never the id. With --app it also makes the access token that the account would give
    the app by consenting; a call signed with it subscribes the account. Registering again changes nothing.

    \b
    Examples:
      grantledger account create 783214
      grantledger account create 783214 --app 4711 --scope posts --scope direct_messages

    \b
    Exit status:
      0  the account is registered
      2  the database contradicts itself; nothing is appended to it
      3  an id that is unusable, no such app or scope, the person was erased, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    if scope and app_id is None:
        raise UsageError("--scope says what an app may subscribe to: name the app with --app")
    token = None
    with open_service(session) as service:
        wanted = None if app_id is None else service.registry.load_app(app_id)
        if app_id is not None and wanted is None:
            raise UsageError(f"there is no app {app_id!r}; see `grantledger app list`")
        subject = service.parties.create_account(account)
        if wanted is not None:
            token = issuing_of(service).issue_access(wanted, account, subject.tag, scope or ["all"])
    document: dict[str, object] = {"account": account, "tag": subject.tag}
    fields: list[Field] = [("account", account), ("tag", subject.tag)]
    if token is not None:
        document |= {"app": app_id, "access_token": token.text, "access_token_secret": token.secret}
        fields += [("app", app_id), ("access token", token.text), ("its secret", token.secret)]
    session.output.result(document, fields)
    if token is not None:
        remark_once(session.output)


@app.command()
def key(
    ctx: typer.Context,
    account: Account,
    business: Business = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Give an account an API key, with which it sees its own history.

    The same as `grantledger apikey create person --for ACCOUNT` (or business).

    \b
    Examples:
      grantledger account key 783214
      grantledger account key 783214 --business --json

    \b
    Exit status:
      0  given out
      2  the database contradicts itself; nothing is appended to it
      3  an id that is unusable, the person was erased, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        made = issue(service, "business" if business else "person", account, "")
    show_key(session.output, made)


@app.command()
def contact(
    ctx: typer.Context,
    account: Account,
    email: Annotated[
        str | None, typer.Option("--email", metavar="ADDRESS", help="Where notices are sent by e-mail.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help="A business's own server, told as well.")
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Forget both first.")] = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Keep where an account is reached with notices about incidents, besides its inbox.

    Addresses are kept sealed under the account's own key, stand in no entry, and are erased with the account.
    Without options it shows by what the account is reached, and not where. What is sent to a webhook is signed with a
    secret that is shown this once.

    \b
    Examples:
      grantledger account contact 783214 --email ann@a.example
      grantledger account contact 783214 --webhook https://a.example/incidents --json
      grantledger account contact 783214 --forget

    \b
    Exit status:
      0  kept, or shown
      3  an address that nothing can be sent to, the person was erased, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    secret = None
    with open_service(session) as service:
        subject, contacts = service.parties.create_account(account), service.duties.contacts
        if forget:
            contacts.forget(subject.tag, "email")
            contacts.forget(subject.tag, "webhook")
        if email is not None:
            contacts.set_email(subject, email)
        if webhook is not None:
            secret = contacts.set_webhook(subject, webhook)
        media = contacts.media_of([subject.tag]).get(subject.tag, [])
    document: dict[str, object] = {"account": account, "reached_by": ["inbox", *media]}
    fields: list[Field] = [("account", account), ("reached by", ", ".join(["inbox", *media]))]
    if secret is not None:
        document["webhook_secret"] = secret
        fields.append(("webhook's secret", secret))
    session.output.result(document, fields)
    if secret is not None:
        remark_once(session.output)
