"""``grantledger incident``: what people record of an incident, and the authority's draft (sections 5.1 and 5.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.incident_app import (
    DEFAULT_BY,
    At,
    By,
    Html,
    Named,
    Text,
    actor_of,
    app,
    instant_of,
    read_file,
    read_words,
)
from ledger.cli.incident_words import document_fields, draft_fields
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin


@app.command()
def moment(
    ctx: typer.Context,
    incident: Named,
    which: Annotated[
        str,
        typer.Argument(
            metavar="MOMENT",
            help="first_report, triage, reasonable_certainty, handed_to_controller or dpo_told.",
        ),
    ],
    evidence: Annotated[
        str, typer.Option("--evidence", metavar="TEXT", help="What shows it; only a commitment is logged.")
    ],
    at: At = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Record a moment that may have started the clock of awareness, with what shows it.

    The last three start it, and so does an assessment with a definite exposure; the earliest of them counts. What
    may begin an investigation (first_report, triage) is kept beside them.

    \b
    Example:
      grantledger incident moment i-0123456789abcdef first_report \\
        --at 2018-09-10T09:00:00Z --evidence 'ticket 4711'

    \b
    Exit status:
      0  recorded, or it was before
      3  there is no such moment or incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        service.incidents.desk.claim_moment(
            incident, which, read_words(evidence), actor_of(by), instant_of(at)
        )
        document = service.incidents.document(incident)
    shown = {"incident": incident, "moments": document["moments"], "awareness": document["awareness"]}
    session.output.result(shown, document_fields(document, only=("aware since", "moments")))


@app.command()
def describe(
    ctx: typer.Context,
    incident: Named,
    field: Annotated[str, typer.Argument(metavar="FIELD", help="Such as title, root_cause, risk_level.")],
    text: Text,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what the incident's title, cause, risk, measures or parties are; earlier words stay readable.

    The log holds a commitment, the words lie beside it. A wrong FIELD is answered with the list of all of them.

    \b
    Examples:
      grantledger incident describe i-0123456789abcdef title 'Shared addresses sent data astray'
      grantledger incident describe i-0123456789abcdef root_cause @cause.txt --by eve

    \b
    Exit status:
      0  described
      3  there is no such field or incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        written = service.incidents.desk.describe(incident, field, read_words(text), actor_of(by))
    row = {"incident": incident, "field": field, "version": written.number, "is_new": written.created}
    session.output.result(row, [(field, f"version {written.number}")])


@app.command()
def decide(
    ctx: typer.Context,
    incident: Named,
    decision: Annotated[
        str,
        typer.Argument(
            metavar="DECISION",
            help="An id. no_authority_notice.gdpr says that this authority need not be told.",
        ),
    ],
    text: Text,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Record a decision about the incident with its reasons.

    \b
    Example:
      grantledger incident decide i-0123456789abcdef stop_fleet 'Workers 1-16 are off until the fix.'

    \b
    Exit status:
      0  recorded
      3  there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        written = service.incidents.desk.decide(incident, decision, read_words(text), actor_of(by))
    row = {"incident": incident, "decision": decision, "version": written.number, "is_new": written.created}
    session.output.result(row, [(decision, "recorded")])


@app.command()
def update(
    ctx: typer.Context,
    incident: Named,
    text: Text,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Publish a numbered, dated update that everybody may read (GET /v1/incidents/INCIDENT/updates).

    \b
    Example:
      grantledger incident update i-0123456789abcdef 'We have told all 50,000 people affected.'

    \b
    Exit status:
      0  published
      3  there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        written = service.incidents.desk.publish_update(incident, read_words(text), actor_of(by))
    row = {"incident": incident, "number": written.number, "is_new": written.created}
    session.output.result(row, [("update", str(written.number))])


@app.command()
def deadlines(
    ctx: typer.Context, incident: Named, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show what has to be done by when, and record as findings what was missed.

    \b
    Example:
      grantledger incident deadlines i-0123456789abcdef

    \b
    Exit status:
      0  nothing is overdue
      1  something is overdue
      3  there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        document = service.incidents.document(incident)
        service.incidents.watch.run_once()
    shown = {
        "incident": incident,
        "awareness": document["awareness"],
        "deadlines": document["deadlines"],
    }
    session.output.result(shown, document_fields(document, only=("aware since", "deadlines")))
    if any(one["state"] == "overdue" for one in document["deadlines"]):
        raise typer.Exit(1)


@app.command()
def art33(
    ctx: typer.Context,
    incident: Named,
    jurisdiction: Annotated[
        str, typer.Option("--jurisdiction", metavar="ID", help="Whose authority it is for.")
    ] = "gdpr",
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="first, follow_up or final. [default: what is due]"),
    ] = None,
    fields: Annotated[
        Path | None,
        typer.Option("--fields", metavar="FILE", help="Another form's mapping. [default: the one shipped]"),
    ] = None,
    html: Html = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draft the notification to an authority: each field from the log and its words, or listed as missing.

    \b
    Examples:
      grantledger incident art33 i-0123456789abcdef --html draft.html
      grantledger incident art33 i-0123456789abcdef --type final --json > final.json

    \b
    Exit status:
      0  nothing that this notification needs is missing
      1  something is missing: it says what, and the command that supplies it
      3  bad usage, there is no such incident, or no ledger
    """
    from ledger.incidents.art33 import load_mapping, make_draft

    session = begin(ctx, db, as_json, quiet)
    session.check_target(html)
    mapping = load_mapping(None if fields is None else read_file(fields))
    with open_service(session) as service:
        document = service.incidents.document(incident)
        now_ms = service.clock.now_ms()
    draft = make_draft(document, jurisdiction, kind, now_ms, mapping)
    if html is not None:
        from ledger.reporting.incident_report import render_art33

        html.write_text(render_art33(draft), encoding="utf-8")
    session.output.result(draft, draft_fields(draft))
    if not draft["is_complete"]:
        raise typer.Exit(1)


@app.command()
def told(
    ctx: typer.Context,
    incident: Named,
    document: Annotated[
        str,
        typer.Option(
            "--document", metavar="TEXT", help="What was handed in: words, @FILE, or a reference number."
        ),
    ],
    jurisdiction: Annotated[
        str, typer.Option("--jurisdiction", metavar="ID", help="Whose authority it was.")
    ] = "gdpr",
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="first, follow_up or final.")] = "first",
    reasons: Annotated[
        str | None, typer.Option("--reasons", metavar="TEXT", help="Why it is late; needed where it is.")
    ] = None,
    at: At = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Record that an authority was told.

    \b
    Example:
      grantledger incident told i-0123456789abcdef --document @draft.json --at 2018-09-12T10:00:00Z

    \b
    Exit status:
      0  recorded
      3  it is late and no reasons were given, out of order, there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        service.incidents.desk.note_authority_told(
            incident,
            jurisdiction,
            kind,
            read_words(document),
            actor_of(by),
            at_ms=instant_of(at),
            reasons=None if reasons is None else read_words(reasons),
        )
        shown = service.incidents.document(incident)
    rows = {"incident": incident, "authorities": shown["authorities"], "deadlines": shown["deadlines"]}
    session.output.result(rows, document_fields(shown, only=("authorities", "deadlines")))
