"""``grantledger obligation``: what developers have to delete (incidents and exports, section 5.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.cli import obligation_answers
from ledger.cli.incident_app import DEFAULT_BY, By, actor_of
from ledger.cli.obligation_rows import Named, Words, fields_of, row_of
from ledger.cli.output import Field
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin

app = typer.Typer(rich_markup_mode=None)

Approver = Annotated[
    str,
    typer.Option("--approved-by", metavar="ROLE:ID", help="The second person, for example operator:jane."),
]
Step = Annotated[
    str | None,
    typer.Option(
        "--step",
        metavar="STEP",
        help="remind, suspend_deliveries, suspend_app or tell_authority; it must be the next one. [default: that]",
    ),
]


@app.callback()
def about() -> None:
    """Have developers delete what they should not have.

    \b
    Examples:
      grantledger obligation open i-0123456789abcdef
      grantledger obligation list
      grantledger obligation escalate o-0123456789abcdef

    \b
    Exit status: that of the command below it.
    """


@app.command("open")
def open_all(
    ctx: typer.Context,
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="The incident's id.")],
    revision: Annotated[
        int | None, typer.Option("--revision", metavar="N", help="Which assessment. [default: the last]")
    ] = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Open one obligation for each developer that received what it should not have.

    Its list holds exactly the deliveries of the assessment, is held against the developer's index, and never
    holds the data. The deadlines are those of the policies deletion_ack, deletion_done and deletion_attest.
    May be run again; after a new assessment it opens obligations over what is new.

    \b
    Examples:
      grantledger policy defaults --set
      grantledger obligation open i-0123456789abcdef --by eve

    \b
    Exit status:
      0  opened, or there before
      3  no such assessment, a policy is missing, the index does not hold what the list says, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service, session.output.progress("opening obligations") as progress:
        opened = service.duties.obligations.open(incident, revision, actor=actor_of(by), on_progress=progress)
        rows = [row_of(one.obligation) | {"is_new": one.is_new, "unlisted": one.unlisted} for one in opened]
    fields: list[Field] = [
        (row["obligation"], f"{row['developer']}  {row['deliveries']} deliveries  {row['state']}")
        for row in rows
    ]
    session.output.result({"obligations": rows}, fields or [("obligations", "nobody received anything")])
    unlisted = sum(int(row["unlisted"]) for row in rows)
    if unlisted:
        session.output.remark(
            f"{unlisted} wrong deliveries to these developers are on no list: another cause, to be assessed"
        )


@app.command("list")
def list_all(
    ctx: typer.Context,
    incident: Annotated[
        str | None, typer.Option("--incident", metavar="INCIDENT", help="Of one incident.")
    ] = None,
    developer: Annotated[
        str | None, typer.Option("--developer", metavar="DEVELOPER", help="Of one developer.")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List obligations by age: where each stands, and what is overdue.

    \b
    Examples:
      grantledger obligation list
      grantledger obligation list --incident i-0123456789abcdef --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        rows = [row_of(one) for one in service.duties.obligations.load_all(incident, developer)]
    fields: list[Field] = [
        (
            row["obligation"],
            f"{row['developer']}  {row['state']}  {row['deliveries']} deliveries"
            + (f"  overdue: {', '.join(row['overdue'])}" if row["overdue"] else ""),
        )
        for row in rows
    ]
    session.output.result({"obligations": rows}, fields or [("obligations", "none")])


@app.command()
def show(
    ctx: typer.Context,
    obligation: Named,
    lines: Annotated[
        Path | None, typer.Option("--lines", metavar="FILE", help="Write its list there, a line a delivery.")
    ] = None,
    prove: Annotated[
        int | None,
        typer.Option("--prove", metavar="PLACE", help="Show the proof that this line is on the list."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show one obligation: deadlines, attestation, what was said with each step.

    \b
    Examples:
      grantledger obligation show o-0123456789abcdef
      grantledger obligation show o-0123456789abcdef --lines list.jsonl
      grantledger obligation show o-0123456789abcdef --prove 0 --json

    \b
    Exit status:
      0  shown
      3  there is no such obligation or line, or no ledger
    """
    from dataclasses import asdict

    session = begin(ctx, db, as_json, quiet)
    session.check_target(lines)
    with open_service(session) as service:
        desk = service.duties.obligations
        found = desk.load(obligation)
        row: dict[str, Any] = row_of(found) | {"remarks": desk.open_remarks(obligation)}
        if found.attestation is not None:
            envelope = service.duties.attestations.open(found.attestation)
            row["attested"] = obligation_answers.statement_in(envelope)
        if prove is not None:
            row["proof"] = asdict(desk.prove_line(obligation, prove))
        if lines is not None:
            with lines.open("w", encoding="ascii") as file:
                for line in desk.stream_lines(obligation):
                    file.write(line.line + "\n")
    fields = fields_of(row)
    session.output.result(row, fields)


