"""``grantledger policy``: deadlines and periods, which are entries and never code (incidents and exports, section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.incident_app import DEFAULT_BY, By, actor_of
from ledger.cli.output import Field
from ledger.cli.service_session import open_service, time_of
from ledger.cli.session import AsJson, Db, Quiet, begin

if TYPE_CHECKING:
    from ledger.ports.incidents import Policy

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def about() -> None:
    """Set and list the periods that deadlines are made of.

    \b
    Examples:
      grantledger policy defaults --set
      grantledger policy set authority_notice 72h --jurisdiction gdpr

    \b
    Exit status: that of the command below it.
    """


@app.command("set")
def set_policy(
    ctx: typer.Context,
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="Such as authority_notice.")],
    period: Annotated[
        str, typer.Argument(metavar="PERIOD", help="A number and ms, s, m, h or d, such as 72h.")
    ],
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", metavar="ID", help="Where it holds. [default: everywhere]")
    ] = None,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Let a policy give another period from now on.

    A deadline that has begun keeps the period that was in force when it began.

    \b
    Examples:
      grantledger policy set people_notice 30d --jurisdiction california
      grantledger policy set retention.events 90d

    \b
    Exit status:
      0  set, or it was so before
      3  nothing asks for such a policy, it is no period, or no ledger
    """
    from ledger.incidents.policies import parse_period

    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        is_new = service.incidents.policies.set(policy, jurisdiction, parse_period(period), actor_of(by))
        rows = [
            _row(one)
            for one in service.incidents.policies.in_force()
            if (one.policy, one.jurisdiction) == (policy, jurisdiction or "")
        ]
    session.output.result({**rows[0], "is_new": is_new}, _fields(rows))


@app.command("list")
def list_policies(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the policies in force.

    \b
    Example:
      grantledger policy list --json

    \b
    Exit status:
      0  listed
      3  there is no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        rows = [_row(one) for one in service.incidents.policies.in_force()]
    none = "none is set, so nothing has a deadline: see `grantledger policy defaults`"
    session.output.result({"policies": rows}, _fields(rows) or [("policies", none)])


@app.command()
def defaults(
    ctx: typer.Context,
    wanted: Annotated[bool, typer.Option("--set", help="Set those that nobody has set yet.")] = False,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show the periods that laws and this project propose; with --set, set those that are not set.

    None of them counts before somebody has set it.

    \b
    Examples:
      grantledger policy defaults
      grantledger policy defaults --set --by eve

    \b
    Exit status:
      0  shown, or set
      3  there is no ledger
    """
    from ledger.incidents.policies import PROPOSED, format_period

    session = begin(ctx, db, as_json, quiet)
    rows: list[dict[str, Any]] = []
    with open_service(session) as service:
        policies = service.incidents.policies
        for one in PROPOSED:
            set_ms = policies.period_ms(one.policy, one.jurisdiction)
            if set_ms is None and wanted:
                policies.set(one.policy, one.jurisdiction, one.period_ms, actor_of(by))
                set_ms = one.period_ms
            rows.append(
                {
                    "policy": one.policy,
                    "jurisdiction": one.jurisdiction,
                    "period": format_period(one.period_ms),
                    "in_force": None if set_ms is None else format_period(set_ms),
                    "source": one.source,
                }
            )
    fields: list[Field] = [
        (
            f"{row['policy']} {row['jurisdiction'] or ''}".rstrip(),
            f"{row['period']}  ({row['source']})  in force: {row['in_force'] or 'nothing'}",
        )
        for row in rows
    ]
    session.output.result({"proposed": rows}, fields)


def _row(policy: Policy) -> dict[str, Any]:
    from ledger.incidents.policies import format_period

    return {
        "policy": policy.policy,
        "jurisdiction": policy.jurisdiction or None,
        "period": format_period(policy.period_ms),
        "period_ms": policy.period_ms,
        "set_at": time_of(policy.set_at_ms),
    }


def _fields(rows: list[dict[str, Any]]) -> list[Field]:
    return [
        (f"{row['policy']} {row['jurisdiction'] or ''}".rstrip(), f"{row['period']}  since {row['set_at']}")
        for row in rows
    ]
