"""``grantledger status``: how far the log is durable, sealed and published."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from ledger.cli.output import Field, Progress
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.core.strict import encode_base64
from ledger.errors import ForkError

if TYPE_CHECKING:
    from ledger.wiring import Ledger

PROGRESS_ENTRIES = 4_096


def status(ctx: typer.Context, db: Db = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show how large the log is, how far it is sealed, and what it holds.

    Counts are read from the entries themselves, which takes some seconds for millions of them. Nothing is
    verified but the checkpoint's signature: that is what `grantledger verify` is for. Needs no secret key.

    \b
    Examples:
      grantledger status
      grantledger status --json | python3 -m json.tool

    \b
    Exit status:
      0  shown
      2  what is published is not a checkpoint that this log signed, or an entry cannot be read
      3  there is no ledger, or the database cannot be read
    """
    session = begin(ctx, db, as_json, quiet)
    with session.open_ledger() as ledger:
        size = ledger.store.size()
        published = ledger.load_published()
        with session.output.progress("counting entries") as progress:
            kinds = count_kinds(ledger, size, progress)
        vault_rows = ledger.count_subjects()
    checkpoint = None if published is None else published.checkpoint
    sealed_size = 0 if checkpoint is None else checkpoint.size
    root = None if checkpoint is None else encode_base64(checkpoint.root)
    document = {
        "database": ledger.settings.database,
        "origin": ledger.origin,
        "vkey": ledger.vkey,
        "size": size,
        "sealed_size": sealed_size,
        "unsealed": size - sealed_size,
        "root": root,
        "log_key_file": str(ledger.settings.log_key_file),
        "log_key_present": ledger.settings.log_key_file.exists(),
        "vault_rows": vault_rows,
        "kinds": kinds,
    }
    fields: list[Field] = [
        ("database", ledger.settings.database),
        ("origin", ledger.origin),
        ("public key", ledger.vkey),
        (
            "log's key",
            f"{ledger.settings.log_key_file}{'' if document['log_key_present'] else ' (not there)'}",
        ),
        ("entries", f"{size:,}"),
        ("sealed", f"{sealed_size:,}" if checkpoint else "never: run `grantledger seal`"),
        ("unsealed", f"{size - sealed_size:,}"),
        *([("root", root)] if root else []),
        ("people in vault", f"{vault_rows:,}"),
        ("kinds", "\n".join(f"{count:>12,}  {kind}" for kind, count in kinds.items())),
    ]
    session.output.result(document, fields)


def count_kinds(ledger: Ledger, size: int, progress: Progress) -> dict[str, int]:
    """How many of the first ``size`` entries are of each kind, kinds in order; ForkError where one cannot be read."""
    import msgspec

    class Kind(msgspec.Struct):
        """The one member that is looked at."""

        kind: str

    decode = msgspec.json.Decoder(Kind).decode
    kinds: Counter[str] = Counter()
    for row in ledger.store.fetch_range(0, size):
        try:
            kinds[decode(row.data).kind] += 1
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ForkError(
                f"entry {row.seq} is not what was appended: {error}; run `grantledger verify`"
            ) from error
        if row.seq % PROGRESS_ENTRIES == 0:
            progress(row.seq, size)
    return dict(sorted(kinds.items()))
