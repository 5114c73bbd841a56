"""``grantledger retention``: what is older than the policies let it be (ledger format, section 1.2)."""

from __future__ import annotations

import typer

from ledger.cli.output import Field
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def about() -> None:
    """Destroy what is older than the policies let it be.

    \b
    Policies, each a `policy.set` entry; what has none is kept as before:
      retention.events            bodies of events
      retention.dead_letters      events that were never delivered
      retention.notes             what developers see of attempts
      retention.contacts          addresses of accounts that were deleted
      retention.deleted_accounts  accounts that were deleted: proposed for erasure

    \b
    Example:
      grantledger retention run

    \b
    Exit status: that of the command below it.
    """


@app.command()
def run(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Destroy what is too old, and propose who is.

    A running service does it by itself. What is under a legal hold stays. Accounts are never erased by a rule
    alone: they are proposed, and `grantledger erase approve` takes a person.

    \b
    Example:
      grantledger retention run --json

    \b
    Exit status:
      0  done
      3  no ledger
    """
    from ledger.incidents.policies import RETAINED

    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        done = service.privacy.retention.run()
    fields: list[Field] = [
        (policy, f"{done[policy]:,}" if policy in done else "no such policy is set") for policy in RETAINED
    ]
    session.output.result(done, fields)
