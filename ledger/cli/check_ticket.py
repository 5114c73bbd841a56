"""``grantledger check-ticket``: hold a delivery's ticket against the log that signed it (ledger format, section 1.5)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.exits import BROKEN
from ledger.cli.session import AsJson, Db, Quiet, Session, begin
from ledger.cli.verify import ApiKey, Tiles
from ledger.core.ticket import TICKET_HEADER, Ticket, check_ticket
from ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from ledger.transparency.promises import Promise
    from ledger.vault.ed25519 import Ed25519Verifier

STANDARD_INPUT = "-"
INPUT_BYTES_MAX = 1 << 20

_IN_WORDS: dict[Promise | None, str] = {
    "kept": "kept: the entry is there, with this leaf hash",
    "broken": "BROKEN: the log has another entry at this place, or none",
    "not there yet": "not published yet: the checkpoint ends before this entry; ask again after the next one",
    None: "not looked for: no log was named",
}

Text = Annotated[
    str,
    typer.Argument(
        metavar="TICKET",
        help=f"The ticket, or headers with {TICKET_HEADER} in them; - or nothing: standard input.",
    ),
]
Vkey = Annotated[
    Path | None,
    typer.Option(
        "--vkey", metavar="FILE", help="The log's public key. [default: the database's; needed with --tiles]"
    ),
]


def check(
    ctx: typer.Context,
    text: Text = STANDARD_INPUT,
    vkey: Vkey = None,
    tiles: Tiles = None,
    api_key: ApiKey = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check the ticket that came with a delivery.

    A ticket is the log's signed promise that the delivery's attempt stands in it at a certain place. With
    --vkey alone the signature is checked, offline. With --tiles, a published log, or with a database, it is
    also checked that the entry is there. A promise that the log does not keep is evidence against its
    operator: keep the ticket.

    \b
    Examples:
      grantledger check-ticket "$TICKET" --vkey log.vkey
      grantledger check-ticket --vkey log.vkey --tiles ./public < headers.txt
      curl -sI https://hooks.example/last | grantledger check-ticket --json

    \b
    Exit status:
      0  the log signed it, and keeps the promise as far as it was asked
      2  the log did not sign it, or does not keep the promise
      3  no ticket, no key, or no log
    """
    session = begin(ctx, db, as_json, quiet)
    wanted = find_ticket(_read_input() if text == STANDARD_INPUT else text)
    if tiles is not None:
        if vkey is None:
            raise UsageError(
                "name the log's public key with --vkey FILE; get it from somewhere else than the log"
            )
        ticket, promise = _check_published(wanted, tiles, api_key or None, _load_verifier(vkey))
    elif vkey is not None and session.database is None:
        ticket, promise = check_ticket(wanted, [_load_verifier(vkey)]), None
    else:
        ticket, promise = _check_recorded(session, wanted, None if vkey is None else _load_verifier(vkey))
    session.output.result(
        {
            "origin": ticket.origin,
            "seq": ticket.seq,
            "leaf_hash": ticket.leaf_hash.hex(),
            "key_id": ticket.signature.key_id.hex(),
            "promise": promise,
        },
        [
            ("signature", f"good, by the key {ticket.signature.key_id.hex()} of {ticket.origin}"),
            ("entry", f"{ticket.seq:,}"),
            ("leaf hash", ticket.leaf_hash.hex()),
            ("promise", _IN_WORDS[promise]),
        ],
    )
    if promise == "broken":
        session.output.error(
            f"the log {ticket.origin} promised another entry {ticket.seq} than it has: keep the ticket, and what the log "
            "shows now; both together are the evidence"
        )
        raise typer.Exit(BROKEN)


def find_ticket(text: str) -> str:
    """The ticket in ``text``: the value of its header, if there are headers, else all of it without white space around.

    Raises UsageError where the header is there more than once, with different values.
    """
    values = set()
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip("<> \t").lower() == TICKET_HEADER:
            values.add(value.strip())
    if len(values) > 1:
        raise UsageError("there are several tickets: check one at a time")
    return values.pop() if values else text.strip()


def _read_input() -> str:
    data = sys.stdin.buffer.read(INPUT_BYTES_MAX)
    # What is no UTF-8 is no ticket either; the message of the check says so.
    return data.decode("utf-8", errors="replace")


def _load_verifier(path: Path) -> Ed25519Verifier:
    from ledger.vault.ed25519 import verifier_from_vkey

    try:
        return verifier_from_vkey(path.read_text("ascii").strip())
    except (FormatError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} holds no log key: {error}") from error


def _check_published(
    text: str, tiles: str, api_key: str | None, verifier: Ed25519Verifier
) -> tuple[Ticket, Promise]:
    from ledger.transparency.promises import check_published_promise
    from ledger.verifying import open_published

    ticket = check_ticket(text, [verifier])
    return ticket, check_published_promise(ticket, open_published(tiles, api_key), [verifier])


def _check_recorded(session: Session, text: str, verifier: Ed25519Verifier | None) -> tuple[Ticket, Promise]:
    from ledger.transparency.promises import check_recorded_promise

    with session.open_ledger() as ledger:
        ticket = check_ticket(text, [verifier or ledger.verifier])
        if ticket.origin != ledger.origin:
            raise UsageError(f"the ticket is of the log {ticket.origin}, this ledger is {ledger.origin}")
        return ticket, check_recorded_promise(ticket, ledger.store)
