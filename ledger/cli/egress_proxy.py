"""``grantledger egress-proxy``: the process that everything sent passes through, and the trust in it (ledger format, 1.5)."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.exits import OK
from ledger.cli.output import configure_log
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import SettingsError, StoreError

if TYPE_CHECKING:
    import httpx

    from ledger.egress.book import CountBook
    from ledger.egress.proxy import EgressProxy
    from ledger.vault.ed25519 import Ed25519Signer

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

KEY_FILE, BOOK_FILE = "egress.key", "counts.db"
HAND_IN_SECONDS = 30.0
HTTPS_ONLY = [443]

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where its key and its counts lie.")]


@app.callback()
def about() -> None:
    """Count what leaves, in a process of its own.

    The proxy reads which server a tunnel is for off the TLS hello, counts connections and bytes by server and
    hour, signs the counts with its own key and hands them in. `grantledger verify` holds them against what the
    log tells. Run it where the operator of the service does not, and let nothing else out of the network.

    \b
    Examples:
      grantledger egress-proxy init ./egress --proxy egress-1
      grantledger egress-proxy trust egress-1 3b6a27bc...
      grantledger egress-proxy serve ./egress --origin ledger.example/prod --api-key egress.header

    \b
    Exit status: that of the command below it.
    """


@app.command()
def init(
    ctx: typer.Context,
    directory: Directory,
    proxy: Annotated[str, typer.Option("--proxy", metavar="ID", help="What the log knows it by.")],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a proxy's key, once.

    \b
    Example:
      grantledger egress-proxy init ./egress --proxy egress-1

    \b
    Exit status:
      0  made
      3  there is a key already, or it cannot be written
    """
    from ledger.core.strict import check_id
    from ledger.vault.ed25519 import generate
    from ledger.vault.private_files import create_private_file
    from ledger.wiring import SYSTEM_RANDOMNESS

    session = begin(ctx, db, as_json, quiet)
    signer = generate(check_id(proxy, "a proxy's id"), SYSTEM_RANDOMNESS)
    directory.mkdir(parents=True, exist_ok=True)
    create_private_file(directory / KEY_FILE, f"{signer.skey()}\n".encode(), "the proxy's key file")
    public = signer.verifier().public_key().hex()
    session.output.result(
        {"proxy": proxy, "public_key": public},
        [
            ("proxy", proxy),
            ("public key", public),
            ("next", f"grantledger egress-proxy trust {proxy} {public}"),
        ],
    )


@app.command()
def trust(
    ctx: typer.Context,
    proxy: Annotated[str, typer.Argument(metavar="PROXY", help="The proxy's id.")],
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Its Ed25519 public key: 64 lower-case hex digits.")
    ],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write into the log with which key a proxy signs; it replaces the one before.

    \b
    Example:
      grantledger egress-proxy trust egress-1 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29

    \b
    Exit status:
      0  the key counts
      3  it is no key, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        is_new = service.egress_counts.set_key(proxy, key, "operator:cli")
    session.output.result(
        {"proxy": proxy, "key": key, "changed": is_new},
        [("proxy", proxy), ("key", key), ("changed", "yes" if is_new else "no")],
    )


@app.command()
def serve(
    ctx: typer.Context,
    directory: Directory,
    origin: Annotated[str, typer.Option("--origin", metavar="ORIGIN", help="The log that counts are for.")],
    api_key: Annotated[
        Path, typer.Option("--api-key", metavar="FILE", help="An operator's API key, to hand in counts with.")
    ],
    service: Annotated[
        str, typer.Option("--service", metavar="URL", help="Where counts are handed in.")
    ] = "http://127.0.0.1:8400",
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where tunnels are asked for.")
    ] = "127.0.0.1:8500",
    ports: Annotated[
        list[int], typer.Option("--port", help="A port that tunnels may go to; repeatable.")
    ] = HTTPS_ONLY,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Development only: tunnels to private addresses.")
    ] = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Open tunnels, count, and hand in each hour when it is over.

    Set GRANTLEDGER_EGRESS_PROXY of the service to where it listens. Killed, it loses at most a second of counts,
    and the hour is never closed; stopped by SIGTERM or SIGINT it loses nothing.

    \b
    Example:
      grantledger egress-proxy serve ./egress --origin ledger.example/prod --api-key egress.header

    \b
    Exit status:
      0  stopped as asked
      3  no key, the port or the file is taken
    """
    from ledger.egress.book import CountBook
    from ledger.egress.proxy import EgressProxy
    from ledger.wiring import SYSTEM_CLOCK

    session = begin(ctx, db, as_json, quiet)
    configure_log()
    signer = _load_key(directory / KEY_FILE)
    host, separator, digits = listen.rpartition(":")
    if not separator or not digits.isdecimal():
        raise SettingsError(f"--listen {listen!r} is not HOST:PORT, for example 127.0.0.1:8500")
    book = CountBook(directory / BOOK_FILE, SYSTEM_CLOCK.now_ms())
    proxy = EgressProxy(book, SYSTEM_CLOCK.now_ms, ports=frozenset(ports), allows_private=allow_private)
    stopped = threading.Event()
    handing_in = threading.Thread(
        target=_hand_in_again_and_again,
        args=(book, _client(service, api_key), signer, origin, stopped),
        daemon=True,
    )

    def started(port: int) -> None:
        session.output.remark(f"tunnels are opened at {host}:{port}")
        handing_in.start()

    try:
        asyncio.run(_serve(proxy, host, int(digits), started))
    finally:
        stopped.set()
        book.close()
    return OK


async def _serve(proxy: EgressProxy, host: str, port: int, started: Callable[[int], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await proxy.serve(host, port, stop, started)


def _hand_in_again_and_again(
    book: CountBook, client: httpx.Client, signer: Ed25519Signer, origin: str, stopped: threading.Event
) -> None:
    import structlog

    from ledger.egress.handing_in import hand_in_hours
    from ledger.wiring import SYSTEM_CLOCK

    log = structlog.get_logger()
    while not stopped.is_set():
        try:
            # Some seconds late, so that what passed at the end of an hour was written.
            late_ms = SYSTEM_CLOCK.now_ms() - 5_000
            hand_in_hours(book, client, proxy=signer.name, key=signer, log=origin, now_ms=late_ms)
        except StoreError as error:
            log.error("egress.not_handed_in", reason=str(error))
        stopped.wait(HAND_IN_SECONDS)


def _load_key(path: Path) -> Ed25519Signer:
    from ledger.errors import FormatError
    from ledger.vault.ed25519 import signer_from_skey
    from ledger.vault.private_files import read_private_file

    text = read_private_file(path, "the proxy's key file").decode("utf-8", errors="replace")
    try:
        return signer_from_skey(text.removesuffix("\n"))
    except FormatError:
        raise SettingsError(
            f"{path} does not hold a private key: run `grantledger egress-proxy init`"
        ) from None


def _client(service: str, api_key: Path) -> httpx.Client:
    import httpx

    try:
        text = api_key.read_text("ascii").strip().removeprefix("Authorization: Bearer ")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{api_key} does not hold an API key: {error}") from error
    return httpx.Client(
        base_url=service, headers={"Authorization": f"Bearer {text}"}, timeout=30, trust_env=False
    )
