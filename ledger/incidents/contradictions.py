"""What was seen of a developer after it attested that it has nothing any more (incidents and exports, section 5.3).

A receipt of the developer about a listed delivery, or a canary whose data was listed and that turned up at the developer:
recorded behind an attestation, it contradicts the one that counted then: signing anew is no way out of what was seen
before. That is ``ATTESTATION_CONTRADICTED``, with the entry as evidence, and the
obligation is disputed. Only lines that were attested as gone can be contradicted so.

A receipt that a developer hands in late about something it received before counts as well: whoever confirms a delivery by
its id after having signed that nothing of it is left has something to explain, and ``DISPUTED`` asks for no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import structlog

from ledger.errors import ConflictError
from ledger.incidents.attestations import GONE, Claims, claim_at, read_claims
from ledger.incidents.obligation_moves import LEDGER, Move, Moves, finding_of
from ledger.incidents.obligation_states import Refused, next_state
from ledger.ports import EntryStore, StoredEntry
from ledger.ports.obligations import ListedDelivery, Obligation, Obligations
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer

CURSOR = "contradictions"
ENTRIES_AT_ONCE = 100_000
STEPS_AT_ONCE = 64

_ATTESTED = b'"kind":"obligation.attested"'
_KINDS = (b'"kind":"delivery.receipt"', b'"kind":"canary.seen"')

log = structlog.get_logger()


class Contradictions:
    """Reads what is new in the log and holds it against attestations. One run at a time."""

    def __init__(
        self, *, sequencer: Sequencer, store: EntryStore, obligations: Obligations, moves: Moves
    ) -> None:
        self._sequencer = sequencer
        self._store = store
        self._obligations = obligations
        self._moves = moves

    def run_once(self) -> int:
        """Look at all that is new; how many contradictions were found.

        The place in the log moves on behind what was recorded: dying in between finds the same again, which is there.
        """
        start, size = self._obligations.load_cursor(CURSOR), self._store.size()
        if not any(one.attestation is not None for one in self._obligations.load_all()):
            # Read after the size: an attestation that comes later has a place behind it.
            if start < size:
                self._obligations.move_cursor(CURSOR, size)
            return 0
        found = 0
        for first in range(start, size, ENTRIES_AT_ONCE):
            end = min(size, first + ENTRIES_AT_ONCE)
            rows = self._store.fetch_range(first, end)
            found += self._look_at(row for row in rows if any(kind in row.data for kind in _KINDS))
            self._obligations.move_cursor(CURSOR, end)
        return found

    def _look_at(self, rows: Iterable[StoredEntry]) -> int:
        found = 0
        for row in rows:
            members: dict[str, Any] = msgspec.json.decode(row.data)
            if members["kind"] == "delivery.receipt":
                by, lines = members["developer"], self._obligations.find_lines(members["delivery"])
            elif members["kind"] == "canary.seen" and members.get("seen_by") is not None:
                by, lines = members["seen_by"], self._obligations.find_lines_of(members["account"])
            else:
                continue
            found += self._hold_against(by, lines, row.seq)
        return found

    def _hold_against(self, developer: str, lines: Sequence[tuple[str, ListedDelivery]], seq: int) -> int:
        found = 0
        for name in dict.fromkeys(name for name, _ in lines):
            obligation = self._obligations.load(name)
            if obligation is None or obligation.developer != developer:
                continue
            claims = self._claims_before(obligation, seq)
            if claims is None:
                continue
            its = next(
                (line for of, line in lines if of == name and claim_at(claims, line.place) in GONE), None
            )
            if its is not None:
                self._record(obligation, its, seq)
                found += 1
        return found

    def _claims_before(self, obligation: Obligation, seq: int) -> Claims | None:
        """What the developer had attested last before entry ``seq``; None where it had attested nothing."""
        if obligation.attestation is None:
            return None
        for top in range(obligation.version, 0, -STEPS_AT_ONCE):
            uids = [
                f"obligation/{obligation.obligation}/{version}"
                for version in range(top, max(0, top - STEPS_AT_ONCE), -1)
            ]
            rows = self._store.fetch_by_uids(uids)
            for uid in uids:
                row = rows.get(uid)
                if row is None or row.seq >= seq or _ATTESTED not in row.data:
                    continue
                digest: str = msgspec.json.decode(row.data)["attestation"]
                kept = self._obligations.load_attestation(digest)
                return None if kept is None else read_claims(kept.claims)
        return None

    def _record(self, obligation: Obligation, line: ListedDelivery, seq: int) -> None:
        finding = finding_of(
            "ATTESTATION_CONTRADICTED",
            obligation,
            seq + 1,
            f"{obligation.obligation}/{seq}",
            {"delivery": line.delivery, "attempt": line.attempt},
        )
        if isinstance(next_state(obligation, "disputed"), Refused):
            # It is disputed already, or over for another reason: what was seen is recorded all the same.
            expect(self._sequencer.append(finding))
            return
        try:
            self._moves.take(obligation, [_disputing(obligation, seq)], LEDGER, beside=[finding])
        except ConflictError:
            # Somebody else has moved it; the finding goes with the next look at where it stands now.
            log.warning("obligations.moved_meanwhile", obligation=obligation.obligation)
            current = self._obligations.load(obligation.obligation)
            assert current is not None, "an obligation never goes away"
            self._moves.take(current, [_disputing(current, seq)], LEDGER, beside=[finding])


def _disputing(obligation: Obligation, seq: int) -> Move:
    """The step by which entry ``seq`` disputes ``obligation``."""
    changed: dict[str, Any] = {"contradicted_by": seq}
    if obligation.state == "HELD":
        changed["held_from"] = "DISPUTED"
    return Move("disputed", {"code": "ATTESTATION_CONTRADICTED", "contradicted_by": seq}, changed)
