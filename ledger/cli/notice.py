"""``grantledger notice``: telling people that an incident concerns them (incidents and exports, section 5.2)."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.incident_app import DEFAULT_BY, By, actor_of
from ledger.cli.output import Field
from ledger.cli.service_session import open_service, time_of
from ledger.cli.session import AsJson, Db, Quiet, begin

app = typer.Typer(rich_markup_mode=None)

Incident = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="The incident's id, as `incident list` shows it.")
]
Revision = Annotated[
    int | None, typer.Option("--revision", metavar="N", help="Which assessment. [default: the last]")
]


@app.callback()
def about() -> None:
    """Tell everybody whom an incident concerns, once each.

    \b
    Examples:
      grantledger notice queue i-0123456789abcdef
      grantledger notice send
      grantledger notice list i-0123456789abcdef

    \b
    Exit status: that of the command below it.
    """


@app.command()
def queue(
    ctx: typer.Context,
    incident: Incident,
    revision: Revision = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Queue a notice to every affected account and to every other person in the deliveries.

    Into each inbox, and to the e-mail address and webhook of those that the ledger knows one of. Whoever has a
    notice already gets no other, so this may be run again, after a new assessment too: then those who are new
    are told, and the notices of the others tell of the new one.

    \b
    Examples:
      grantledger notice queue i-0123456789abcdef --by eve
      grantledger notice queue i-0123456789abcdef --revision 1 --json

    \b
    Exit status:
      0  queued
      3  there is no such incident, it was not assessed, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service, session.output.progress("queuing notices") as progress:
        done = service.duties.notices.queue(incident, revision, actor=actor_of(by), on_progress=progress)
    document = {
        "people": done.people,
        "queued": done.queued,
        "known": done.known,
        "erased": done.erased,
    }
    session.output.result(document, [(name, f"{count:,}") for name, count in document.items()])
    if done.erased:
        session.output.remark(
            f"{done.erased} of them were erased, so nobody can be told: the log says so of each"
        )


@app.command()
def send(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Send the notices that are due now; a served ledger does so by itself.

    What failed is tried again later by itself: 1 minute, 5 minutes, half an hour, 2 hours, 8 hours. A mail
    server that was cut off behind a message may have it or not: such a notice is "unconfirmed", and never sent
    again.

    \b
    Examples:
      GRANTLEDGER_SMTP_URL=smtps://user:password@mail.example GRANTLEDGER_MAIL_FROM=notices@a.example \\
        grantledger notice send
      grantledger notice send --json

    \b
    Exit status:
      0  everything that was due was tried
      3  the mail settings are unusable, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        done = service.duties.sender.run_once()
        has_mail = service.settings.smtp_url is not None
    document = {
        "sent": done.sent,
        "failed": done.failed,
        "given_up": done.given_up,
        "unconfirmed": done.unconfirmed,
    }
    session.output.result(
        document, [(name.replace("_", " "), f"{count:,}") for name, count in document.items()]
    )
    if not has_mail:
        session.output.remark("e-mail waits: no mail server is named by GRANTLEDGER_SMTP_URL")


@app.command("list")
def list_notices(
    ctx: typer.Context,
    incident: Incident,
    each: Annotated[bool, typer.Option("--each", help="Every notice, and not only how many.")] = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show how many notices of an incident are queued, sent, read and given up.

    People stand in it as tags, as in the log.

    \b
    Examples:
      grantledger notice list i-0123456789abcdef
      grantledger notice list i-0123456789abcdef --each --json

    \b
    Exit status:
      0  shown
      3  there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    rows = []
    with open_service(session) as service:
        desk = service.duties.notices
        service.incidents.desk.load(incident)
        counts = desk.count(incident)
        after = ""
        while each and (page := desk.load_of_incident(incident, after)):
            after = page[-1].notice
            rows += [
                {
                    "notice": one.notice,
                    "account": one.account,
                    "medium": one.medium,
                    "state": one.state,
                    "attempt": one.attempt,
                    "queued_at": time_of(one.queued_at_ms),
                    "sent_at": time_of(one.sent_at_ms),
                    "read_at": time_of(one.read_at_ms),
                    "reason": one.reason,
                }
                for one in page
            ]
    fields: list[Field] = [
        (f"{one.medium} {one.state.replace('_', ' ')}", f"{one.notices:,}  read {one.read:,}")
        for one in counts
    ]
    fields += [
        (str(row["notice"]), f"{row['account']}  {row['medium']}  {row['state']}  {row['reason'] or ''}")
        for row in rows
    ]
    document: dict[str, object] = {"counts": [one._asdict() for one in counts]}
    session.output.result(document | ({"notices": rows} if each else {}), fields or [("notices", "none")])
