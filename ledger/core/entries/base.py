"""What every entry has, and the register of kinds (ledger format, section 1.1).

A kind is a frozen dataclass whose fields *are* the members of section 1.7, in any order: canonical bytes sort them.
``kind`` is a field too, so that a dataclass can be made into any decoder's schema without a second list. A member
that is left out is ``None``; there is no null in the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger.core.entries.members import Actor, Hash, Millis, Uid, Version, Via

COMMON_MEMBERS = ("actor", "at", "kind", "prev", "recorded_at", "seq", "uid", "v", "via")
LEDGER_MEMBERS = ("prev", "recorded_at", "seq", "v")
"""What the sequencer adds to a draft; everything else comes with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The members of every entry.

    ``recorded_at`` is the ledger's clock (never decreasing), ``at`` when it took effect in the world as claimed, both
    in milliseconds UTC. ``prev`` is the hex leaf hash of the entry before it, 64 zeros for entry 0.
    """

    kind: str
    v: Version = 1
    seq: Millis
    prev: Hash
    uid: Uid
    recorded_at: Millis
    at: Millis
    actor: Actor
    via: Via


KINDS: dict[str, type[Entry]] = {}
"""Kind name -> its dataclass; filled by :func:`register` when the modules of this package are imported."""

EntryType = TypeVar("EntryType", bound=type[Entry])


def register(*names: str) -> Callable[[EntryType], EntryType]:
    """Enter a dataclass for the kinds ``names``; a name is taken once for ever."""

    def enter(entry_type: EntryType) -> EntryType:
        for name in names:
            assert name not in KINDS, f"the kind {name} is registered twice"
            KINDS[name] = entry_type
        return entry_type

    return enter
