"""``grantledger witness``: see to it that logs only grow (transparency formats, section 4.6)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.cli.exits import OK, UNUSABLE
from ledger.cli.output import configure_log, format_second
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.core.strict import encode_base64
from ledger.errors import UsageError

app = typer.Typer(name="witness", rich_markup_mode=None, no_args_is_help=True)

DEFAULT_LISTEN = "127.0.0.1:8500"
STANDARD_INPUT = "-"
SERVER_BOUNDS: dict[str, Any] = {
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 5,
    "limit_concurrency": 500,
}
"""Logs keep their connections from one seal to the next; nobody else needs one for long."""

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="Where the witness lives: its key and its database.")
]


@app.callback()
def about() -> None:
    """Be a witness: cosign checkpoints of logs that only grow.

    A witness is a process of its own, run by somebody else than the log. It needs no ledger: it knows logs by
    their public keys, and sees no entry. It speaks the protocol of C2SP tlog-witness, so other people's logs may
    ask it, and this project's logs other people's witnesses. docs/witness.md shows the whole way.

    \b
    Examples:
      grantledger witness init ./north --name witness.example/north
      grantledger witness add-log ./north ledger.vkey
      grantledger witness serve ./north --listen 0.0.0.0:8500

    \b
    Exit status: that of the command below it.
    """


@app.command("init")
def init(
    ctx: typer.Context,
    directory: Directory,
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="A URL without scheme; it stands in every cosignature."),
    ],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a witness's key and database in DIR.

    Run again it makes what is missing and replaces nothing. The public key, DIR/witness.vkey, is what goes into
    the policies of logs and of those who verify them.

    \b
    Example:
      grantledger witness init ./north --name witness.example/north

    \b
    Exit status:
      0  made, or there already
      3  a witness of another name lives there, or something cannot be written
    """
    from ledger.wiring import SYSTEM_RANDOMNESS
    from ledger.witness.place import KEY_FILE, create_witness

    session = begin(ctx, db, as_json, quiet)
    signer, is_new = create_witness(directory, name, SYSTEM_RANDOMNESS)
    session.output.result(
        {"created": is_new, "name": signer.name, "vkey": signer.vkey()},
        [
            ("witness", "made" if is_new else "was there already"),
            ("name", signer.name),
            ("public key", signer.vkey()),
            ("private key", directory / KEY_FILE),
        ],
    )