@app.command()
def escalate(
    ctx: typer.Context,
    obligation: Named,
    step: Step = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take the next step against a developer that is late or was contradicted.

    remind tells it again. suspend_deliveries suspends the developer: nothing is sent to it any more, by none of
    its apps. suspend_app suspends its apps as well. tell_authority says that the authority was told, which
    `incident told` has recorded before. When a step that suspends returns, nothing that was on its way can
    leave any more.

    \b
    Examples:
      grantledger obligation escalate o-0123456789abcdef
      grantledger obligation escalate o-0123456789abcdef --step suspend_deliveries

    \b
    Exit status:
      0  taken, or taken before
      3  it is neither overdue nor disputed, another step comes first, or no ledger
    """
    from ledger.errors import UsageError
    from ledger.ports.obligations import STEPS

    wanted = next((one for one in STEPS if one == step), None)
    if step is not None and wanted is None:
        raise UsageError(f"{step!r} is no step: write one of {', '.join(STEPS)}")
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        found = service.duties.obligations.load(obligation)
        row = row_of(service.duties.escalation.escalate(found, actor_of(by), wanted))
    session.output.result(row, fields_of(row))


@app.command()
def verify(
    ctx: typer.Context,
    obligation: Named,
    text: Words,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say that somebody else than the developer has checked what it attested, and how.

    \b
    Example:
      grantledger obligation verify o-0123456789abcdef --text "audit of 2018-10-01, report 7"

    \b
    Exit status:
      0  noted
      3  nothing was attested, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        desk = service.duties.obligations
        row = row_of(desk.verify(desk.load(obligation), actor_of(by), text))
    session.output.result(row, fields_of(row))


@app.command()
def waive(
    ctx: typer.Context,
    obligation: Named,
    approved_by: Approver,
    text: Words,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Do not insist any more; it takes a second person, and says why.

    \b
    Example:
      grantledger obligation waive o-0123456789abcdef --by eve --approved-by operator:jane \\
        --text "the developer was wound up in 2018; nobody is left to ask"

    \b
    Exit status:
      0  waived
      3  it has ended, the second person is the first one, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        desk = service.duties.obligations
        row = row_of(desk.waive(desk.load(obligation), actor_of(by), approved_by, text))
    session.output.result(row, fields_of(row))


@app.command()
def hold(
    ctx: typer.Context,
    obligation: Named,
    hold_id: Annotated[
        str, typer.Option("--hold", metavar="HOLD", help="The legal hold that goes first.")
    ] = "",
    end: Annotated[bool, typer.Option("--end", help="The hold is over; go on.")] = False,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Let a legal hold go first: nothing is to be deleted, and no deadline runs, until it ends.

    The hold has to stand, on this obligation's incident or on an account. When it is lifted or has run out the
    obligation goes on by itself, with deadlines later by as long as it lasted. A hold on an incident alone puts
    off none of its obligations: it says what is kept here, not what others may keep.

    \b
    Examples:
      grantledger hold place --incident i-0123456789abcdef --id h-case-17 --by ada
      grantledger obligation hold o-0123456789abcdef --hold h-case-17
      grantledger obligation hold o-0123456789abcdef --end

    \b
    Exit status:
      0  held, or going on with deadlines later by as long as it lasted
      3  it has ended, no such hold stands there, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        desk = service.duties.obligations
        found = desk.load(obligation)
        moved = desk.resume(found, actor_of(by)) if end else desk.hold(found, hold_id, actor_of(by))
        row = row_of(moved)
    session.output.result(row, fields_of(row))


@app.command()
def close(
    ctx: typer.Context,
    obligation: Named,
    reinstate: Annotated[
        bool,
        typer.Option(
            "--reinstate", help="Let developer and apps receive again that these steps had stopped."
        ),
    ] = False,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Why, kept as a commitment.")
    ] = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """End an obligation that was verified, or escalated as far as it goes.

    What was only attested cannot be closed: attested is not verified.

    \b
    Examples:
      grantledger obligation close o-0123456789abcdef --text "verified and settled"
      grantledger obligation close o-0123456789abcdef --reinstate

    \b
    Exit status:
      0  closed
      3  it is neither verified nor escalated, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        found = service.duties.obligations.load(obligation)
        row = row_of(service.duties.escalation.close(found, actor_of(by), text, reinstate=reinstate))
    session.output.result(row, fields_of(row))


app.command()(obligation_answers.ack)
app.command()(obligation_answers.attest)
app.command()(obligation_answers.key)
app.command()(obligation_answers.sign)
