"""The answers of developers to obligations: acknowledging, signing and handing in attestations (section 5.3)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.incident_app import DEFAULT_BY, By, actor_of
from ledger.cli.obligation_rows import Named, fields_of, row_of
from ledger.cli.service_session import open_service
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.incidents.attestations import Claim, Statement

ENVELOPE_BYTES_MAX = 1 << 20

ObligationFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="The obligation as JSON, from GET /v1/obligations/ID; - for standard input."
    ),
]
Origin = Annotated[
    str, typer.Option("--log", metavar="ORIGIN", help="The log's origin, from its checkpoints.")
]
KeyFile = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="The private key, made where it is not there.")
]
Officer = Annotated[
    str, typer.Option("--officer", metavar="TEXT", help="Who answers for this at the developer.")
]
Outcomes = Annotated[
    list[str],
    typer.Option(
        "--outcome",
        metavar="OUTCOME",
        help="deleted, never_stored, retained_legal, not_found, disputed or forwarded=WHOM; of some lines: "
        "0-41=deleted. May be given several times.",
    ),
]
Systems = Annotated[
    list[str] | None,
    typer.Option("--system", metavar="TEXT", help="A system that was searched. May be given several times."),
]
Backups = Annotated[str, typer.Option("--backups", metavar="TEXT", help="What becomes of backups.")]
ReadOrUsed = Annotated[
    str, typer.Option("--read-or-used", metavar="WORD", help="not_read, read, used or unknown.")
]


def ack(
    ctx: typer.Context,
    obligation: Named,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="TEXT", help="What the developer said, kept as a commitment."),
    ] = None,
    done: Annotated[
        bool, typer.Option("--done", help="It also says that everything is deleted; to be attested next.")
    ] = False,
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Note that the developer has acknowledged, where it did so by other means than the API.

    \b
    Examples:
      grantledger obligation ack o-0123456789abcdef --text "letter of 2018-09-11"
      grantledger obligation ack o-0123456789abcdef --done

    \b
    Exit status:
      0  noted
      3  it has ended, or there is no such obligation, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        desk = service.duties.obligations
        found = desk.load(obligation)
        actor = actor_of(by)
        moved = (
            desk.report(found, actor, text, is_done=True) if done else desk.acknowledge(found, actor, text)
        )
        row = row_of(moved)
    session.output.result(row, fields_of(row))


def attest(
    ctx: typer.Context,
    obligation: Named,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="The attestation that `obligation sign` made; - for standard input."
        ),
    ],
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take a developer's attestation, signed with its registered key.

    One for another list is refused. One that another key has signed is refused and recorded, as
    ATTESTATION_INVALID.

    \b
    Example:
      grantledger obligation attest o-0123456789abcdef attestation.json

    \b
    Exit status:
      0  taken, or there before
      3  it is no attestation, of something else, not signed with the registered key, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    envelope = _read_json(file)
    with open_service(session) as service:
        found = service.duties.obligations.load(obligation)
        row = row_of(service.duties.attestations.take(found, envelope, actor_of(by)))
    session.output.result(row, fields_of(row))


def key(
    ctx: typer.Context,
    developer: Annotated[str, typer.Argument(metavar="DEVELOPER", help="The developer's id.")],
    public_key: Annotated[
        str, typer.Argument(metavar="KEY", help="Its Ed25519 public key: 64 lower-case hex digits.")
    ],
    by: By = DEFAULT_BY,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register the key that a developer signs attestations with; it replaces the one before.

    Developers do it themselves by PUT /v1/obligations/key. The key of its receipts does not count for this.

    \b
    Example:
      grantledger obligation key dev-acme 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29

    \b
    Exit status:
      0  the key counts
      3  it is no key, or no ledger
    """
    session = begin(ctx, db, as_json, quiet)
    with open_service(session) as service:
        is_new = service.duties.attestations.set_key(developer, public_key, actor_of(by))
    session.output.result(
        {"developer": developer, "key": public_key, "changed": is_new},
        [("developer", developer), ("key", public_key), ("changed", "yes" if is_new else "no")],
    )


