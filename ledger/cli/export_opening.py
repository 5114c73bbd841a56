"""``grantledger export open``, ``verify`` and ``keygen``: what a recipient does, without a ledger (exports, section 5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.exits import BROKEN
from ledger.cli.export_session import VKey, actor_of, open_desk, text_or_file
from ledger.cli.output import Output
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import FormatError, ProofError, SignatureError

if TYPE_CHECKING:
    from ledger.exports.sealed_file import SealedHeader


def open_sealed(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The sealed export.")],
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="Your private key, from `export keygen`.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new directory to open it into.")],
    vkey: VKey = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="ROLE:ID", help="Record in the ledger of --db that you opened it."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Decrypt a sealed export and check that it is the one that was approved. Needs no ledger.

    What the entries say is checked by `export verify`, or offline by data/verify/verify.py.

    \b
    Example:
      grantledger export open x-0123456789abcdef.sealed --key recipient.key --out opened --vkey log.vkey

    \b
    Exit status:
      0  opened
      2  it was changed, or is not what was approved: the message begins with a code, and nothing of it is kept
      3  it is for another key, the directory is there, or it is no sealed export
    """
    from ledger.core.bag_check import KnownBag
    from ledger.exports.checking import BagChecking
    from ledger.exports.sealed_file import open_files
    from ledger.vault.ed25519 import verify_ed25519
    from ledger.vault.recipients import NaclSealing, load_recipient_key
    from ledger.wiring.surroundings import SYSTEM_RANDOMNESS

    session = begin(ctx, db, as_json, quiet)
    actor = None if by is None else actor_of(by)
    trusted, private_key = _vkey(vkey), load_recipient_key(key)

    def check(root: Path, header: SealedHeader) -> None:
        BagChecking(verify_ed25519).frame(root, KnownBag(trusted, header.export, header.manifest))

    with _refusing(session.output), file.open("rb") as opened:
        header = open_files(opened, private_key, NaclSealing(SYSTEM_RANDOMNESS), out, check)
    if actor is not None:
        with open_desk(session) as (_, desk):
            desk.note_opened(header.export, actor)
    if vkey is None:
        session.output.remark("whose log this is was not checked: bring the log's key along with --vkey")
    session.output.result(
        {"export": header.export, "directory": str(out), "manifest": header.manifest.hex()},
        [
            ("export", header.export),
            ("opened into", out),
            ("check it", f"python3 {out}/data/verify/verify.py {out}"),
        ],
    )


def verify(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An export: the directory with bagit.txt.")
    ],
    vkey: VKey = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check everything about an export: its files, who approved it, its entries and proofs. Needs no ledger.

    \b
    Example:
      grantledger export verify opened --vkey log.vkey

    \b
    Exit status:
      0  it holds
      2  it does not: the reason begins with a code
      3  there is no such directory
    """
    from ledger.core.bag_check import KnownBag
    from ledger.exports.checking import BagChecking
    from ledger.portable.bag_command import LIMITS, tell_bag
    from ledger.vault.ed25519 import verify_ed25519

    session = begin(ctx, db, as_json, quiet)
    known = KnownBag(_vkey(vkey))
    with _refusing(session.output), session.output.progress("checking") as show:
        checked = BagChecking(verify_ed25519).whole(directory, known, show)
    told = tell_bag(checked)
    if not checked.is_trusted:
        session.output.remark("whose log this is was not checked: bring the log's key along with --vkey")
    session.output.result(
        {
            "export": checked.manifest["export"],
            "entries": checked.manifest["entries"],
            "approved_by": checked.approved_by,
            "trusted": checked.is_trusted,
            "shows": told,
            "does_not_show": list(LIMITS),
        },
        [("this shows", "\n".join(told)), ("not shown", "\n".join(LIMITS))],
    )


def keygen(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes (mode 0600).")],
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a recipient's key pair: hand FILE.pub to whoever exports, and keep FILE.

    \b
    Example:
      grantledger export keygen dpc.key

    \b
    Exit status:
      0  made
      3  the file is there already, or cannot be written
    """
    from ledger.vault.recipients import create_recipient_key
    from ledger.wiring.surroundings import SYSTEM_RANDOMNESS

    session = begin(ctx, db, as_json, quiet)
    public = create_recipient_key(file, SYSTEM_RANDOMNESS)
    shown = file.with_name(f"{file.name}.pub")
    shown.write_text(f"{public}\n", "ascii")
    session.output.result(
        {"public_key": public, "file": str(file), "public_file": str(shown)},
        [("public key", public), ("for others", shown), ("private key", file)],
    )


@contextmanager
def _refusing(output: Output) -> Iterator[None]:
    """Tell of what does not hold by its code, and leave with its exit status."""
    from ledger.cli.check import tell_refusal

    try:
        yield
    except (FormatError, ProofError, SignatureError) as error:
        tell_refusal(output, error)
        raise typer.Exit(BROKEN) from error


def _vkey(text: str | None) -> str | None:
    return None if text is None else text_or_file(text)
