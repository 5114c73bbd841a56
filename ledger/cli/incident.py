"""``grantledger incident``: what went wrong, by cause, and where it stands (incidents and exports, section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli import incident_records
from ledger.cli.incident_app import (
    DEFAULT_BY,
    DEFAULT_CIRCUMSTANCES,
    By,
    Html,
    Named,
    What,
    actor_of,
    app,
)
from ledger.cli.incident_words import document_fields, incident_line, open_duties
from ledger.cli.output import Field
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, Session, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.incidents.incidents import Evidence

__all__ = ["app", "incident_records"]


@app.command("open")
def open_incidents(
    ctx: typer.Context,
    cause: Annotated[
        str | None,
        typer.Option("--cause", metavar="CAUSE", help="Open one by hand, of this cause, without findings."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="ID", help="The grant, app, endpoint or developer it is of.")
    ] = None,
    circumstances: What = DEFAULT_CIRCUMSTANCES,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be opened or assessed; record nothing.")
    ] = False,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Open an incident for each cause of an exposure that a verification finds, and assess it.

    One cause is one incident, however many findings it made. Those that are open already are assessed again, which
    makes a new revision only where the findings have changed. With --cause one is opened as suspected, from a
    report, before anything was found: so, too, where circumstances are all that there is (see `exposure`), which
    opens nothing by itself; assess it afterwards.

    \b
    Examples:
      grantledger incident open --dry-run
      grantledger incident open --by eve
      grantledger incident open --cause reported --of dev-other --by eve
      grantledger incident open --cause misrouting --by eve

    \b
    Exit status:
      0  opened, or there is nothing to open
      3  the ledger is broken, the cause is unknown, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    if dry_run:
        if cause is not None:
            raise UsageError("--dry-run is of what findings would open: leave out --cause")
        _show_proposed(session, circumstances)
        return
    with open_service(session) as service:
        desk = service.incidents.desk
        if cause is not None:
            is_new = desk.open(cause, of, actor_of(by)).created
            found = desk.open_of(cause, of)
            rows = [] if found is None else [{**_summary(found), "is_new": is_new, "is_assessed": False}]
        else:
            if of is not None:
                raise UsageError("--of names what a --cause is of: name the cause, too")
            with session.output.progress("verifying") as bar:
                evidence = _verify(session, circumstances, bar)
                opened = desk.open_from_findings(
                    evidence, actor_of(by), lambda phase, done, total: bar(done, total, phase)
                )
            rows = [
                {**_summary(one.incident), "is_new": one.is_new, "is_assessed": one.is_assessed}
                for one in opened
            ]
    fields: list[Field] = [(row["incident"], incident_line(row)) for row in rows]
    session.output.result({"incidents": rows}, fields or [("incidents", "none: no exposure was found")])


@app.command("list")
def list_incidents(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List all incidents by age.

    \b
    Example:
      grantledger incident list --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        rows = [_summary(one) for one in service.incidents.book.load_all()]
    fields: list[Field] = [(row["incident"], incident_line(row)) for row in rows]
    session.output.result({"incidents": rows}, fields or [("incidents", "none")])


@app.command()
def show(
    ctx: typer.Context,
    incident: Named,
    html: Html = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show all that is known of an incident: people, receivers, clock, deadlines, words, timeline.

    \b
    Examples:
      grantledger incident show i-0123456789abcdef
      grantledger incident show i-0123456789abcdef --html incident.html

    \b
    Exit status:
      0  shown
      3  there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    session.check_target(html)
    with open_service(session) as service:
        document = service.incidents.document(incident)
    if html is not None:
        from ledger.reporting.incident_report import render_incident

        html.write_text(render_incident(document), encoding="utf-8")
    session.output.result(document, document_fields(document))


@app.command()
def assess(
    ctx: typer.Context,
    incident: Named,
    circumstances: What = DEFAULT_CIRCUMSTANCES,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Verify the ledger and freeze what it tells of the incident, as a new revision where that has changed.

    \b
    Example:
      grantledger incident assess i-0123456789abcdef

    \b
    Exit status:
      0  assessed, or nothing has changed since the last revision
      3  there is no such incident, it is concluded, the ledger is broken, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        service.incidents.desk.load(incident)
        with session.output.progress("verifying") as bar:
            evidence = _verify(session, circumstances, bar)
            is_new = service.incidents.desk.assess(
                incident, evidence, actor_of(by), lambda phase, done, total: bar(done, total, phase)
            )
        row = {**_summary(service.incidents.desk.load(incident)), "is_assessed": is_new}
    session.output.result(row, [(incident, incident_line(row))])


@app.command()
def status(
    ctx: typer.Context,
    incident: Named,
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="STATUS", help="suspected, detected, assessed, halted, mitigated or concluded (final)."
        ),
    ],
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Let the incident have another status from now on.

    \b
    Example:
      grantledger incident status i-0123456789abcdef halted

    \b
    Exit status:
      0  it has that status
      3  it cannot become that, there is no such incident, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        service.incidents.desk.set_status(incident, wanted, actor_of(by))
        document = service.incidents.document(incident)
        row = _summary(service.incidents.desk.load(incident))
    session.output.result(row, [(incident, incident_line(row))])
    if wanted == "concluded":
        for told in open_duties(document):
            session.output.remark(f"still open: {told}")


def _show_proposed(session: Session, circumstances: str) -> None:
    with open_service(session) as service:
        with session.output.progress("verifying") as bar:
            evidence = _verify(session, circumstances, bar)
        rows = [
            {
                "cause": one.cause.name,
                "cause_of": one.cause.of or None,
                "findings": one.findings,
                "incident": None if one.incident is None else one.incident.incident,
            }
            for one in service.incidents.desk.propose(evidence)
        ]
    fields: list[Field] = [
        (
            f"{row['cause']} {row['cause_of'] or ''}".rstrip(),
            f"{row['findings']:,} findings  {row['incident'] or 'would be opened'}",
        )
        for row in rows
    ]
    session.output.result({"proposed": rows}, fields or [("incidents", "none: no exposure was found")])


def _verify(session: Session, circumstances: str, bar: Any) -> Evidence:
    from ledger.core.exposure import parse_circumstances
    from ledger.incidents.incidents import Evidence
    from ledger.verifying import Asked, open_source, run_verification

    wanted = parse_circumstances(circumstances)
    settings = session.load_settings()
    asked = Asked(with_index=False, remember=False)
    source = open_source(settings, asked)
    verified = run_verification(
        settings, asked, lambda phase, done, total: bar(done, total, phase), source=source
    )
    return Evidence(verified, source, wanted)


def _summary(incident: Any) -> dict[str, Any]:
    from ledger.incidents.document import summary_of

    return summary_of(incident)
