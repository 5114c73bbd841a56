"""``grantledger receiver``: a webhook receiver on this machine, for trying the service out (delivery protocol, 3.4, 3.5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.exits import OK, UNUSABLE
from ledger.cli.output import Output
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import SettingsError

if TYPE_CHECKING:
    from ledger.receiver.app import Arrival

app = typer.Typer(name="receiver", rich_markup_mode=None, no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where its certificate lies.")]


@app.callback()
def receiver() -> None:
    """Receive deliveries on this machine, to try the service out.

    Webhooks are public https URLs without a port. A development service may be told of hosts that are on this
    machine (GRANTLEDGER_HOST_OVERRIDES) and of an authority to trust (GRANTLEDGER_TRUSTED_CA); never set either
    where real data is delivered.

    \b
    Examples:
      grantledger receiver certificate ./receiver --host deskline.example
      grantledger receiver run ./receiver --app app.json

    \b
    Exit status:
      0  done, or stopped as asked
      3  bad usage or input, or the machine failed
    """


@app.command("certificate")
def certificate(
    ctx: typer.Context,
    directory: Directory,
    host: Annotated[
        list[str], typer.Option("--host", metavar="NAME", help="A host of the receiver; repeatable.")
    ],
    port: Annotated[int, typer.Option("--port", help="Where it is going to listen.")] = 8443,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a private authority, and a certificate for the hosts.

    Says what to set before `grantledger serve`, so that it finds and trusts them. Run again it makes nothing new.

    \b
    Example:
      grantledger receiver certificate ./receiver --host deskline.example

    \b
    Exit status:
      0  made, or there already
      3  the files cannot be written
    """
    from ledger.receiver.certificates import CA_FILE, make_certificate
    from ledger.wiring import SYSTEM_RANDOMNESS

    session = begin(ctx, db, as_json, quiet)
    is_new = make_certificate(directory, host, SYSTEM_RANDOMNESS)
    overrides = ",".join(f"{one}=127.0.0.1:{port}" for one in host)
    ca_file = str(directory.resolve() / CA_FILE)
    session.output.result(
        {"created": is_new, "trusted_ca": ca_file, "host_overrides": overrides},
        [
            ("certificate", "made" if is_new else "was there already"),
            ("for the service", f"export GRANTLEDGER_TRUSTED_CA={ca_file}"),
            ("", f"export GRANTLEDGER_HOST_OVERRIDES={overrides}"),
        ],
    )


@app.command("run")
def run(
    ctx: typer.Context,
    directory: Directory,
    credentials: Annotated[
        list[Path],
        typer.Option(
            "--app", metavar="FILE", help="What `grantledger app create --json` printed; repeatable."
        ),
    ],
    port: Annotated[int, typer.Option("--port", help="Where to listen on 127.0.0.1.")] = 8443,
    status: Annotated[int, typer.Option("--status", help="What to answer deliveries with.")] = 200,
    vkey: Annotated[
        Path | None,
        typer.Option("--vkey", metavar="FILE", help="The ledger's public key, to check tickets with."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Answer challenges, check deliveries and show them.

    Deliveries that no app of --app signed are shown and refused (403). With --vkey the ticket of each delivery is
    checked as well. Runs until SIGINT or SIGTERM.

    \b
    Examples:
      grantledger receiver run ./receiver --app app.json
      grantledger receiver run ./receiver --app app.json --status 500 --json

    \b
    Exit status:
      0  stopped as asked
      3  no certificate or credentials there, or the port is taken
    """
    import uvicorn

    from ledger.receiver.app import Receiver
    from ledger.receiver.certificates import CERTIFICATE_FILE, KEY_FILE
    from ledger.vault.ed25519 import verifier_from_vkey

    session = begin(ctx, db, as_json, quiet)
    secrets = [_secret_in(path) for path in credentials]
    if not (directory / CERTIFICATE_FILE).exists():
        raise SettingsError(
            f"there is no certificate in {directory}: run `grantledger receiver certificate {directory} --host NAME`"
        )
    verifiers = [] if vkey is None else [verifier_from_vkey(vkey.read_text("ascii").strip())]

    def show(arrival: Arrival) -> None:
        _show(session.output, arrival)

    receiving = Receiver(secrets, show, verifiers=verifiers, status=status)
    session.output.remark(f"listening on https://127.0.0.1:{port}")
    server = uvicorn.Server(
        uvicorn.Config(
            receiving.application(),
            host="127.0.0.1",
            port=port,
            ssl_certfile=str(directory / CERTIFICATE_FILE),
            ssl_keyfile=str(directory / KEY_FILE),
            lifespan="off",
            log_config=None,
            access_log=False,
        )
    )
    server.run()
    return OK if server.started else UNUSABLE


def _show(output: Output, arrival: Arrival) -> None:
    document: dict[str, Any] = {
        "host": arrival.host,
        "path": arrival.path,
        "delivery": arrival.delivery,
        "signature": "valid" if arrival.is_signed else "invalid",
        "ticket": arrival.ticket,
        "payload": arrival.payload(),
    }
    output.result(
        document,
        [
            ("arrived", f"https://{arrival.host}{arrival.path}"),
            ("delivery", arrival.delivery or "(none stated)"),
            ("signature", document["signature"]),
            *([("ticket", f"entry {arrival.ticket}")] if arrival.ticket else []),
            ("payload", json.dumps(document["payload"])),
        ],
    )


def _secret_in(path: Path) -> str:
    try:
        secret = json.loads(path.read_text("utf-8")).get("consumer_secret")
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(
            f"{path} does not hold what `grantledger app create --json` printed: {error}"
        ) from error
    if not isinstance(secret, str):
        raise SettingsError(
            f"{path} has no consumer_secret: name what `grantledger app create --json` printed"
        )
    return secret
