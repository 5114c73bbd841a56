"""What a notice about an incident says, in plain language (incidents and exports, section 5.2).

The words are templates in files, whose SHA-256 stands in the ledger with each notice: what exactly somebody was told can be
shown. What is filled in is what the person's deliveries were, when, to whom they went, and what those developers have said
about deletion *by the time that it is read or sent*. Nobody but developers is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

import msgspec
from jinja2 import Environment, StrictUndefined, Template

from ledger.core.scopes import SCOPES, scope_of
from ledger.gateway.words import scopes_in_words, time_in_words
from ledger.incidents.attestations import OUTCOMES, Outcome
from ledger.ports.incidents import AffectedPerson
from ledger.ports.notices import Medium
from ledger.ports.obligations import Obligation

DEFAULT_TITLE = "A mistake in how we sent data concerns you"
DEFAULT_WHAT = (
    "Data of accounts was delivered to developers that had no right to it. We have recorded each delivery."
)
SUBJECT_CHARACTERS_MAX = 120
NAMED_MAX = 50
"""How many developers or kinds of data are named one by one."""

_TEMPLATES: Mapping[Medium, str] = {"email": "email.txt", "inbox": "inbox.txt", "webhook": "inbox.txt"}


class Summary(msgspec.Struct, frozen=True):
    """What a notice tells of one person's deliveries; kept as JSON with the notice. Times in ms UTC."""

    is_definite: bool
    is_granting: bool
    deliveries: int
    first_at_ms: int
    last_at_ms: int
    received_by: tuple[str, ...]
    event_types: tuple[str, ...]
    private: bool


@dataclass(frozen=True, slots=True)
class About:
    """What all notices of one incident share. ``names`` are developers' names by id; ``updates`` those made public.

    ``claims`` are how many deliveries each attestation (by its hash) says which outcome of.
    """

    incident: str
    title: str | None
    what_happened: str | None
    names: Mapping[str, str]
    obligations: Sequence[Obligation]
    updates: Sequence[str] = ()
    claims: Mapping[str, Mapping[Outcome, int]] = field(default_factory=dict)


def summary_of(person: AffectedPerson) -> str:
    """The summary of ``person`` as it is kept."""
    told = Summary(
        is_definite=person.is_definite,
        is_granting=person.is_granting,
        deliveries=person.deliveries,
        first_at_ms=person.first_at_ms,
        last_at_ms=person.last_at_ms,
        received_by=person.received_by,
        event_types=person.event_types,
        private=person.private,
    )
    return msgspec.json.encode(told).decode()


def read_summary(kept: str) -> Summary:
    """What :func:`summary_of` made."""
    return msgspec.json.decode(kept, type=Summary)


@lru_cache(maxsize=8)
def template_hash(medium: Medium) -> str:
    """The SHA-256 (hex) of the bytes of the template for ``medium``."""
    return hashlib.sha256(_source_of(medium)).hexdigest()


def subject_of(about: About) -> str:
    """One line that says what it is about."""
    line = " ".join((about.title or DEFAULT_TITLE).split())
    return line if len(line) <= SUBJECT_CHARACTERS_MAX else f"{line[: SUBJECT_CHARACTERS_MAX - 1]}…"


def write_notice(medium: Medium, summary: Summary, about: About) -> str:
    """The text of a notice in ``medium``."""
    text = _template_of(medium).render(
        title=subject_of(about),
        what_happened=about.what_happened or DEFAULT_WHAT,
        for_you=_for_you(summary),
        when=_when(summary),
        to_whom=_to_whom(summary, about.names),
        private=summary.private,
        deletion=deletion_in_words(summary, about),
        is_granting=summary.is_granting,
        updates=list(about.updates),
        reference=about.incident,
    )
    return text.strip() + "\n"


def deletion_in_words(summary: Summary, about: About) -> list[str]:
    """What each developer that has the person's data has said about deletion, a sentence each."""
    if not summary.received_by:
        return ["Nobody knows yet who has it. We go on looking."]
    lines = []
    for developer in summary.received_by[:NAMED_MAX]:
        name = about.names.get(developer, developer)
        its = [one for one in about.obligations if one.developer == developer]
        lines += [
            f"{name} {state_in_words(one, about.claims.get(one.attestation or ''))}" for one in its
        ] or [f"{name} has not been asked to delete it yet."]
    return lines


