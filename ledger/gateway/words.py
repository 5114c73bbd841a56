"""What accounts are told, in plain language: which data an app receives, and what has changed about it.

Texts name developers, apps and hosts, never people, and are kept as they were told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from ledger.core.scopes import SCOPES, mask_of, scopes_of_mask

SCOPES_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "posts": "your posts, and posts that mention, quote or answer you",
        "likes": "your likes, and likes of your posts",
        "follows": "whom you follow or unfollow, and who follows you",
        "blocks_mutes": "whom you block or mute",
        "direct_messages": "your direct messages, those that others send you included",
        "dm_indicators": "when you or others write or read direct messages",
        "deletions": "which of your posts are deleted",
        "lifecycle": "that you have ended an app's access",
    }
)
"""Scope -> the data that it covers, to be read after "receives"."""

assert tuple(SCOPES_IN_WORDS) == SCOPES, "each scope has its words"

BY_PLATFORM = "platform_api"
"""The channel of what the platform ends itself; ``platform`` is the account's own doing there."""

CHANNELS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "account_api": "You ended its access.",
        "account_page": "You ended its access on your page.",
        "api_account": "The app ended it with your sign-in.",
        "api_developer": "Its developer ended this.",
        "dashboard": "You ended its access on the platform.",
        "platform": "You ended its access on the platform.",
        BY_PLATFORM: "The platform ended this.",
        "token_revoked": "You had ended its access in that very moment.",
        "webhook_deleted": "Its developer removed the server that your data went to.",
    }
)
"""The channel of a revocation -> who ended it and where."""


def scopes_in_words(scopes: Iterable[str]) -> tuple[str, ...]:
    """The data that ``scopes`` cover, in the order of the scopes; ``all`` is each of them."""
    mask = mask_of(scopes)
    return tuple(words for scope, words in SCOPES_IN_WORDS.items() if mask & mask_of([scope]))


def time_in_words(at_ms: int) -> str:
    """``at_ms`` as ``2018-09-10 00:00 UTC``."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def tell_issued(app: str, developer: str, host: str, scopes: Sequence[str], at_ms: int) -> str:
    """The account let ``app`` (a name) of ``developer`` (a name) receive ``scopes`` at ``host``."""
    return (
        f'Since {time_in_words(at_ms)} the app "{app}" of {developer} receives {_listed(scopes)}. '
        f"This is sent to {host}, until you end it."
    )


def tell_narrowed(app: str, developer: str, before: Sequence[str], after: Sequence[str], at_ms: int) -> str:
    """The account took back some of ``before``; ``after`` is what is left."""
    lost = scopes_of_mask(mask_of(before) & ~mask_of(after))
    return (
        f'Since {time_in_words(at_ms)} the app "{app}" of {developer} does not receive {_listed(lost)} any more. '
        f"It still receives {_listed(after)}."
    )


def tell_revoked(app: str, developer: str, scopes: Sequence[str], channel: str, at_ms: int) -> str:
    """What the account granted was revoked through ``channel``."""
    who = CHANNELS_IN_WORDS.get(channel, f"It was ended through: {channel}.")
    return (
        f'Since {time_in_words(at_ms)} the app "{app}" of {developer} does not receive {_listed(scopes)} any more. '
        f"{who} What it received before, it may still have."
    )


def _listed(scopes: Iterable[str]) -> str:
    return "; ".join(scopes_in_words(scopes)) or "nothing"
