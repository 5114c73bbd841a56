"""What somebody asks an export for, and what it takes to make one (exports, section 5.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ledger.core.canonical import encode
from ledger.core.export_filter import Filter, format_filter
from ledger.core.note import Verifier
from ledger.errors import FormatError, UsageError
from ledger.exports.checking import BagChecking
from ledger.exports.making import PROFILES
from ledger.exports.places import Places, check_name
from ledger.exports.views import Looks
from ledger.ports import Clock, EntryStore, Randomness
from ledger.ports.exports import ExportBook, ExtraFiles, FieldOpener, RecipientSealing, SigningKey
from ledger.ports.index import ProvableIndex
from ledger.sequencer.sequencer import Sequencer

TEXT_CHARACTERS_MAX = 2_000
RECIPIENTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants exported, for whom and why; ``export`` names it, None draws an id."""

    requester: str
    case: str
    legal_basis: str
    wanted: Filter
    created_by: str
    recipients: tuple[bytes, ...] = ()
    profile: str = "tags"
    export: str | None = None


@dataclass(frozen=True, slots=True)
class ExportParts:
    """What the desk works with. ``keys`` are the known keys of checkpoints (name and id -> vkey), the log's ``vkey`` too."""

    sequencer: Sequencer
    store: EntryStore
    index: ProvableIndex
    book: ExportBook
    places: Places
    sealing: RecipientSealing
    checking: BagChecking
    signer: Callable[[], SigningKey]
    vkey: str
    keys: Mapping[tuple[str, bytes], str]
    verifiers: Sequence[Verifier]
    clock: Clock
    randomness: Randomness
    openers: Mapping[str, FieldOpener]
    looks: Looks
    extra: ExtraFiles | None = None


def check_question(question: Question) -> str | None:
    """The id that ``question`` asks for; UsageError where it cannot be asked."""
    for name in ("requester", "case", "legal_basis"):
        value = getattr(question, name)
        if not value.strip() or len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
            raise UsageError(
                f"{name.replace('_', ' ')} is a line of at most {TEXT_CHARACTERS_MAX} characters, and not empty"
            )
    if question.profile not in PROFILES:
        raise UsageError(f"{question.profile!r} is no redaction profile: write one of {', '.join(PROFILES)}")
    if len(question.recipients) > RECIPIENTS_MAX:
        raise UsageError(f"an export has at most {RECIPIENTS_MAX} recipients")
    return None if question.export is None else check_name(question.export)


def format_query(wanted: Filter) -> str:
    """``wanted`` as canonical JSON; UsageError where a number of it has none."""
    try:
        return encode(format_filter(wanted)).decode()
    except FormatError as error:
        raise UsageError(f"this cannot be asked for: {error}") from error
