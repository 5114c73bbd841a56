"""What an account is shown before it allows an app anything: the consent text, in words.

The page shows these strings and no others that bear on the decision. Their plain text is hashed, and the hash stands in the
ledger with the grant (``evidence.consent_text``; ledger format, section 1.5), so that whoever has the names of developer
and app and this version of the words can show what the account was told. It names nobody but the developer and the
app, so that the hash is none of personal data.

Nothing is ticked beforehand: a box that somebody else has ticked is no consent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ledger.core.scopes import SCOPES, mask_of
from ledger.gateway.words import SCOPES_IN_WORDS
from ledger.ports.registry import App, Developer

SCOPE_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "posts": "Posts",
        "likes": "Likes",
        "follows": "Follows",
        "blocks_mutes": "Blocks and mutes",
        "direct_messages": "Direct messages",
        "dm_indicators": "Typing and reading",
        "deletions": "Deletions",
        "lifecycle": "The end of this permission",
    }
)
"""Scope -> its name in a list."""

assert tuple(SCOPE_LABELS) == SCOPES, "each scope has its label"

_CAUTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "direct_messages": (
            "Direct messages hold other people's words. Whoever writes to you has not been asked, and the app "
            "receives what they write in full."
        )
    }
)

_ASKED: Final = (
    "Tick what it may receive. Nothing is ticked beforehand, and ticking nothing is the same as Cancel."
)

_HEADING: Final = "Before you decide"
_BUTTONS: Final = ("Allow what I ticked", "Cancel")

_NOTES: Final = (
    (
        "What you tick is sent to the developer's own server whenever it happens, from the moment the app subscribes "
        "until you end it."
    ),
    (
        "You can end it at any time, on your account's page here or on the platform. From then on nothing more is "
        "sent. What the developer received before, it may still have."
    ),
    (
        "Each change of what you allow is written into a ledger, which nobody can alter unnoticed and which "
        "does not name you, and you are told of it on your account's page."
    ),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One kind of data that can be allowed: its scope, label, words, and a caution where there is one."""

    scope: str
    label: str
    words: str
    caution: str | None


@dataclass(frozen=True, slots=True)
class ConsentText:
    """Everything that an account is told before it decides."""

    question: str
    who: str
    website: str
    asked: str
    offers: tuple[Offer, ...]
    heading: str
    notes: tuple[str, ...]
    allow: str
    cancel: str

    def plain(self) -> str:
        """The text as it is hashed: every string that is shown, in the order of the page, a line each."""
        lines = [self.question, self.who, self.website, self.asked]
        for offer in self.offers:
            lines += [line for line in (offer.label, offer.words, offer.caution) if line is not None]
        return "\n".join([*lines, self.heading, *self.notes, self.allow, self.cancel]) + "\n"

    def digest(self) -> bytes:
        """SHA-256 of :meth:`plain` in UTF-8."""
        return hashlib.sha256(self.plain().encode()).digest()


def consent_text(developer: Developer, app: App) -> ConsentText:
    """What an account is told when ``app`` of ``developer`` asks."""
    return ConsentText(
        question=f"Let {app.name} receive your data?",
        who=f"The app {app.name} belongs to {developer.name}, who asks for this.",
        website=f"Its website: {app.website}" if app.website else "It names no website.",
        asked=_ASKED,
        offers=tuple(
            Offer(scope, SCOPE_LABELS[scope], _sentence(SCOPES_IN_WORDS[scope]), _CAUTIONS.get(scope))
            for scope in SCOPES
        ),
        heading=_HEADING,
        notes=_NOTES,
        allow=_BUTTONS[0],
        cancel=_BUTTONS[1],
    )


def chosen_scopes(ticked: Iterable[str]) -> tuple[str, ...]:
    """The scopes that were ticked, in order; each by name, as ``all`` would grow with later versions of the rules."""
    wanted = frozenset(ticked)
    return tuple(scope for scope in SCOPES if scope in wanted)


def labels_of(scopes: Iterable[str]) -> dict[str, str]:
    """Scope -> label of each scope that ``scopes`` cover, in order; ``all`` is each of them."""
    mask = mask_of(scopes)
    return {scope: label for scope, label in SCOPE_LABELS.items() if mask & mask_of([scope])}


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
