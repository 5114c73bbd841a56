"""Deadlines that have passed, and what is done about a developer that is late (incidents and exports, section 5.3).

Deadlines are computed and looked at: one that passed while nobody ran is found at the next look. Steps are taken by people,
in order, each an entry, and those that restrict are durable together with the restriction that they are::

    remind              the developer is told again
    suspend_deliveries  developer.suspended: the gate refuses whatever is for any of its apps
    suspend_app         app.suspended: each of its apps, which stay off when the developer is reinstated
    tell_authority      that it was told: the notification is the incident's, and is recorded before

Closing can lift what the steps have stopped, and nothing else: what was suspended for another reason, by hand or for another
open obligation, stays so.

Nothing is sent from the entry on: what restricts is announced before it is recorded, permits that have not started end, and
a step that restricts returns when none is left that could.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from ledger.core.folding import Event, in_fold_order
from ledger.core.history import History
from ledger.core.parties import developer_of_app
from ledger.errors import ConflictError, RejectedError
from ledger.gateway.parties import StandingKind, standing_draft
from ledger.incidents.obligation_moves import LEDGER, Move, Moves, finding_of
from ledger.incidents.obligation_states import ENDED, Deadline, find_overdue, next_step
from ledger.ports import Clock, EntryStore
from ledger.ports.incidents import Incidents
from ledger.ports.obligations import STEPS, Obligation, Obligations, Step
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

log = structlog.get_logger()


class Escalation:
    """Notes what is overdue, takes the steps, and takes them back. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        obligations: Obligations,
        incidents: Incidents,
        moves: Moves,
        clock: Clock,
        wait_for_permits: Callable[[str], object],
        tell: Callable[[Obligation], object],
    ) -> None:
        """``wait_for_permits(developer)`` returns when none of its permits can start; ``tell`` tells a developer again."""
        self._wait_for_permits = wait_for_permits
        self._tell = tell
        self._sequencer = sequencer
        self._store = store
        self._obligations = obligations
        self._incidents = incidents
        self._moves = moves
        self._clock = clock

    def run_once(self) -> int:
        """Note every deadline that has passed unmet by now, each once; how many there were."""
        now_ms = self._clock.now_ms()
        noted = 0
        for obligation in self._obligations.load_all():
            for deadline in find_overdue(obligation, now_ms):
                current = self._note(obligation, deadline)
                if current is None:
                    break
                obligation, noted = current, noted + 1
        return noted

    def _note(self, obligation: Obligation, deadline: Deadline) -> Obligation | None:
        """Record that ``deadline`` has passed; None where somebody moves it just now, and the next run looks again."""
        finding = finding_of(
            deadline.code, obligation, self._sequencer.size, f"{obligation.obligation}/{deadline.name}"
        )
        move = Move("overdue", {"code": deadline.code}, {"overdue": (*obligation.overdue, deadline.name)})
        try:
            return self._moves.take(obligation, [move], LEDGER, beside=[finding]).obligation
        except ConflictError:
            log.info("obligations.moved_meanwhile", obligation=obligation.obligation)
            return None

    def escalate(self, obligation: Obligation, actor: str, step: Step | None = None) -> Obligation:
        """Take the next step, or ``step``, which must be the next one; one that was taken already changes nothing.

        What a step restricts is durable in the same transaction. Raises RejectedError where another step comes first, all
        were taken, or no authority was told that is said to be, and as :meth:`Moves.take`.
        """
        if step is not None and step in obligation.steps:
            return obligation
        following = next_step(obligation)
        if following is None:
            raise RejectedError("all steps were taken: what is left is to close it, or to wait")
        if step not in (None, following):
            raise RejectedError(f"{following} comes before {step}: the steps are {', '.join(STEPS)}")
        if following == "tell_authority" and not self._is_authority_told(obligation.incident):
            raise RejectedError(
                f"no authority was told of {obligation.incident}: record that first, with `grantledger incident told`"
            )
        drafts = self._restrictions(obligation, following, actor)
        move = Move("escalated", {"step": following}, {"steps": (*obligation.steps, following)})
        moved = self._moves.take(obligation, [move], actor, beside=drafts).obligation
        if drafts:
            self._wait_for_permits(obligation.developer)
        if following == "remind":
            self._tell(moved)
        return moved

    def _is_authority_told(self, incident: str) -> bool:
        """Whether one was: people read this step in their notices."""
        return any(one.kind == "authority" for one in self._incidents.events(incident))

    def close(
        self, obligation: Obligation, actor: str, text: str | None = None, *, reinstate: bool = False
    ) -> Obligation:
        """End it; with ``reinstate`` developer and apps may receive again, where these steps had stopped them.

        Raises as :meth:`Moves.take`.
        """
        if obligation.state == "CLOSED":
            return obligation
        drafts = self._reinstatements(obligation, actor) if reinstate else []
        return self._moves.take(obligation, [Move("closed", text=text)], actor, beside=drafts).obligation

    def _restrictions(self, obligation: Obligation, step: Step, actor: str) -> list[Draft]:
        developer, uid = obligation.developer, f"{obligation.obligation}/{obligation.version}"
        if step == "suspend_deliveries":
            return [standing_draft("developer.suspended", developer, actor, uid)]
        if step == "suspend_app":
            apps = self._sequencer.look(lambda history, now_ms: apps_of(history, developer, now_ms))
            return [standing_draft("app.suspended", app, actor, uid) for app in apps]
        return []

    def _reinstatements(self, obligation: Obligation, actor: str) -> list[Draft]:
        """What lifts the suspensions of this obligation, where nobody else has suspended the same since it was in order."""
        developer, uid = obligation.developer, f"{obligation.obligation}/{obligation.version}"
        over = [
            one
            for one in self._obligations.load_all(developer=developer)
            if one.obligation == obligation.obligation or one.state in ENDED
        ]

        def suspensions(history: History, now_ms: int) -> dict[tuple[StandingKind, str], set[int]]:
            found: dict[tuple[StandingKind, str], set[int]] = {}
            record = history.developers.get(developer)
            if record is not None:
                found["developer.reinstated", developer] = _suspended_since(record.standing.events)
            for app in apps_of(history, developer, now_ms):
                found["app.reinstated", app] = _suspended_since(history.apps[app].standing.events)
            return found

        drafts = []
        for (kind, name), seqs in sorted(self._sequencer.look(suspensions).items(), reverse=True):
            if not seqs:
                continue
            suspended = f"{kind.partition('.')[0]}.suspended"
            own = {seq for one in over for seq in self._steps_against(one, f"{suspended}/{name}")}
            if seqs <= own:
                drafts.append(standing_draft(kind, name, actor, uid))
        return drafts

    def _steps_against(self, obligation: Obligation, name: str) -> set[int]:
        """The entries by which steps of ``obligation`` have suspended whoever ``name`` (kind and id) says."""
        if not {"suspend_deliveries", "suspend_app"} & set(obligation.steps):
            return set()
        uids = [f"{name}/{obligation.obligation}/{version}" for version in range(obligation.version)]
        return {row.seq for row in self._store.fetch_by_uids(uids).values()}


def _suspended_since(events: Sequence[Event]) -> set[int]:
    """The suspensions behind the last reinstatement, by seq; none where it is in good standing."""
    seqs: set[int] = set()
    for event in in_fold_order(events):
        if event.verb == "suspended":
            seqs.add(event.seq)
        else:
            seqs.clear()
    return seqs


def apps_of(history: History, developer: str, at_ms: int) -> list[str]:
    """The apps that belong to ``developer`` at ``at_ms``, by id."""
    return sorted(app for app in history.apps if developer_of_app(history, app, at_ms) == developer)
