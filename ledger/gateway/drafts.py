"""Live entries of the service's own making: drafts, ids, and appending several as one (ledger format, sections 1.1, 1.7).

Ids that two callers could race for are made of what the race is about, so that both make the same id and the log, which
takes each once, decides. A draft states neither ``at`` nor anything that the ledger looks up, so that the same call made
again is the same entry, whenever that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from ledger.core.canonical import JsonValue
from ledger.core.entries import COMMON_MEMBERS, KINDS
from ledger.core.uids import DIGEST_DIGITS, default_uid
from ledger.ports import Change, Clock, Randomness
from ledger.sequencer.draft import Appended, Draft, Outcome, Rejection
from ledger.sequencer.sequencer import Sequencer

GATEWAY = "system:gateway"

Via = Literal["api", "system"]

_NUMBER_RANDOM = 1_000_000
_NUMBER_RANDOM_BYTES = 8
_PROVENANCE = frozenset({"actor", "via"})


def live_draft(
    kind: str,
    actor: str,
    stated: Mapping[str, JsonValue],
    *,
    uid: str | None = None,
    via: Via = "api",
    changes: Sequence[Change] = (),
    commitments: Mapping[str, JsonValue] | None = None,
) -> Draft:
    """The draft of an entry of ``kind`` that ``actor`` (``role:id``) makes now.

    Its ``uid``, where none is given, is the default one of what is ``stated``. ``commitments`` are members of the object
    ``evidence`` that are no part of the comparison of a repeated ``uid``; neither is any member that is not stated, which
    leaves out what the ledger looks up. ``changes`` become durable with the entry.
    """
    members: dict[str, JsonValue] = {**stated, "kind": kind, "actor": actor, "via": via}
    members["uid"] = uid or default_uid(kind, stated)
    exclude = _PROVENANCE | (_members_of(kind) - stated.keys())
    if commitments:
        evidence = members.get("evidence")
        assert isinstance(evidence, dict), "commitments stand beside what else is evidence"
        members["evidence"] = {**evidence, **commitments}
        exclude |= {f"evidence.{name}" for name in commitments}
    return Draft(members, compare_exclude=exclude, changes=tuple(changes))


@lru_cache(maxsize=64)
def _members_of(kind: str) -> frozenset[str]:
    return frozenset(field.name for field in fields(KINDS[kind])) - frozenset(COMMON_MEMBERS)


def append_whole(sequencer: Sequencer, drafts: Sequence[Draft]) -> list[Appended]:
    """Append all of ``drafts`` with their changes, or nothing at all; durable when this returns.

    Raises the RejectedError or ConflictError of the draft that was rejected, StoreError or ForkError where nothing is
    known: then the same call made again finds out.
    """
    outcomes = sequencer.append_many(drafts, all_or_nothing=True)
    rejection = find_rejection(outcomes)
    if rejection is not None:
        raise rejection.error()
    return [outcome for outcome in outcomes if isinstance(outcome, Appended)]


def find_rejection(outcomes: Sequence[Outcome]) -> Rejection | None:
    """The first draft of an all-or-nothing call that was rejected for its own sake, or None."""
    rejections = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    own = [rejection for rejection in rejections if rejection.code != "withdrawn"]
    return next(iter(own or rejections), None)


def digest_of(*parts: str | int) -> str:
    """32 hex digits of SHA-256 over ``parts``, which hold no line feed."""
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()[:DIGEST_DIGITS]


def new_number(clock: Clock, randomness: Randomness) -> str:
    """An id of 19 digits: the milliseconds of now and six random digits (delivery protocol, section 3.3).

    Two of one millisecond fall together once in a million times; the log takes an id once, so whoever comes second is
    rejected and draws again.
    """
    drawn = int.from_bytes(randomness.token(_NUMBER_RANDOM_BYTES)) % _NUMBER_RANDOM
    return str(clock.now_ms() * _NUMBER_RANDOM + drawn)
