"""Which kind of data an event is: event type -> scope (verdict rules, section 2.1; delivery protocol, section 3.6).

The table is versioned with the rule set: its content is part of :data:`ledger.core.verdicts.RULE_SET_HASH`,
so that a report names the table that it was made with. An event type that is not in it is never covered, not
even by ``all``.

Sets of scopes are folded as bit masks (``mask_of``), in which ``all`` has every bit: covering is one AND, and
so is the intersection of versions that start at one instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

SCOPES = (
    "posts",
    "likes",
    "follows",
    "blocks_mutes",
    "direct_messages",
    "dm_indicators",
    "deletions",
    "lifecycle",
)
"""The scopes, in the order of section 2.1."""

ALL = "all"
"""The scope that covers each of :data:`SCOPES`."""

EVENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "tweet_create_events": "posts",
        "tweet_delete_events": "deletions",
        "favorite_events": "likes",
        "follow_events": "follows",
        "block_events": "blocks_mutes",
        "mute_events": "blocks_mutes",
        "direct_message_events": "direct_messages",
        "direct_message_indicate_typing_events": "dm_indicators",
        "direct_message_mark_read_events": "dm_indicators",
        "user_event": "lifecycle",
    }
)
"""Event type -> its scope; the keys are the array keys of the payloads."""

_BITS = {scope: 1 << place for place, scope in enumerate(SCOPES)}

ALL_MASK = (1 << len(SCOPES)) - 1
"""The mask of every scope, and so of ``all``."""

EVENT_TYPE_BITS: Mapping[str, int] = {event_type: _BITS[scope] for event_type, scope in EVENT_TYPES.items()}
"""Event type -> the one bit that a grant's mask must have to cover it."""


def scope_of(event_type: str) -> str | None:
    """The scope that covers events of ``event_type``, or None for a type that is not in the table."""
    return EVENT_TYPES.get(event_type)


def is_known_scope(scope: str) -> bool:
    """Whether a grant may state ``scope``: one of :data:`SCOPES`, or ``all``."""
    return scope in _BITS or scope == ALL


def mask_of(scopes: Iterable[str]) -> int:
    """The bit mask of ``scopes``; an unknown scope, which only a forced entry can hold, covers nothing."""
    mask = 0
    for scope in scopes:
        mask |= ALL_MASK if scope == ALL else _BITS.get(scope, 0)
    return mask


def scopes_of_mask(mask: int) -> tuple[str, ...]:
    """The scopes of ``mask`` in the order of :data:`SCOPES`; ``("all",)`` when every bit is set."""
    if mask == ALL_MASK:
        return (ALL,)
    return tuple(scope for scope, bit in _BITS.items() if mask & bit)
