"""``grantledger history``: an account's apps with access, and every delivery with its verdict (ledger format, 1.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.cli.output import Field, Output
from ledger.cli.session import ACTOR, AsJson, Db, Purpose, Quiet, begin
from ledger.errors import UsageError

DELIVERIES_SHOWN = 20

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account by the platform's id, or by its tag.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the deliveries as CSV, for spreadsheets.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it there as one self-contained page.")
]
Last = Annotated[
    int | None,
    typer.Option("--last", metavar="N", min=1, help="Only what the last N entries about the account tell."),
]


def history(
    ctx: typer.Context,
    account: Account,
    last: Last = None,
    purpose: Purpose = None,
    as_csv: AsCsv = False,
    html: Html = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show whose apps have access to an account, and every delivery.

    With the verdict on each delivery, by the rule of `grantledger verify`, and with how it is known that none is
    left out. As of the last seal. The look is recorded first (access.viewed), as every look at somebody's history
    is: the account sees who looked.

    \b
    Examples:
      grantledger history 783214
      grantledger history 783214 --html history.html --purpose ticket-4711
      grantledger history a_85da1537e81e80c7c0d2cf2ef7c0e6ab --csv > deliveries.csv

    \b
    Exit status:
      0  shown, whatever was found
      2  the database does not hold what was sealed
      3  nobody has this id or tag, nothing is sealed yet, or no ledger
    """
    from ledger.gateway.history_document import document_of
    from ledger.wiring.proving import find_tag, is_recorded, make_histories

    session = begin(ctx, db, as_json, quiet)
    session.check_target(html)
    if as_csv and session.output.as_json:
        raise UsageError("--csv and --json print two different things: choose one")
    from ledger.transparency.proving import Page

    with session.open_ledger() as ledger:
        tag = find_tag(ledger, account)
        if not is_recorded(ledger, tag) and not ledger.vault.account_of([tag]):
            # A look is an entry about somebody, and a tag's first one is a registration.
            raise UsageError(
                f"nobody here has the tag {tag}; `grantledger prove account {tag}` proves that nothing is recorded about it"
            )
        page = None if last is None else Page(last=last)
        found = make_histories(ledger).read(tag, page, actor=ACTOR, purpose=purpose)
    document = document_of(tag, found)
    if html is not None:
        from ledger.reporting.history_report import render_history

        html.write_text(render_history(document), encoding="utf-8")
    if as_csv:
        from ledger.reporting.history_report import write_history_csv

        session.output.raw(write_history_csv(document).encode())
        return
    session.output.result(document, _fields(document))
    _show_deliveries(session.output, document["deliveries"])


def _fields(document: Mapping[str, Any]) -> list[Field]:
    fields: list[Field] = [
        ("account", document["account"]),
        ("as of", f"{document['at']}, tree size {document['tree_size']:,}, log {document['origin']}"),
        ("has access", "\n".join(_app(app) for app in document["apps"] if app["has_access"]) or "no app"),
    ]
    ended = [_app(app) for app in document["apps"] if not app["has_access"]]
    if ended:
        fields.append(("had access", "\n".join(ended)))
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in document["verdicts"].items())
    fields.append(("deliveries", counts or "none"))
    if document["refused"]:
        fields.append(("kept back", f"{len(document['refused']):,} before anything was sent"))
    fields.append(("this shows", "\n".join(document["shows"])))
    fields.append(("not shown", "\n".join(document["does_not_show"])))
    return fields


def _app(app: Mapping[str, Any]) -> str:
    until = f"ended {app['ended_at']}" if app["ended_at"] else f"expires {app['expires_at'] or 'never'}"
    used = f"last used {app['last_used_at']}" if app["last_used_at"] else "not used in what is shown"
    return (
        f"{app['app']} of {app['developer']} ({app['environment']}): {'; '.join(app['data'])}. "
        f"Since {app['granted_at']}, {used}, {until}."
    )


def _show_deliveries(output: Output, deliveries: Sequence[Mapping[str, Any]]) -> None:
    if output.as_json or output.quiet or not deliveries:
        return
    lines = []
    for one in deliveries[-DELIVERIES_SHOWN:]:
        received = one["received_by"]
        to = (received["app"] or received["developer"]) if received else "nobody known"
        code = f" {one['code']}" if one["code"] else ""
        lines.append(
            f"  {one['at']}  {one['verdict']}{code}  {one['event_type']} to {to}, delivery {one['delivery']}"
        )
    output.text("\n".join(lines))
    left = len(deliveries) - len(lines)
    if left > 0:
        output.remark(f"and {left:,} older ones; all of them with --json, --csv or --html FILE")