def state_in_words(obligation: Obligation, claims: Mapping[Outcome, int] | None = None) -> str:
    """Where an obligation stands, to be read after the developer's name; ``claims`` are what it attested."""
    attested = "" if obligation.attested_at_ms is None else time_in_words(obligation.attested_at_ms)
    asked = f"was asked on {time_in_words(obligation.opened_at_ms)} to delete it"
    said = f"signed on {attested} what became of it{_claims_in_words(claims or {})}"
    match obligation.state:
        case "OPENED" | "NOTIFIED":
            return f"{asked}, and has not answered yet."
        case "ACKNOWLEDGED":
            return f"{asked}, and has said that it will."
        case "IN_PROGRESS":
            return f"{asked}, and says that it is being deleted."
        case "ATTESTED":
            return f"{said}. Nobody has verified that yet."
        case "VERIFIED":
            return f"{said}, and that was verified."
        case "DISPUTED":
            return f"{said}, and that is contradicted by what was seen since."
        case "OVERDUE":
            return f"{asked}, and is late."
        case "ESCALATED":
            taken = "; ".join(_STEPS.get(step, step) for step in obligation.steps)
            return f"{asked}, and did not do as it should. What was done about that: {taken}."
        case "CLOSED":
            return f"{said if attested else asked}, and the matter is closed."
        case "WAIVED":
            return f"{asked}; we have since decided not to insist, and two people have signed that."
        case "HELD":
            return f"{asked}; it must keep it for now because of legal proceedings."


def _claims_in_words(claims: Mapping[Outcome, int]) -> str:
    told = [f"{claims[outcome]} {_SAID[outcome]}" for outcome in OUTCOMES if claims.get(outcome)]
    return f" (of {sum(claims.values())} deliveries to it: {', '.join(told)})" if told else ""


_SAID: Mapping[Outcome, str] = {
    "deleted": "deleted",
    "never_stored": "never stored",
    "retained_legal": "kept because a law asks for it",
    "forwarded": "passed on to others",
    "not_found": "not found",
    "disputed": "not received, it says",
}
assert tuple(_SAID) == OUTCOMES, "each outcome has its words"

_STEPS: Mapping[str, str] = {
    "remind": "it was reminded",
    "suspend_deliveries": "nothing is sent to it any more",
    "suspend_app": "its app was switched off",
    "tell_authority": "the authority was told",
}


def _for_you(summary: Summary) -> str:
    what = _listed(_kinds(summary))
    certain = "went" if summary.is_definite else "may have gone"
    if summary.is_granting:
        return f"Of your account this {certain} to somebody that it was not meant for: {what}."
    return f"You appear in somebody else's data that {certain} to somebody that it was not meant for: {what}."


def _kinds(summary: Summary) -> list[str]:
    scopes = {scope_of(one) for one in summary.event_types}
    if not summary.is_granting:
        return [_OTHERS[scope] for scope in SCOPES if scope in scopes] or ["events that name you"]
    return list(scopes_in_words(scope for scope in SCOPES if scope in scopes)) or ["events of your account"]


_OTHERS: Mapping[str, str] = {
    "posts": "posts that you wrote or are named in",
    "likes": "likes by you or of your posts",
    "follows": "that you follow somebody, or are followed",
    "blocks_mutes": "that you were blocked or muted",
    "direct_messages": "direct messages that you wrote or received",
    "dm_indicators": "when you wrote or read direct messages",
    "deletions": "which of your posts were deleted",
    "lifecycle": "that an app's access was ended",
}
assert tuple(_OTHERS) == SCOPES, "each scope has its words"


def _when(summary: Summary) -> str:
    first, last = time_in_words(summary.first_at_ms), time_in_words(summary.last_at_ms)
    times = "once" if summary.deliveries == 1 else f"{summary.deliveries} times"
    return f"{first}, {times}" if first == last else f"{times} from {first} to {last}"


def _to_whom(summary: Summary, names: Mapping[str, str]) -> str:
    if not summary.received_by:
        return "nobody knows yet"
    return _listed([names.get(one, one) for one in summary.received_by])


def _listed(texts: Iterable[str]) -> str:
    named = list(texts)
    more = len(named) - NAMED_MAX
    return "; ".join(named[:NAMED_MAX]) + (f"; and {more} more" if more > 0 else "")


@lru_cache(maxsize=8)
def _source_of(medium: Medium) -> bytes:
    return (files("ledger.incidents") / "templates" / _TEMPLATES[medium]).read_bytes()


@lru_cache(maxsize=8)
def _template_of(medium: Medium) -> Template:
    # Plain text, in which nothing is markup; whoever shows it on a page escapes it there.
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    return environment.from_string(_source_of(medium).decode("utf-8"))
