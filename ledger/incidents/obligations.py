"""Obligations of developers to delete: opened, answered, ended (incidents and exports, section 5.3).

There is one for each developer that received what an incident is about. Its list holds exactly those deliveries, is held
against the developer's index, and never holds the data again. A later revision of the incident that finds more at the same
developer opens another obligation over what is new. The three deadlines come from the policies in force when it is opened.

Attesting is :mod:`ledger.incidents.attestations`, deadlines and steps against a developer :mod:`ledger.incidents.escalation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from ledger.core.canonical import JsonValue
from ledger.core.holds import Placed
from ledger.core.obligation_clock import REPORTED
from ledger.errors import ConflictError, RejectedError, StoreError, UsageError
from ledger.gateway.drafts import digest_of, live_draft
from ledger.incidents.developer_index import Named, Received
from ledger.incidents.obligation_lists import LineProof, list_line, list_root, prove_line
from ledger.incidents.obligation_moves import LEDGER, Move, Moves, members_of
from ledger.ports import Clock, EntryStore
from ledger.ports.incidents import Incidents
from ledger.ports.obligations import ListedDelivery, Obligation, Obligations
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer

LINES_AT_ONCE = 1_000
POLICIES = ("deletion_ack", "deletion_done", "deletion_attest")

_DEADLINES = frozenset({"acknowledge_by", "delete_by", "attest_by"})
"""What of two openings at the same moment differs, and is no other obligation."""


class Periods(Protocol):
    """The policies in force."""

    def period_ms(self, policy: str, jurisdiction: str | None = None) -> int | None:
        """The period that ``policy`` gives, None where none is in force."""
        ...


class Indexes(Protocol):
    """Developers' indexes; see :class:`ledger.incidents.developer_index.DeveloperIndex`."""

    def read(self, developer: str, tree_size: int) -> Received:
        """What ``developer`` received in entries below ``tree_size``."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening did for one developer.

    ``unlisted`` counts what it received wrongly by its index and what is on no list of any incident: another cause, which
    nobody has assessed yet.
    """

    obligation: Obligation
    is_new: bool
    unlisted: int


def _ignore_progress(done: int, total: int) -> None:
    """Nobody watches."""