@app.command("add-log")
def add_log(
    ctx: typer.Context,
    directory: Directory,
    vkey: Annotated[str, typer.Argument(metavar="VKEY", help="The log's public key, or a file with it.")],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Cosign for a log from now on, which its public key names.

    Get the key from the log's operator by a way that you trust. A log that rotates its key gets the new one
    beside the old one. May be run while the witness serves.

    \b
    Example:
      grantledger witness add-log ./north ledger.vkey

    \b
    Exit status:
      0  added, or there already
      3  that is no log's public key, or no witness lives there
    """
    from ledger.core.note import parse_vkey
    from ledger.wiring import SYSTEM_CLOCK
    from ledger.witness.place import open_witness, parse_log_key

    session = begin(ctx, db, as_json, quiet)
    key = parse_log_key(vkey)
    with open_witness(directory, SYSTEM_CLOCK) as opened:
        is_new = opened.book.add_key(key, SYSTEM_CLOCK.now_ms() // 1_000)
    origin = parse_vkey(key).name
    session.output.result(
        {"added": is_new, "origin": origin, "vkey": key},
        [("log", f"{'added' if is_new else 'known already'}: {origin}"), ("public key", key)],
    )


@app.command("serve")
def serve(
    ctx: typer.Context,
    directory: Directory,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve HTTP.")
    ] = DEFAULT_LISTEN,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="FILE", help="A certificate chain in PEM: serve HTTPS."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key of the certificate, in PEM.")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Answer logs that ask for cosignatures.

    What was cosigned is on the disk before anybody is told, so it may be killed at any time. A checkpoint that
    contradicts what was cosigned before is refused and kept as evidence.

    \b
    To be asked by machines:
      POST /add-checkpoint   the protocol of C2SP tlog-witness
      GET  /evidence         evidence of forks, and /evidence/NAME
      GET  /witness.vkey, /healthz, /metrics

    \b
    Example:
      grantledger witness serve ./north --listen 0.0.0.0:8500

    \b
    Exit status:
      0  stopped as asked
      3  no witness lives there, or the address is taken
    """
    import uvicorn

    from ledger.service_settings import parse_listen
    from ledger.serving import run_server
    from ledger.wiring import SYSTEM_CLOCK
    from ledger.witness.app import WitnessApp
    from ledger.witness.place import open_witness

    session = begin(ctx, db, as_json, quiet)
    host, port = parse_listen(listen)
    if (certificate is None) != (key is None):
        raise UsageError("--certificate and --key go together: name both, or neither")
    configure_log(as_json=True)
    shown = f"{'http' if certificate is None else 'https'}://{host}:{port}"
    with open_witness(directory, SYSTEM_CLOCK) as opened:
        config = uvicorn.Config(
            WitnessApp(opened).application(),
            host=host,
            port=port,
            ssl_certfile=None if certificate is None else str(certificate),
            ssl_keyfile=None if key is None else str(key),
            **SERVER_BOUNDS,
        )

        def say_listening() -> None:
            session.output.result(
                {"listening": shown, "name": opened.signer.name},
                [("listening", shown), ("witness", opened.signer.name)],
            )

        has_listened = run_server(config, say_listening)
    return OK if has_listened else UNUSABLE


@app.command("status")
def status(
    ctx: typer.Context, directory: Directory, db: Db = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show which logs the witness knows, how far each was cosigned, and what speaks against it.

    \b
    Example:
      grantledger witness status ./north --json

    \b
    Exit status:
      0  shown
      3  no witness lives there
    """
    from ledger.wiring import SYSTEM_CLOCK
    from ledger.witness.place import open_witness

    session = begin(ctx, db, as_json, quiet)
    logs = []
    with open_witness(directory, SYSTEM_CLOCK) as opened:
        signer = opened.signer
        against = [kept.origin for kept in opened.book.evidence()]
        for origin in opened.book.origins():
            last = opened.book.load(origin)
            logs.append(
                {
                    "origin": origin,
                    "keys": opened.book.keys(origin),
                    "size": 0 if last is None else last.size,
                    "root": None if last is None else encode_base64(last.root),
                    "cosigned_at": None if last is None else format_second(last.cosigned_at_s),
                    "evidence": against.count(origin),
                }
            )
    session.output.result(
        {"name": signer.name, "vkey": signer.vkey(), "logs": logs},
        [
            ("witness", signer.name),
            ("public key", signer.vkey()),
            *(
                (
                    f"{one['origin']}",
                    f"{one['size']:,} entries, cosigned {one['cosigned_at'] or 'never'}"
                    + (f"; {one['evidence']} PIECES OF EVIDENCE AGAINST IT" if one["evidence"] else ""),
                )
                for one in logs
            ),
        ],
    )


@app.command("evidence")
def evidence(
    ctx: typer.Context,
    directory: Directory,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print this one, byte for byte; left out: list all.")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the evidence of forks that the witness has kept, or print one.

    Each is a file that anybody can check without the witness: see `grantledger witness check-evidence`.

    \b
    Examples:
      grantledger witness evidence ./north
      grantledger witness evidence ./north 6f5902ac237024bdd0c176cb93063dc4 > fork.json

    \b
    Exit status:
      0  listed or printed
      3  there is no such evidence, or no witness lives there
    """
    from ledger.wiring import SYSTEM_CLOCK
    from ledger.witness.place import open_witness

    session = begin(ctx, db, as_json, quiet)
    with open_witness(directory, SYSTEM_CLOCK) as opened:
        found = None if name is None else opened.book.evidence_named(name)
        kept = opened.book.evidence() if name is None else []
    if name is not None:
        if found is None:
            raise UsageError(f"there is no evidence {name!r}: leave NAME out to list what is there")
        session.output.raw(found.data)
        return
    rows = [{"name": one.name, "origin": one.origin, "seen_at": format_second(one.seen_at_s)} for one in kept]
    session.output.result(
        {"evidence": rows},
        [(row["name"], f"{row['origin']}, seen {row['seen_at']}") for row in rows] or [("evidence", "none")],
    )


@app.command("check-evidence")
def check_evidence(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The evidence; - is standard input.")],
    vkey: Annotated[
        Path | None,
        typer.Option(
            "--vkey", metavar="FILE", help="The log's public key. [default: the one in the evidence]"
        ),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check evidence of a fork, offline.

    Two checkpoints of one size with two roots, both signed by the log, are a fork, whoever shows them. Two of
    different sizes are unexplained until the log shows a proof that joins them.

    \b
    Example:
      grantledger witness check-evidence fork.json --vkey ledger.vkey

    \b
    Exit status:
      0  it shows a fork
      1  it shows two checkpoints that the log has not joined
      2  it shows nothing: a signature fails, or the two go together
      3  this is no evidence
    """
    from ledger.core.fork_evidence import EVIDENCE_BYTES_MAX, check_fork_evidence, parse_fork_evidence
    from ledger.vault.ed25519 import verifier_from_vkey
    from ledger.witness.place import parse_log_key

    session = begin(ctx, db, as_json, quiet)
    if file == STANDARD_INPUT:
        data = sys.stdin.buffer.read(EVIDENCE_BYTES_MAX + 1)
    else:
        with Path(file).open("rb") as opened:
            data = opened.read(EVIDENCE_BYTES_MAX + 1)
    found = parse_fork_evidence(data)
    key = found.vkey if vkey is None else parse_log_key(str(vkey))
    checked = check_fork_evidence(found, [verifier_from_vkey(key)])
    is_fork = checked.fork == "fork"
    session.output.result(
        {
            "verdict": checked.fork,
            "origin": checked.known.origin,
            "vkey": key,
            "known": {"tree_size": checked.known.size, "root": encode_base64(checked.known.root)},
            "shown": {"tree_size": checked.shown.size, "root": encode_base64(checked.shown.root)},
            "seen_by": found.seen_by,
            "seen_at": format_second(found.seen_at_s),
        },
        [
            ("verdict", "FORK: two trees of one size" if is_fork else "unexplained: no proof joins the two"),
            ("log", checked.known.origin),
            (
                "signed by",
                key + ("" if vkey is not None else " (only the evidence says that this is its key)"),
            ),
            ("known", f"{checked.known.size:,} entries, root {encode_base64(checked.known.root)}"),
            ("shown", f"{checked.shown.size:,} entries, root {encode_base64(checked.shown.root)}"),
            ("seen", f"by {found.seen_by}, {format_second(found.seen_at_s)}"),
        ],
    )
    if not is_fork:
        raise typer.Exit(1)
