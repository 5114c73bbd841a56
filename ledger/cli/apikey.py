"""``grantledger apikey``: keys of the ledger's own API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import Field, Output
from ledger.cli.service_session import issuing_of, open_service, remark_once, time_of
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.gateway.tokens import NewKey
    from ledger.wiring.service import Service

AsHeader = Annotated[bool, typer.Option("--header", help="Print the header alone, for curl's -H @FILE.")]

app = typer.Typer(rich_markup_mode=None)

RoleName = Annotated[
    str,
    typer.Argument(
        metavar="ROLE", help="platform, developer, auditor, business, person, regulator or operator."
    ),
]
Subject = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="SUBJECT",
        help="Whom it speaks for: a developer's id, or an account by the platform's own id.",
    ),
]
Name = Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is used for, to tell keys apart.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `apikey list` shows it.")]


@app.callback()
def about() -> None:
    """Give out keys of the ledger's own API, and take them back.

    \b
    Examples:
      grantledger apikey create platform --name "event bus"
      grantledger apikey list

    \b
    Exit status: that of the command below it.
    """


@app.command()
def create(
    ctx: typer.Context,
    role: RoleName,
    subject: Subject = None,
    name: Name = "",
    as_header: AsHeader = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Give out an API key.

    A platform's key hands in events and records and asks for authorizations; whoever has it can make a
    delivery look right. Keys of developers, persons and businesses see what is theirs. The key goes into the
    header: Authorization: Bearer glk_...

    \b
    Examples:
      grantledger apikey create platform --name "event bus"
      grantledger apikey create developer --for dev-acme
      grantledger apikey create person --for 783214 --json
      grantledger apikey create platform --header > platform.header    # curl -H @platform.header

    \b
    Exit status:
      0  given out
      2  the database contradicts itself; nothing is appended to it
      3  no such role, nobody whom it could speak for, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        made = issue(service, role, subject, name)
    if as_header:
        session.output.text(f"Authorization: Bearer {made.text}")
    else:
        show_key(session.output, made)


@app.command("list")
def list_keys(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List API keys by age, revoked ones among them; accounts as tags, no secrets.

    \b
    Examples:
      grantledger apikey list
      grantledger apikey list --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        keys = service.credentials.load_keys()
    rows = [
        {
            "key": key.key,
            "role": key.role,
            "subject": key.subject,
            "name": key.name,
            "created_at": time_of(key.created_at_ms),
            "revoked_at": None if key.revoked_at_ms is None else time_of(key.revoked_at_ms),
        }
        for key in keys
    ]
    fields: list[Field] = [
        (
            key.key,
            f"{key.role}{' for ' + key.subject if key.subject else ''}, {key.name or 'no name'}, "
            f"since {time_of(key.created_at_ms)}"
            + ("" if key.revoked_at_ms is None else f", revoked {time_of(key.revoked_at_ms)}"),
        )
        for key in keys
    ]
    session.output.result({"keys": rows}, fields or [("keys", "none")])


@app.command()
def revoke(
    ctx: typer.Context, key: Key, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Take an API key back; from then on no call with it is answered.

    \b
    Examples:
      grantledger apikey revoke k0123456789ab
      grantledger apikey revoke k0123456789ab --json

    \b
    Exit status:
      0  revoked
      3  there is no such key, or it was revoked before, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        if not service.credentials.revoke_key(key, service.clock.now_ms()):
            raise UsageError(f"there is no key {key!r} that could be revoked; see `grantledger apikey list`")
    session.output.result({"key": key, "revoked": True}, [("key", key), ("revoked", "yes")])


def issue(service: Service, role: str, subject: str | None, name: str) -> NewKey:
    """A new key of ``role`` for ``subject`` as people name it; raises UsageError or RejectedError where that cannot be."""
    from ledger.gateway.tokens import ROLES_FOR_ACCOUNTS
    from ledger.ports.credentials import ROLES

    if role not in ROLES:
        raise UsageError(f"{role!r} is no role: write one of {', '.join(ROLES)}")
    speaks_for = subject or ""
    if subject and role in ROLES_FOR_ACCOUNTS:
        speaks_for = service.parties.create_account(subject).tag
    if subject and role == "developer" and service.registry.load_developer(subject) is None:
        raise UsageError(f"there is no developer {subject!r}; see `grantledger developer list`")
    return issuing_of(service).issue_key(role, speaks_for, name)


def show_key(output: Output, made: NewKey) -> None:
    """Show a new key, this once."""
    key = made.key
    output.result(
        {"key": key.key, "role": key.role, "subject": key.subject, "name": key.name, "api_key": made.text},
        [
            ("key", key.key),
            ("role", key.role),
            ("speaks for", key.subject or "nobody"),
            ("API key", made.text),
        ],
    )
    remark_once(output)
