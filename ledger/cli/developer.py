"""``grantledger developer``: who receives data (delivery protocol, section 3.1)."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.output import Field
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As accounts are to see it, on consent pages.")]
Developer = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="The developer's id. [default: a random one]")
]

_REGISTERED = b'"kind":"developer.registered"'


@app.callback()
def about() -> None:
    """Register developers, who own apps.

    \b
    Examples:
      grantledger developer create "Acme Ltd"
      grantledger developer list

    \b
    Exit status: that of the command below it.
    """


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    developer: Developer = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register a developer, in the log and in the service.

    With the same id and name again nothing changes. The service may run meanwhile.

    \b
    Examples:
      grantledger developer create "Acme Ltd"
      grantledger developer create "Acme Ltd" --id dev-acme --json

    \b
    Exit status:
      0  the developer is there
      2  the database contradicts itself; nothing is appended to it
      3  the id is another developer's, a name that cannot be shown, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        made = service.parties.create_developer(name, developer)
    session.output.result(
        {"developer": made.developer, "name": made.name},
        [("developer", made.developer), ("name", made.name)],
    )


@app.command("key")
def set_key(
    ctx: typer.Context,
    developer: Annotated[str, typer.Argument(metavar="DEVELOPER", help="The developer's id.")],
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Its Ed25519 public key: 64 lower-case hex digits.")
    ],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register the key that a developer signs receipts with; it replaces the one before.

    Developers do it themselves by PUT /v1/receipts/key. Either way it is an entry of the log, among the
    developer's own.

    \b
    Example:
      grantledger developer key dev-acme 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29

    \b
    Exit status:
      0  the key counts
      3  it is no key, there is no such developer, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        if service.registry.load_developer(developer) is None:
            raise UsageError(f"there is no developer {developer!r}; see `grantledger developer list`")
        is_new = service.receipts.set_key(developer, key, "operator:cli")
    session.output.result(
        {"developer": developer, "key": key, "changed": is_new},
        [("developer", developer), ("key", key), ("changed", "yes" if is_new else "no")],
    )


@app.command("list")
def list_developers(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List developers with their apps, in the order of the log.

    Developers that came with records have no name.

    \b
    Examples:
      grantledger developer list
      grantledger developer list --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    from ledger.engines.codec import MsgspecCodec

    session = begin(ctx, db, as_json, quiet)
    codec = MsgspecCodec()
    rows = []
    with open_service(session) as service:
        apps: dict[str, list[str]] = {}
        for one in service.registry.load_apps():
            apps.setdefault(one.developer, []).append(one.app)
        for entry in service.ledger.store.fetch_state():
            if _REGISTERED in entry.data:
                developer = codec.decode(entry.data).developer  # type: ignore[attr-defined]
                known = service.registry.load_developer(developer)
                rows.append((developer, "" if known is None else known.name, apps.get(developer, [])))
    fields: list[Field] = [
        (name, f"{shown or '-'}  {', '.join(its) or 'no apps'}") for name, shown, its in rows
    ]
    session.output.result(
        {"developers": [{"developer": name, "name": shown, "apps": its} for name, shown, its in rows]},
        fields or [("developers", "none")],
    )
