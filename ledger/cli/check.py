"""``grantledger check``: does a proof hold, and what does it show (ledger format, section 1.4)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.exits import BROKEN
from ledger.cli.output import Field, Output
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import FormatError, ProofError, SignatureError, UsageError

if TYPE_CHECKING:
    from ledger.core.proof_files import CheckedFile

STANDARD_INPUT = Path("-")

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A .tlog-proof, completeness or consistency bundle; - is standard input."
    ),
]
Vkey = Annotated[
    str | None,
    typer.Option(
        "--vkey", metavar="FILE|KEY", help="The log's public key, from somewhere else than the proof."
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="The witnesses that have to have cosigned the checkpoint."),
]
Key = Annotated[
    str | None, typer.Option("--key", metavar="KEY", help="The index key that it has to be about: acct:a_...")
]
EntryFile = Annotated[
    Path | None,
    typer.Option(
        "--entry", metavar="FILE", help="The bytes of the entry that a .tlog-proof has to be about."
    ),
]
Since = Annotated[
    Path | None,
    typer.Option("--since", metavar="FILE", help="An earlier bundle of the same key: what came after it?"),
]


def check(
    ctx: typer.Context,
    file: File,
    vkey: Vkey = None,
    policy: Policy = None,
    key: Key = None,
    entry: EntryFile = None,
    since: Since = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check a proof, and say what it shows and what it does not.

    Needs the file and the log's key, no ledger and no network. Without --vkey a bundle is checked against the
    key that it states itself. That shows only that it agrees with itself: it is said so, and the exit status is
    0 nevertheless.

    \b
    Examples:
      grantledger check bundle.json --vkey log.vkey
      grantledger check page.json --vkey log.vkey --since bundle.json
      grantledger check entry.tlog-proof --vkey log.vkey --policy witnesses.policy --json

    \b
    Exit status:
      0  it holds
      2  it does not: the reason begins with a code
      3  bad usage, or a file that cannot be read
    """
    session = begin(ctx, db, as_json, quiet)
    try:
        document = run_check(file, vkey, policy, key, entry, since)
    except (FormatError, ProofError, SignatureError) as error:
        tell_refusal(session.output, error)
        raise typer.Exit(BROKEN) from error
    session.output.result(document, _fields(document))
    if not document["key_trusted"]:
        session.output.warning(
            "checked against the key in the file itself, so this shows only that the file agrees with itself: get the log's "
            "key by another way and name it with --vkey"
        )


def run_check(
    file: Path, vkey: str | None, policy: Path | None, key: str | None, entry: Path | None, since: Path | None
) -> dict[str, Any]:
    """What ``file`` shows, as an object; raises FormatError, ProofError or SignatureError where it does not hold."""
    from ledger.core.key_growth import check_growth
    from ledger.core.proof_files import Known, check_proof_file
    from ledger.core.proof_words import describe
    from ledger.vault.ed25519 import verify_ed25519

    trusted = None if vkey is None else _read_vkey(vkey)
    known = Known(trusted, key, None if entry is None else entry.read_bytes())
    checked = check_proof_file(_read(file), known, verify_ed25519)
    document: dict[str, Any] = describe(checked)
    if policy is not None:
        document["cosigned_by"] = _check_policy(checked, policy)
        document["shows"].append(
            f"These witnesses cosigned it, which is as many as the policy asks for: {', '.join(document['cosigned_by'])}."
        )
    if since is not None:
        before = check_proof_file(_read(since), Known(trusted), verify_ed25519)
        new = check_growth(before, checked)
        document["new"] = new
        document["shows"].append(
            f"All that the earlier bundle counts is there unchanged; {new or 'nothing'} came after it."
        )
    return document


def _check_policy(checked: CheckedFile, policy: Path) -> list[str]:
    from ledger.core.quorum import check_quorum
    from ledger.core.witness_policy import parse_policy
    from ledger.vault.ed25519 import verify_ed25519

    try:
        parsed = parse_policy(policy.read_bytes())
    except FormatError as error:
        raise UsageError(f"{policy} is no policy: {error}") from error
    return check_quorum(checked.proven.checkpoint, parsed, verify_ed25519)


def _read(file: Path) -> bytes:
    from ledger.core.proof_files import FILE_BYTES_MAX

    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    with file.open("rb") as opened:
        return opened.read(FILE_BYTES_MAX + 1)


def _read_vkey(text: str) -> str:
    path = Path(text)
    try:
        return path.read_text("utf-8").strip() if path.exists() else text
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} holds no log key") from error


def tell_refusal(output: Output, error: FormatError | ProofError | SignatureError) -> None:
    """Say that something is not proven, and why."""
    from ledger.core.proof_files import code_of

    code = code_of(error)
    if output.as_json:
        output.result({"proven": False, "code": code, "reason": str(error)}, [])
    else:
        output.error(f"NOT PROVEN: {code}: {error}")


def _fields(document: dict[str, Any]) -> list[Field]:
    verdict = "PROVEN" if document["key_trusted"] else "agrees with itself; NOT checked against a trusted key"
    return [
        ("proof", verdict),
        ("log", document["origin"]),
        ("as of", f"tree size {document['tree_size']:,}, root {document['root']}"),
        ("this shows", "\n".join(document["shows"])),
        ("not shown", "\n".join(document["does_not_show"])),
    ]
