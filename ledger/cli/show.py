"""``grantledger show``: an entry, its leaf hash and its proof (transparency formats, section 4.5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import Field
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import ForkError, UsageError

if TYPE_CHECKING:
    from ledger.ports import StoredEntry
    from ledger.wiring import Ledger

SEQ_DIGITS_MAX = 17
"""More digits than any seq has, and few enough for every database."""

Which = Annotated[str, typer.Argument(metavar="SEQ|UID", help="The entry's number, or its uid.")]
Raw = Annotated[
    bool, typer.Option("--raw", help="Print the entry's bytes as they were hashed, and nothing else.")
]


def show(
    ctx: typer.Context,
    which: Which,
    raw: Raw = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show an entry, its leaf hash and its proof of inclusion.

    The proof is that the last checkpoint covers the entry; it is checked before it is shown. It is in the
    tlog-proof format (member "proof" with --json), which other people's tools check too. --raw prints the
    exact bytes: their SHA-256 after a zero byte is the leaf hash.

    \b
    Examples:
      grantledger show 0
      grantledger show delivery.imported/d-1/1
      grantledger show 17 --raw | python3 -m json.tool

    \b
    Exit status:
      0  shown
      2  the entry is not the one that the checkpoint covers
      3  there is no such entry or no ledger
    """
    from ledger.core.tlog_proof import format_tlog_proof

    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger:
        row = find_entry(ledger, which)
        if raw:
            session.output.raw(row.data)
            return
        proof = ledger.prove_entry(row)
    canonical, members = _read(row)
    # prove_entry has held it against the bytes.
    leaf = row.leaf_hash.hex()
    shown_proof = None if proof is None else format_tlog_proof(proof).decode()
    document = {
        "seq": row.seq,
        "leaf_hash": leaf,
        "entry": members,
        "canonical": canonical,
        "proof": shown_proof,
    }
    fields: list[Field] = [
        ("seq", f"{row.seq:,}"),
        ("leaf hash", leaf),
        ("entry", json.dumps(members, indent=2)),
        ("canonical", canonical),
        (
            "proof",
            shown_proof.rstrip()
            if shown_proof
            else "none yet: no checkpoint covers it; run `grantledger seal`",
        ),
    ]
    session.output.result(document, fields)


def find_entry(ledger: Ledger, which: str) -> StoredEntry:
    """The entry whose number or ``uid`` is ``which``; raises UsageError when there is none."""
    if which.isascii() and which.isdecimal():
        size = ledger.store.size()
        seq = int(which[:SEQ_DIGITS_MAX])
        row = next(iter(ledger.store.fetch_range(seq, seq + 1)), None) if seq < size else None
        missing = f"there is no entry {which}: the log has {size:,}, numbered from 0"
    else:
        row = ledger.store.fetch_by_uids([which]).get(which)
        missing = (
            f"there is no entry with the uid {which!r}; `grantledger show` takes a number or a whole uid"
        )
    if row is None:
        raise UsageError(missing)
    return row


def _read(row: StoredEntry) -> tuple[str, dict[str, object]]:
    """The text and the members of ``row``, which need not be well-formed to be shown, but JSON."""
    try:
        text = row.data.decode()
        members = json.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ForkError(f"entry {row.seq} is not JSON: {error}; `show --raw` prints its bytes") from error
    return text, members