def sign(
    ctx: typer.Context,
    obligation_file: ObligationFile,
    origin: Origin,
    key_file: KeyFile,
    officer: Officer,
    outcome: Outcomes,
    systems: Systems = None,
    backups: Backups = "none",
    read_or_used: ReadOrUsed = "unknown",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """For developers: sign what became of the deliveries on a list, as a DSSE envelope on standard output.

    Needs no ledger. Words are printable ASCII without quotation marks and backslashes. The public key has to
    be registered first, with PUT /v1/obligations/key.

    \b
    Examples:
      grantledger obligation sign o.json --log ledger.example/prod --key attest.key \\
        --officer "J. Doe, head of privacy" --outcome deleted --system db1 --read-or-used not_read > a.json
      grantledger obligation sign o.json --log ledger.example/prod --key attest.key --officer "J. Doe" \\
        --outcome 0-41=deleted --outcome 42=forwarded=Acme

    \b
    Exit status:
      0  signed
      3  a word that cannot be signed, lines left out or said twice, or an unusable key file
    """
    from ledger.core.dsse import parse_envelope
    from ledger.incidents.attestations import read_statement
    from ledger.receiver.attesting import sign_attestation
    from ledger.receiver.receipts import load_receipt_key, make_receipt_key, public_key_of

    session = begin(ctx, None, as_json, quiet)
    said: dict[str, Any] = {
        "log": origin,
        "officer": officer,
        "systems": tuple(systems or ()),
        "backups": backups,
        "read_or_used": read_or_used,
    }
    statement, count = _statement(_read_json(obligation_file), outcome, said)
    if not key_file.exists():
        make_receipt_key(key_file, statement.developer)
    signer = load_receipt_key(key_file)
    envelope = sign_attestation(statement, signer)
    read_statement(parse_envelope(envelope), count)
    session.output.text(json.dumps(envelope))
    session.output.remark(f"signed with the public key {public_key_of(signer)}")


def _statement(told: Any, outcomes: list[str], said: dict[str, Any]) -> tuple[Statement, int]:
    """What is to be signed about the obligation that the API ``told``, and how many lines its list has."""
    from ledger.incidents.attestations import Statement
    from ledger.wiring.surroundings import SYSTEM_CLOCK

    try:
        count = int(told["deliveries"])
        about: dict[str, Any] = {
            name: str(told[name]) for name in ("obligation", "incident", "developer", "list_root")
        }
    except (KeyError, TypeError, ValueError):
        raise UsageError("the file holds no obligation as the API shows it") from None
    claims = tuple(_claims(outcomes, count))
    return Statement(made_at_ms=SYSTEM_CLOCK.now_ms(), claims=claims, **about, **said), count


def statement_in(envelope: dict[str, Any]) -> dict[str, Any]:
    """What an envelope says, whoever signed it."""
    from ledger.core.dsse import parse_envelope

    return dict(parse_envelope(envelope).statement)


def _claims(outcomes: list[str], count: int) -> list[Claim]:
    """The claims that the options say: ``OUTCOME``, ``FIRST-LAST=OUTCOME``, ``PLACE=OUTCOME``, in order of their places."""
    from ledger.incidents.attestations import OUTCOMES, Claim

    claims = []
    for text in outcomes:
        parts = text.split("=")
        run = parts.pop(0) if parts[0][:1].isdecimal() else f"0-{count - 1}"
        first, _, last = run.partition("-")
        word = next((one for one in OUTCOMES if parts and one == parts[0]), None)
        if word is None or not first.isdecimal() or not (last or first).isdecimal():
            raise UsageError(
                f"{text!r} is no outcome: write for example deleted, 0-41=deleted or 42=forwarded=Acme"
            )
        claims.append(Claim(int(first), int(last or first), word, tuple(parts[1:])))
    return sorted(claims)


def _read_json(file: str) -> Any:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(ENVELOPE_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(ENVELOPE_BYTES_MAX + 1)
        if len(data) > ENVELOPE_BYTES_MAX:
            raise UsageError(f"{file} is larger than {ENVELOPE_BYTES_MAX} bytes")
        return json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(f"{file} is no JSON") from None
