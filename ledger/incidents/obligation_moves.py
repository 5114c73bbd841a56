"""Moving an obligation: one entry a step, numbered, with the row in the same transaction (section 5.3).

The ``uid`` of a step is the obligation and the number of the step, whatever the step is: of two that race one is recorded,
and the other one is a conflict, and finds the obligation where the first one has put it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.core.canonical import JsonValue
from ledger.errors import ConflictError, RejectedError
from ledger.gateway.drafts import append_whole, live_draft
from ledger.incidents.obligation_states import Event, Refused, next_state
from ledger.ports import Change, Clock, Randomness
from ledger.ports.obligations import Obligation, Obligations, Remark
from ledger.ports.sealing import Sealing
from ledger.sequencer.draft import Appended, Draft
from ledger.sequencer.sequencer import Sequencer

SALT_BYTES = 32
TEXT_CHARACTERS_MAX = 4_096
LEDGER = "system:obligations"

_COMMITTED = frozenset({"text"})


@dataclass(frozen=True, slots=True)
class Move:
    """One step: ``event``, the members that its entry states beside the usual ones, and the columns that it changes.

    ``text`` are words of whoever does it; the entry holds a commitment to them. ``changes`` become durable with it.
    """

    event: Event
    stated: Mapping[str, JsonValue] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """Where an obligation stands after its steps, and the entries of these, the last ones those of the steps."""

    obligation: Obligation
    entries: Sequence[Appended]


class Moves:
    """Takes steps. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        obligations: Obligations,
        sealing: Sealing,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._sequencer = sequencer
        self._obligations = obligations
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness

    def take(
        self, obligation: Obligation, moves: Sequence[Move], actor: str, beside: Sequence[Draft] = ()
    ) -> Moved:
        """Take ``moves`` one after the other, all or none, with the drafts ``beside`` in front of them.

        ``actor`` (``role:id``) does it; durable when this returns. Raises RejectedError where a step does not follow from
        where the obligation stands or the ledger refuses, ConflictError where somebody else has moved it meanwhile,
        StoreError where nothing is known: then look where it stands.
        """
        drafts = list(beside)
        for move in moves:
            state = next_state(obligation, move.event)
            if isinstance(state, Refused):
                raise RejectedError(state.reason)
            obligation = replace(
                obligation, state=state, version=obligation.version + 1, **dict(move.changed)
            )
            drafts.append(self._draft(obligation, move, actor))
        try:
            entries = append_whole(self._sequencer, drafts)
        except ConflictError as error:
            raise ConflictError(
                "somebody else has moved this obligation at the same moment: look where it stands"
            ) from error
        return Moved(self._obligations.load(obligation.obligation) or obligation, entries)

    def _draft(self, moved: Obligation, move: Move, actor: str) -> Draft:
        stated: dict[str, JsonValue] = {**members_of(moved), **move.stated}
        changes = [self._obligations.move(moved), *move.changes]
        if move.text is not None:
            stated["text"], remark = self._commit(moved, move.text, actor)
            changes.append(self._obligations.put_remark(remark))
        uid = f"obligation/{moved.obligation}/{moved.version}"
        draft = live_draft(f"obligation.{move.event}", actor, stated, uid=uid, changes=changes)
        # Whoever does the same at the same moment has another salt, and the entry that is there says the same.
        return replace(draft, compare_exclude=draft.compare_exclude | _COMMITTED)

    def _commit(self, moved: Obligation, text: str, actor: str) -> tuple[str, Remark]:
        if not text.strip() or len(text) > TEXT_CHARACTERS_MAX:
            raise RejectedError(f"what is said about it has 1 to {TEXT_CHARACTERS_MAX} characters")
        salt = self._randomness.token(SALT_BYTES)
        kept = json.dumps({"text": text, "salt": salt.hex(), "actor": actor, "at": self._clock.now_ms()})
        sealed = self._sealing.seal_secret(_context(moved.obligation, moved.version), kept)
        commitment = hmac.digest(salt, text.encode(), "sha256").hex()
        return commitment, Remark(moved.obligation, moved.version, sealed)

    def open_remarks(self, obligation: str) -> list[dict[str, Any]]:
        """What was said with the steps of an obligation: ``version``, ``actor``, ``at``, ``text``, ``salt``.

        Raises StoreError where something was altered.
        """
        return [
            {"version": one.version}
            | json.loads(self._sealing.open_secret(_context(obligation, one.version), one.sealed))
            for one in self._obligations.load_remarks(obligation)
        ]


def members_of(obligation: Obligation) -> dict[str, JsonValue]:
    """The members that every entry about an obligation has."""
    return {
        "obligation": obligation.obligation,
        "incident": obligation.incident,
        "developer": obligation.developer,
    }


def finding_of(
    code: str, obligation: Obligation, tree_size: int, uid: str, stated: Mapping[str, JsonValue] | None = None
) -> Draft:
    """The draft of a ``finding.recorded`` about ``obligation``, of which there is one with ``uid``."""
    members: dict[str, JsonValue] = {
        **members_of(obligation),
        "code": code,
        "severity": "P",
        "tree_size": tree_size,
        **(stated or {}),
    }
    draft = live_draft(
        "finding.recorded", LEDGER, members, uid=f"finding.recorded/{code}/{uid}", via="system"
    )
    return replace(draft, compare_exclude=draft.compare_exclude | {"tree_size"})


def _context(obligation: str, version: int) -> str:
    return f"remark/{obligation}/{version}"
