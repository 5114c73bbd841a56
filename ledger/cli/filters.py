"""The options that select entries, which exports and tables share (exports, section 5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.core.export_filter import Filter
from ledger.core.strict import check_id
from ledger.core.timestamps import parse_instant
from ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from ledger.wiring import Ledger

Accounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="ID",
        help="About this account or person: the platform's id, or a tag. Repeatable.",
    ),
]
Developers = Annotated[
    list[str] | None, typer.Option("--developer", metavar="ID", help="About this developer. Repeatable.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pair", metavar="ACCOUNT:DEVELOPER", help="About this account together with this developer."
    ),
]
Incident = Annotated[str | None, typer.Option("--incident", metavar="ID", help="About this incident.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="Only entries of this kind. Repeatable.")
]
AtFrom = Annotated[
    str | None, typer.Option("--at-from", metavar="TIME", help="Took effect at or after (RFC 3339).")
]
AtTo = Annotated[str | None, typer.Option("--at-to", metavar="TIME", help="Took effect before.")]
RecordedFrom = Annotated[
    str | None, typer.Option("--recorded-from", metavar="TIME", help="Recorded at or after.")
]
RecordedTo = Annotated[str | None, typer.Option("--recorded-to", metavar="TIME", help="Recorded before.")]
SeqFrom = Annotated[int | None, typer.Option("--seq-from", metavar="SEQ", min=0, help="From this entry on.")]
SeqTo = Annotated[
    int | None, typer.Option("--seq-to", metavar="SEQ", min=0, help="Up to the entry before this one.")
]


def make_filter(
    ledger: Ledger,
    *,
    accounts: list[str] | None = None,
    developers: list[str] | None = None,
    pairs: list[str] | None = None,
    incident: str | None = None,
    kinds: list[str] | None = None,
    times: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None),
    seqs: tuple[int | None, int | None] = (None, None),
) -> Filter:
    """The filter of these options; ``times`` are at from, at to, recorded from, recorded to.

    Raises UsageError for what cannot be asked, and for an account that nobody here has.
    """
    from ledger.core.entries import KINDS
    from ledger.wiring.proving import find_tag

    unknown = sorted(set(kinds or ()) - KINDS.keys())
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no kind of entry; docs/formats.md lists them")
    try:
        for name in (*(developers or ()), *([] if incident is None else [incident])):
            check_id(name, "the id")
        at_from, at_to, recorded_from, recorded_to = (
            None if text is None else parse_instant(int(text) if text.isdecimal() else text) for text in times
        )
    except FormatError as error:
        raise UsageError(str(error)) from error
    return Filter(
        accounts=_some({find_tag(ledger, account) for account in accounts or ()}),
        developers=_some(set(developers or ())),
        pairs=_some({_pair(ledger, pair) for pair in pairs or ()}),
        incident=incident,
        kinds=_some(set(kinds or ())),
        at_from=at_from,
        at_to=at_to,
        recorded_from=recorded_from,
        recorded_to=recorded_to,
        seq_from=seqs[0],
        seq_to=seqs[1],
    )


def _some(values: set[str]) -> tuple[str, ...] | None:
    return tuple(sorted(values)) or None


def _pair(ledger: Ledger, text: str) -> str:
    from ledger.wiring.proving import find_tag

    account, colon, developer = text.rpartition(":")
    if not colon:
        raise UsageError(f"{text!r} is no pair: write ACCOUNT:DEVELOPER")
    try:
        return f"{find_tag(ledger, account)}:{check_id(developer, 'the developer')}"
    except FormatError as error:
        raise UsageError(str(error)) from error
