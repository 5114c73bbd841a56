"""What somebody asks for, by the platform's ids and in words, as a filter of entries (exports, section 5.5)."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.core.entries import KINDS
from ledger.core.export_filter import Filter
from ledger.core.strict import INTEGER_MAX, check_id
from ledger.core.timestamps import parse_instant
from ledger.errors import FormatError, UsageError
from ledger.wiring.ledger import Ledger
from ledger.wiring.proving import find_tag

_DIGITS_MAX = 20


def make_filter(
    ledger: Ledger,
    *,
    accounts: Sequence[str] | None = None,
    developers: Sequence[str] | None = None,
    pairs: Sequence[str] | None = None,
    incident: str | None = None,
    kinds: Sequence[str] | None = None,
    times: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None),
    seqs: tuple[int | None, int | None] = (None, None),
) -> Filter:
    """The filter of these options; ``times`` are at from, at to, recorded from, recorded to.

    Raises UsageError for what cannot be asked, and for an account that nobody here has.
    """
    unknown = sorted(set(kinds or ()) - KINDS.keys())
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no kind of entry; docs/formats.md lists them")
    if any(seq is not None and not 0 <= seq <= INTEGER_MAX for seq in seqs):
        raise UsageError(f"the number of an entry is from 0 to {INTEGER_MAX}")
    try:
        for name in (*(developers or ()), *([] if incident is None else [incident])):
            check_id(name, "the id")
        at_from, at_to, recorded_from, recorded_to = (
            None if text is None else parse_instant(int(text) if _is_number(text) else text) for text in times
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


def _is_number(text: str) -> bool:
    # int() takes no more than some thousand digits; no instant has so many.
    return text.isdecimal() and len(text) <= _DIGITS_MAX


def _some(values: set[str]) -> tuple[str, ...] | None:
    return tuple(sorted(values)) or None


def _pair(ledger: Ledger, text: str) -> str:
    account, colon, developer = text.rpartition(":")
    if not colon:
        raise UsageError(f"{text!r} is no pair: write ACCOUNT:DEVELOPER")
    try:
        return f"{find_tag(ledger, account)}:{check_id(developer, 'the developer')}"
    except FormatError as error:
        raise UsageError(str(error)) from error
