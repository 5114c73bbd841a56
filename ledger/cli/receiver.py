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
    import uvicorn

    from ledger.receiver.app import Arrival
    from ledger.receiver.confirming import Confirming

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


@app.command("key")
def key(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is to lie.")],
    developer: Annotated[str, typer.Option("--developer", metavar="ID", help="Whose key it is.")],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a developer's key for signing receipts.

    Only the public key leaves the file: register it by PUT /v1/receipts/key, or `grantledger developer key`.

    \b
    Example:
      grantledger receiver key receipts.key --developer dev-acme

    \b
    Exit status:
      0  made
      3  there is a file already, or it cannot be written
    """
    from ledger.receiver.receipts import make_receipt_key

    session = begin(ctx, db, as_json, quiet)
    public = make_receipt_key(path, developer)
    session.output.result(
        {"developer": developer, "file": str(path), "public_key": public},
        [("file", str(path)), ("public key", public)],
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
    receipts: Annotated[
        Path | None,
        typer.Option("--receipts", metavar="FILE", help="Confirm deliveries with the key of `receiver key`."),
    ] = None,
    service: Annotated[
        str, typer.Option("--service", metavar="URL", help="Where receipts are handed in.")
    ] = "http://127.0.0.1:8400",
    api_key: Annotated[
        Path | None,
        typer.Option("--api-key", metavar="FILE", help="A developer's API key, to hand in receipts with."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Answer challenges, check deliveries and show them.

    Deliveries that no app of --app signed are shown and refused (403). With --vkey the ticket of each delivery is
    checked as well. With --receipts, --vkey and --api-key every delivery that is signed is confirmed to the
    service with a signed receipt. Runs until SIGINT or SIGTERM.

    \b
    Examples:
      grantledger receiver run ./receiver --app app.json
      grantledger receiver run ./receiver --app app.json --status 500 --json

    \b
    Exit status:
      0  stopped as asked
      3  no certificate or credentials there, or the port is taken
    """
    from ledger.receiver.app import Receiver
    from ledger.vault.ed25519 import verifier_from_vkey

    session = begin(ctx, db, as_json, quiet)
    secrets = [_secret_in(path) for path in credentials]
    _check_certificate(directory)
    verifiers = [] if vkey is None else [verifier_from_vkey(vkey.read_text("ascii").strip())]
    confirming = None if receipts is None else _confirming(receipts, vkey, service, api_key)

    def show(arrival: Arrival) -> None:
        _show(session.output, arrival)
        if confirming is not None:
            confirming.confirm(arrival)

    receiving = Receiver(secrets, show, verifiers=verifiers, status=status)
    session.output.remark(f"listening on https://127.0.0.1:{port}")
    server = _server(receiving.application(), directory, port)
    server.run()
    if confirming is not None and (left := confirming.sender.close()):
        session.output.remark(f"{left} receipts could not be handed in")
    return OK if server.started else UNUSABLE


def _check_certificate(directory: Path) -> None:
    from ledger.receiver.certificates import CERTIFICATE_FILE

    if not (directory / CERTIFICATE_FILE).exists():
        raise SettingsError(
            f"there is no certificate in {directory}: run `grantledger receiver certificate {directory} --host NAME`"
        )


def _server(application: Any, directory: Path, port: int) -> uvicorn.Server:
    import uvicorn

    from ledger.receiver.certificates import CERTIFICATE_FILE, KEY_FILE

    return uvicorn.Server(
        uvicorn.Config(
            application,
            host="127.0.0.1",
            port=port,
            ssl_certfile=str(directory / CERTIFICATE_FILE),
            ssl_keyfile=str(directory / KEY_FILE),
            lifespan="off",
            log_config=None,
            access_log=False,
        )
    )


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


def _confirming(receipts: Path, vkey: Path | None, service: str, api_key: Path | None) -> Confirming:
    """What confirms arrivals; raises SettingsError where something that it takes is missing."""
    from ledger.receiver.confirming import Confirming
    from ledger.receiver.receipts import ReceiptSender, ReceiptSigner, load_receipt_key

    if vkey is None or api_key is None:
        raise SettingsError("--receipts needs the ledger's --vkey and a developer's --api-key as well")
    key = load_receipt_key(receipts)
    try:
        text = api_key.read_text("ascii").strip().removeprefix("Authorization: Bearer ")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{api_key} does not hold an API key: {error}") from error
    signer = ReceiptSigner(key.name, key, vkey.read_text("ascii").strip())
    return Confirming(signer, ReceiptSender(service, text, every_s=1.0))


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