class ObligationDesk:
    """Opens obligations and takes the developers' and the operator's answers. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        obligations: Obligations,
        incidents: Incidents,
        indexes: Indexes,
        periods: Periods,
        moves: Moves,
        clock: Clock,
    ) -> None:
        self._sequencer = sequencer
        self._store = store
        self._obligations = obligations
        self._incidents = incidents
        self._indexes = indexes
        self._periods = periods
        self._moves = moves
        self._clock = clock

    def open(
        self,
        incident: str,
        revision: int | None = None,
        *,
        actor: str,
        on_progress: Callable[[int, int], None] = _ignore_progress,
    ) -> list[Opened]:
        """One obligation for each developer that received what ``revision`` (the last, where None) is about.

        Those that are there already are found again. Durable when this returns. Raises UsageError where the incident is
        unknown or not assessed, a policy is missing, or the index does not hold what the list says; StoreError where nothing
        is known: the same call made again goes on.
        """
        found = self._incidents.load(incident)
        if found is None or not 1 <= (revision or found.revision) <= found.revision:
            raise UsageError(f"there is no assessed incident {incident!r}; see `grantledger incident list`")
        revision = revision or found.revision
        periods = self._read_periods()
        receivers = self._incidents.receivers(incident, revision)
        opened = []
        for place, (developer, _) in enumerate(receivers):
            one = self._open_one(incident, revision, developer, periods, actor)
            if one is not None:
                opened.append(one)
            on_progress(place + 1, len(receivers))
        return opened

    def _read_periods(self) -> tuple[int, int, int]:
        found = [self._periods.period_ms(policy) for policy in POLICIES]
        missing = [policy for policy, period in zip(POLICIES, found, strict=True) if period is None]
        if missing:
            raise UsageError(
                f"no policy gives {', '.join(missing)}: set them first, for example with "
                "`grantledger policy defaults --set`"
            )
        first, second, third = (period or 0 for period in found)
        return first, second, third

    def _open_one(
        self, incident: str, revision: int, developer: str, periods: tuple[int, int, int], actor: str
    ) -> Opened | None:
        name = f"o-{digest_of(incident, developer, revision)}"
        standing = self._obligations.load(name)
        assessment = self._incidents.assessment(incident, revision)
        assert assessment is not None, "a revision is an assessment"
        received = self._indexes.read(developer, assessment.tree_size)
        if standing is None:
            lines = list(self._new_lines(incident, revision, developer))
            if not lines:
                # Nothing is new, or somebody else has opened it since the look above.
                standing = self._obligations.load(name)
                return None if standing is None else self._found(standing, received, is_new=False)
            self._check_indexed(developer, {(line.delivery, line.attempt) for line in lines}, received)
            # A crash before the entry leaves lines of an obligation that was never opened: made anew, not added to.
            self._obligations.drop_lines(name)
            self._obligations.put_lines(name, lines)
            now_ms = self._clock.now_ms()
            made = Obligation(
                obligation=name,
                incident=incident,
                developer=developer,
                revision=revision,
                tree_size=assessment.tree_size,
                deliveries=len(lines),
                list_root=list_root(lines),
                opened_at_ms=now_ms,
                acknowledge_by_ms=now_ms + periods[0],
                delete_by_ms=now_ms + periods[1],
                attest_by_ms=now_ms + periods[2],
            )
            is_new = self._append_opened(made, actor)
            standing = self._obligations.load(name)
            assert standing is not None, "its entry is durable, and so is its row"
            return self._found(standing, received, is_new=is_new)
        return self._found(standing, received, is_new=False)

    def _found(self, standing: Obligation, received: Received, *, is_new: bool) -> Opened:
        unlisted = len(received.wrongly - self._listed_anywhere(standing.developer))
        return Opened(standing, is_new, unlisted)

    def _append_opened(self, made: Obligation, actor: str) -> bool:
        """Whether it is new: somebody else may open the same one at the same moment."""
        stated: dict[str, JsonValue] = {
            **members_of(made),
            "tree_size": made.tree_size,
            "deliveries": made.deliveries,
            "list_root": made.list_root,
            "acknowledge_by": made.acknowledge_by_ms,
            "delete_by": made.delete_by_ms,
            "attest_by": made.attest_by_ms,
        }
        uid = f"obligation.opened/{made.incident}/{made.developer}/{made.revision}"
        change = self._obligations.put(made)
        draft = live_draft("obligation.opened", actor, stated, uid=uid, changes=[change])
        draft = replace(draft, compare_exclude=draft.compare_exclude | _DEADLINES)
        return expect(self._sequencer.append(draft)).created

    def _new_lines(self, incident: str, revision: int, developer: str) -> Iterator[ListedDelivery]:
        """The lines of what ``developer`` received and no earlier obligation of the incident lists."""
        earlier = {
            (line.delivery, line.attempt)
            for one in self._obligations.load_all(incident, developer)
            for line in self._obligations.stream_lines(one.obligation)
        }
        place, after = 0, -1
        while exposed := self._incidents.deliveries(
            incident, revision, after=after, limit=LINES_AT_ONCE, received_by=developer
        ):
            after = exposed[-1].position
            for one in exposed:
                if one.delivery is None or (one.delivery, one.attempt or 1) in earlier:
                    continue
                yield list_line(one, place)
                place += 1

    def _check_indexed(self, developer: str, listed: set[Named], received: Received) -> None:
        missing = listed - received.all
        if missing:
            raise UsageError(
                f"{len(missing)} deliveries of the incident are not in the index of {developer}: run `grantledger verify`, "
                "and assess the incident again"
            )

    def _listed_anywhere(self, developer: str) -> set[Named]:
        return {
            (line.delivery, line.attempt)
            for one in self._obligations.load_all(developer=developer)
            for line in self._obligations.stream_lines(one.obligation)
        }

    def load(self, obligation: str) -> Obligation:
        """The obligation of this id; raises UsageError where there is none."""
        found = self._obligations.load(obligation)
        if found is None:
            raise UsageError(f"there is no obligation {obligation!r}; see `grantledger obligation list`")
        return found

    def load_all(self, incident: str | None = None, developer: str | None = None) -> Sequence[Obligation]:
        """All of them, or those of an incident, a developer, or both, by age."""
        return self._obligations.load_all(incident, developer)

    def load_lines(self, obligation: str, first: int = 0, count_max: int = 1_000) -> Sequence[ListedDelivery]:
        """The lines of its list from place ``first`` on."""
        return self._obligations.load_lines(obligation, first, count_max)

    def stream_lines(self, obligation: str) -> Iterator[ListedDelivery]:
        """All lines of its list, in order."""
        return self._obligations.stream_lines(obligation)

    def prove_line(self, obligation: str, place: int) -> LineProof:
        """The proof that the line at ``place`` is on the list; raises UsageError where there is no such line."""
        found = self.load(obligation)
        if not 0 <= place < found.deliveries:
            raise UsageError(f"the list has the places 0 to {found.deliveries - 1}")
        proof = prove_line(self._obligations.stream_lines(obligation), found.deliveries, place)
        if proof.list_root != found.list_root:
            raise StoreError("the list is not the one that the entry states: restore a backup")
        return proof

    def note_notified(self, obligation: Obligation, actor: str) -> Obligation:
        """Note that the developer has been told: it asked, or a message of ours arrived. Once.

        Whoever moves it at the same moment has told it, too: then it is as that left it.
        """
        if obligation.state != "OPENED":
            return obligation
        try:
            return self._moves.take(obligation, [Move("notified")], actor).obligation
        except ConflictError:
            return self.load(obligation.obligation)

    def acknowledge(self, obligation: Obligation, actor: str, text: str | None = None) -> Obligation:
        """The developer says that it knows and will act. Once; raises as :meth:`Moves.take`."""
        if obligation.acknowledged_at_ms is not None:
            return obligation
        moves = [*self._told(obligation), self._acknowledged(text)]
        return self._moves.take(obligation, moves, actor).obligation

    def report(
        self, obligation: Obligation, actor: str, text: str | None = None, *, is_done: bool = False
    ) -> Obligation:
        """The developer says how far it is, or, unsigned, that it is done. Raises as :meth:`Moves.take`."""
        changed: dict[str, int] = {}
        stated: dict[str, JsonValue] = {}
        if is_done and obligation.reported_at_ms is None:
            changed["reported_at_ms"] = self._clock.now_ms()
            stated["code"] = REPORTED
        moves = self._told(obligation)
        if obligation.acknowledged_at_ms is None:
            moves.append(self._acknowledged(None))
        moves.append(Move("in_progress", stated, changed, text))
        return self._moves.take(obligation, moves, actor).obligation

    def verify(self, obligation: Obligation, actor: str, text: str) -> Obligation:
        """Somebody other than the developer has checked what was attested, and says how. Raises as :meth:`Moves.take`."""
        if obligation.state == "VERIFIED":
            return obligation
        return self._moves.take(obligation, [Move("verified", text=text)], actor).obligation

    def waive(self, obligation: Obligation, actor: str, approved_by: str, text: str) -> Obligation:
        """Do not insist any more, which takes two; raises RejectedError where ``approved_by`` is ``actor`` itself."""
        if approved_by == actor:
            raise RejectedError("a second person approves: whoever waives cannot approve it as well")
        if obligation.state == "WAIVED":
            return obligation
        move = Move("waived", {"approved_by": approved_by}, text=text)
        return self._moves.take(obligation, [move], actor).obligation

    def hold(self, obligation: Obligation, hold: str, actor: str) -> Obligation:
        """Let the legal hold ``hold`` (its id) go first: nothing is deleted, and no deadline runs. Raises as above.

        The hold stands in the log, on this obligation's incident or on an account: RejectedError where it does not.
        """
        if obligation.state == "HELD":
            return obligation
        placed, stands = self._sequencer.look(
            lambda history, now_ms: (history.holds.first_of(hold), history.holds.stands(hold, now_ms))
        )
        _check_hold(obligation, hold, placed, stands=stands)
        changed = {"held_from": obligation.state, "held_since_ms": self._clock.now_ms()}
        return self._moves.take(obligation, [Move("held", {"hold": hold}, changed)], actor).obligation

    def release_held(self) -> int:
        """Let obligations go on whose legal hold was lifted or has run out; how many. Whoever moves one first, wins."""
        released = 0
        for one in self._obligations.load_all():
            if one.state != "HELD":
                continue
            stands, end_ms = self._look_at_hold(self._hold_of(one))
            if stands:
                continue
            try:
                self.resume(one, LEDGER, end_ms)
            except ConflictError:
                continue
            released += 1
        return released

    def _look_at_hold(self, hold: str) -> tuple[bool, int | None]:
        """Whether ``hold`` stands now, and when it ended or will."""
        return self._sequencer.look(
            lambda history, now_ms: (history.holds.stands(hold, now_ms), history.holds.end_of(hold))
        )

    def _hold_of(self, obligation: Obligation) -> str:
        """The hold that a held obligation waits for: that of its last holding."""
        for version in range(obligation.version, 0, -1):
            uid = f"obligation/{obligation.obligation}/{version}"
            row = self._store.fetch_by_uids([uid]).get(uid)
            entry: dict[str, Any] = {} if row is None else msgspec.json.decode(row.data)
            if entry.get("kind") == "obligation.held":
                return str(entry["hold"])
        return ""

    def resume(self, obligation: Obligation, actor: str, ended_ms: int | None = None) -> Obligation:
        """Go on where it stood before the hold; the deadlines are later by as long as it lasted. Raises as above.

        ``ended_ms`` is when the legal hold ended, where it did before now.
        """
        since_ms, now_ms = obligation.held_since_ms, self._clock.now_ms()
        end_ms = now_ms if ended_ms is None else min(now_ms, ended_ms)
        lasted_ms = 0 if since_ms is None else max(0, end_ms - since_ms)
        changed = {
            "held_from": None,
            "held_since_ms": None,
            "held_total_ms": obligation.held_total_ms + lasted_ms,
        }
        return self._moves.take(obligation, [Move("resumed", changed=changed)], actor).obligation

    def open_remarks(self, obligation: str) -> list[dict[str, object]]:
        """What was said with its steps, in order."""
        return list(self._moves.open_remarks(obligation))

    def _told(self, obligation: Obligation) -> list[Move]:
        """Whoever answers has been told."""
        return [Move("notified")] if obligation.state == "OPENED" else []

    def _acknowledged(self, text: str | None) -> Move:
        return Move("acknowledged", changed={"acknowledged_at_ms": self._clock.now_ms()}, text=text)


def _check_hold(obligation: Obligation, hold: str, placed: Placed | None, *, stands: bool) -> None:
    if placed is None or not stands:
        raise RejectedError(
            f"there is no legal hold {hold!r} that stands: place it first, with `grantledger hold place --incident "
            f"{obligation.incident}`"
        )
    if placed.incident not in (None, obligation.incident):
        raise RejectedError(f"the hold {hold} lies on the incident {placed.incident}, not on this one's")
