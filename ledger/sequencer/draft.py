"""What callers hand to the sequencer, and what they get back (ledger format, sections 1.1 and 1.5).

A draft is an entry without the members that only the sequencer can know. Its outcome is a value: an entry that was
appended (or had been before), or a rejection with its reason. Only failed operations are exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import msgspec

from ledger.core.canonical import JsonValue
from ledger.core.history import History
from ledger.errors import ConflictError, RejectedError
from ledger.ports import Change, Codec
from ledger.ports.permit import Permit, Refused

RejectionCode = Literal["malformed", "rejected", "conflict", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be appended.

    ``members`` are all members but ``seq``, ``prev``, ``recorded_at`` and ``v``, and but those that the ledger looks
    up in the history. Without ``at`` it takes effect when it is recorded, and ``at`` is then no part of the comparison
    of a repeated ``uid``. ``live`` is false for history that comes from a file: an event on a dead grant then goes in
    and changes nothing. ``compare_exclude`` names the members that the comparison leaves out: looked-up members and
    commitments (``received_by`` and ``previous_developer`` always are); ``a.b`` is the member ``b`` of the object
    ``a``. ``intended_endpoint`` is that of a ``delivery.settled``, which does not state it. ``is_checked`` says that
    what it states passed the codec's ``check_stated``, or the same checks where it was read. ``changes`` become durable
    with the entry, where it is created. ``overtaken`` is asked about a new entry when it is judged, with the history that it
    would be appended to and the instant (ms): a reason for which it must not be, because what it was made from has changed,
    makes it a conflict. It is quick, changes nothing, and may be asked several times.
    """

    members: Mapping[str, JsonValue]
    live: bool = True
    compare_exclude: frozenset[str] = frozenset()
    intended_endpoint: str | None = None
    is_checked: bool = False
    changes: tuple[Change, ...] = ()
    overtaken: Callable[[History, int], str | None] | None = None


@dataclass(frozen=True, slots=True)
class AttemptDraft:
    """A request to send: appended as ``delivery.attempted`` if it is backed, else as ``delivery.refused``.

    ``members`` are those of ``delivery.attempted`` without ``kind``, ``uid``, ``grant``, ``grant_version``, ``scope``,
    ``decided_at_size``, ``send_before`` and what the sequencer adds to every draft. The ``uid`` is the kind, the
    delivery and the attempt, so that one attempt is decided once. ``changes_if_permitted`` become durable with the
    attempt, ``changes_if_refused`` with the refusal.
    """

    members: Mapping[str, JsonValue]
    compare_exclude: frozenset[str] = field(default=frozenset({"payload", "worker"}))
    is_checked: bool = False
    changes_if_permitted: tuple[Change, ...] = ()
    changes_if_refused: tuple[Change, ...] = ()


_AnyDraft = TypeVar("_AnyDraft", bound=Draft | AttemptDraft)


def checked(draft: _AnyDraft, codec: Codec) -> _AnyDraft:
    """``draft`` with its members checked here, so that the one sequencer does not have to.

    A draft whose members are not surely well typed comes back as it is; the sequencer then says what is wrong with it.
    """
    members = draft.members
    if isinstance(draft, AttemptDraft):
        members = {**members, "kind": "delivery.attempted"}
    return replace(draft, is_checked=True) if codec.check_stated(members) else draft


class Appended(msgspec.Struct, frozen=True, gc=False):
    """A durable entry: the bytes ``data``, their place and leaf hash; ``created`` is false if it was there before."""

    seq: int
    leaf_hash: bytes
    data: bytes
    created: bool


@dataclass(frozen=True, slots=True)
class Rejection:
    """Nothing was appended; ``reason`` names the rule in a few words.

    ``withdrawn`` stands for a sound draft of an all-or-nothing call in which another one was rejected.
    """

    reason: str
    code: RejectionCode = "rejected"

    def error(self) -> RejectedError:
        """The exception for callers that cannot go on without the entry."""
        return ConflictError(self.reason) if self.code == "conflict" else RejectedError(self.reason)


Outcome = Appended | Rejection
Decision = Permit | Refused | Appended | Rejection
"""Of an attempt: the permit, the refusal; ``Appended`` (never created) when it was decided before: no permit."""


def expect(outcome: Outcome) -> Appended:
    """``outcome`` where it was appended; raises RejectedError or ConflictError where it was not."""
    if isinstance(outcome, Rejection):
        raise outcome.error()
    return outcome
