"""``grantledger``: the commands, and what becomes of an error.

Expected errors end in a line that says what to do, never in a traceback. Exit statuses are those of
:mod:`ledger.cli.exits`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from ledger import __version__
from ledger.cli import (
    account,
    apikey,
    app_noun,
    canary,
    check,
    check_ticket,
    developer,
    drill,
    egress_proxy,
    erase,
    export,
    exposure,
    history,
    hold,
    imports,
    incident,
    init,
    log,
    monitor,
    notice,
    obligation,
    policy,
    prove,
    receiver,
    reenact,
    reindex,
    restore,
    retention,
    seal,
    serve,
    show,
    sign_request,
    status,
    stream,
    table,
    verify,
    verify_script,
    witness,
)
from ledger.cli.exits import INTERRUPTED, OK, UNUSABLE, status_of
from ledger.cli.output import Output
from ledger.cli.session import AsJson, Db, Quiet, Session
from ledger.errors import LedgerError

NAME = "grantledger"
WIDTH = 88

app = typer.Typer(
    name=NAME,
    add_completion=False,
    # Plain help is answered four times as fast as the decorated one, and docs/cli.md can hold it as it is.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "terminal_width": WIDTH,
        "max_content_width": WIDTH,
        "help_option_names": ["-h", "--help"],
    },
)


def _show_version(wanted: bool) -> None:
    if wanted:
        Output().text(f"{NAME} {__version__}")
        raise typer.Exit(OK)


@app.callback(invoke_without_command=True)
def begin_session(
    ctx: typer.Context,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave."),
    ] = False,
) -> None:
    """Keep a ledger of which data went to whom, under which grant, that nobody can alter unnoticed.

    --db, --json and --quiet may stand before or after the command.

    \b
    A first ledger:
      grantledger init --origin ledger.example/prod
      grantledger import history.jsonl.gz
      grantledger seal
      grantledger log publish ./public

    \b
    A first app, and a service to use it with:
      grantledger developer create "Acme Ltd" --id dev-acme
      grantledger app create --developer dev-acme --name DeskLine --json > app.json
      grantledger serve

    \b
    Exit status of every command:
      0  done
      1  verify: data reached somebody who had no right to it
      2  the ledger contradicts itself, or what was signed
      3  bad usage or input, or the machine failed; the message names the fix
      130  interrupted: what was durable stays
    """
    ctx.obj = Session(Output(as_json, quiet), db)
    if ctx.invoked_subcommand is None:
        Output().warning(ctx.get_help())
        raise typer.Exit(UNUSABLE)


app.command("init")(init.init)
app.command("import")(imports.import_records)
app.command("seal")(seal.seal)
app.command("reindex")(reindex.reindex)
app.command("verify")(verify.verify)
app.command("monitor")(monitor.monitor)
app.command("exposure")(exposure.exposure)
app.command("status")(status.status)
app.command("show")(show.show)
app.add_typer(prove.app, name="prove")
app.command("check")(check.check)
app.command("verify-script")(verify_script.verify_script)
app.command("history")(history.history)
app.add_typer(log.app, name="log")
app.command("serve")(serve.serve)
app.add_typer(developer.app, name="developer")
app.add_typer(app_noun.app, name="app")
app.add_typer(account.app, name="account")
app.add_typer(apikey.app, name="apikey")
app.command("check-ticket")(check_ticket.check)
app.command("sign-request")(sign_request.sign_request)
app.add_typer(witness.app, name="witness")
app.add_typer(receiver.app, name="receiver")
app.add_typer(canary.app, name="canary")
app.add_typer(incident.app, name="incident")
app.add_typer(policy.app, name="policy")
app.add_typer(egress_proxy.app, name="egress-proxy")
app.add_typer(notice.app, name="notice")
app.add_typer(obligation.app, name="obligation")
app.add_typer(erase.app, name="erase")
app.add_typer(hold.app, name="hold")
app.command("restore")(restore.restore)
app.add_typer(retention.app, name="retention")
app.add_typer(export.app, name="export")
app.command("table")(table.table)
app.command("stream")(stream.stream)
app.command("reenact")(reenact.reenact)
app.command("drill")(drill.drill)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments`` (else the process's) name; returns its exit status."""
    output = Output()
    try:
        status = app(args=arguments, prog_name=NAME, standalone_mode=False)
    except typer.TyperException as error:
        output.error(_explain_usage(error))
        return UNUSABLE
    except LedgerError as error:
        output.error(str(error))
        return status_of(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        output.error(f"{where}{error.strerror or error}")
        return UNUSABLE
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status == INTERRUPTED:
        output.error(
            "interrupted; what was durable stays in the ledger, and the same command again goes on from there"
        )
    return status if isinstance(status, int) else OK


def _explain_usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = NAME if context is None else context.command_path
    return f"{error.format_message().rstrip('.')}; see `{command} --help`"


def main() -> NoReturn:
    """The entry point ``grantledger``."""
    sys.exit(run())
