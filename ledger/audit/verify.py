"""Verification from end to end (verdict rules, section 2; ledger format, sections 1.1 to 1.4).

::

    entry bytes -> chain, sequence, tree, tiles      structure
    published checkpoint, kept checkpoints           signed state
    index.sealed -> replayed map roots               seals
    party and grant events -> history                entry findings, collisions
    deliveries -> engine's sweep -> scalar rule      judgements

Nothing is trusted but entry bytes, the log's public key and checkpoints kept from earlier. What cannot be checked is said
in the report's notes.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ledger.audit.backing import judge_suspects
from ledger.audit.cosigners import Cosigner, WitnessDemand, check_cosigners
from ledger.audit.entry_reader import EntryReader
from ledger.audit.findings import Finding, of_collision, of_entry, of_fault, of_judgement, of_missed
from ledger.audit.identities import IdentityCheck
from ledger.audit.report import Exposed, Report
from ledger.audit.seals import Seals
from ledger.audit.second_sources import SecondSources
from ledger.audit.shown_bundles import ShownBundle, check_bundles
from ledger.audit.signed_state import EarlierCheckpoint, check_earlier, check_signed
from ledger.audit.structure import Structure
from ledger.core.checkpoint import Checkpoint
from ledger.core.duty_clocks import DutyClocks
from ledger.core.entries import Entry
from ledger.core.faults import FaultList
from ledger.core.history import History
from ledger.core.judgement import Judgement
from ledger.core.ledger_findings import Sighting, find_collisions, find_entry_findings, rests_on_what_follows
from ledger.core.note import Verifier
from ledger.core.receipts import SignatureCheck
from ledger.core.source_keys import SECOND_SOURCE_KINDS
from ledger.ports import Codec, Engine, LogSource, Reading, Sweep

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to verify and how strictly.

    ``verifier`` is the log's key, its name the log's origin, ``vkey`` the same as text. ``earlier`` are checkpoints kept
    from before. ``hashes_are_tiles`` says that the source's stored leaf hashes *are* its level 0 tiles. Without
    ``check_signature`` (Ed25519) receipts and egress counts are not looked at, and a note says so. ``witnesses`` is the
    policy whose quorum has to have cosigned the published checkpoint. ``bundles`` are what somebody was shown of this log.
    """

    source: LogSource
    verifier: Verifier
    vkey: str
    earlier: Sequence[EarlierCheckpoint] = ()
    with_index: bool = True
    require_tickets: bool = False
    unsettled_max: int | None = None
    hashes_are_tiles: bool = True
    identities: IdentityCheck | None = None
    check_signature: SignatureCheck | None = None
    witnesses: WitnessDemand | None = None
    bundles: Sequence[ShownBundle] = ()


@dataclass(slots=True)
class Verified:
    """The report, and the checkpoint that may be remembered: None where the log is not the one signed."""

    report: Report
    checkpoint: Checkpoint | None
    note: bytes | None
    history: History
    judgements: list[Judgement] = field(default_factory=list)


def verify(request: Request, engine: Engine, codec: Codec, on_progress: Progress) -> Verified:
    """Verify a whole log; the report is complete whatever is wrong with it."""
    source = request.source
    # In this order, since a live log grows: what is signed before its entries are counted lies within them.
    note = source.checkpoint()
    size = source.size_available()
    reading = engine.read(
        source,
        size,
        with_index=request.with_index,
        with_identities=request.identities is not None,
        on_progress=on_progress,
    )
    try:
        with _no_search_for_cycles():
            return _Verification(request, reading, engine.name, codec, on_progress).run(note, size)
    finally:
        reading.close()


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """A verification keeps millions of small objects to its end; going through them again and again only costs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Verification:
    """The steps of one verification, and what they have in common."""

    def __init__(
        self, request: Request, reading: Reading, engine: str, codec: Codec, on_progress: Progress
    ) -> None:
        self._request = request
        self._reading = reading
        self._engine = engine
        self._codec = codec
        self._on_progress = on_progress
        self._faults = FaultList()
        self._structure = Structure(request.source, self._faults)
        self._seals = Seals(self._faults)
        self._second_sources = SecondSources(
            request.verifier, EntryReader(request.source, codec), request.check_signature
        )
        self._history = History()
        self._clocks = DutyClocks()
        self._entry_findings: list[Finding] = []
        self._undecided: list[Entry] = []
        self._notes: list[str] = []
        self._cosigners: list[Cosigner] = []

    def run(self, note: bytes | None, size: int) -> Verified:
        """All steps, in the order of what rests on what; ``note`` is the published checkpoint, ``size`` a claim."""
        self._read(size)
        checkpoint = self._check_signed(note)
        if self._structure.size < size and not self._faults.counts.get("TRUNCATED"):
            text = f"the source claims {size} entries, {self._structure.size} can be read in a row"
            self._faults.tell(self._structure.size, "SEQ_GAP", text)
        if self._request.with_index:
            self._seals.check_roots(self._reading, self._structure.size)
        else:
            self._notes.append("the index was not replayed: map_root of the seals is unchecked")
        if self._request.identities is not None:
            self._request.identities.finish(self._faults, self._notes)
        structure = self._structure
        doubted = self._second_sources.look_again(
            self._reading, self._history, structure.size, structure.ledger_time_ms
        )
        sweeping = self._reading.start_sweep(self._history, structure.size, structure.ledger_time_ms, doubted)
        # While the engine sweeps, what needs no sweep.
        for entry in self._undecided:
            self._find_in(entry)
        findings = self._entry_findings
        for position in self._reading.repeated_uids():
            self._faults.tell(position, "ENTRY_MALFORMED", "the uid is another entry's")
        sweep = sweeping()
        judgements = self._judge(sweep)
        findings += [found for judged in judgements if (found := of_judgement(judged)) is not None]
        sightings = [Sighting(*place, *seen) for place, seen in sorted(sweep.resolved.items())]
        findings += [of_collision(collision) for collision in find_collisions(self._history, sightings)]
        report = self._report(findings, judgements, sweep, checkpoint)
        sound = report.exit_status != 2 and checkpoint is not None
        return Verified(
            report, checkpoint if sound else None, note if sound else None, self._history, judgements
        )

    def _read(self, size: int) -> None:
        identities = self._request.identities
        for facts in self._reading.chunks():
            self._structure.add(facts)
            for entry in self._reading.state_entries(facts):
                if entry.kind == "index.sealed":
                    self._seals.add(entry)
                elif entry.kind == "account.registered":
                    if identities is not None:
                        identities.add(entry)
                elif entry.kind in ("ledger.opened", "key.rotated"):
                    self._check_own(entry)
                else:
                    if rests_on_what_follows(entry):
                        self._undecided.append(entry)
                    else:
                        self._find_in(entry)
                    self._clocks.add(entry)
                    if entry.kind in SECOND_SOURCE_KINDS:
                        self._second_sources.add(entry, self._history)
                    # A seq beyond the log is a lie: what nobody knows as of its size is no history.
                    if entry.seq < size:
                        self._history.add(entry)

    def _find_in(self, entry: Entry) -> None:
        self._entry_findings += map(of_entry, find_entry_findings(entry, self._history))

    def _check_own(self, entry: Entry) -> None:
        """What the log says of itself: whose it is, and that its key changed."""
        if entry.kind == "ledger.opened":
            stated = (entry.origin, entry.vkey)  # type: ignore[attr-defined]
            if stated[0] != self._request.verifier.name:
                text = f"the log says that it is {stated[0]}, the key is for {self._request.verifier.name}"
                self._faults.tell(entry.seq, "CHECKPOINT_SIGNATURE_INVALID", text)
            elif stated[1] != self._request.vkey:
                self._notes.append(f"the log was opened under another key: {stated[1]}")
        else:
            vkey: str = entry.vkey  # type: ignore[attr-defined]
            self._notes.append(f"the log's key changed at entry {entry.seq}, to {vkey}")

    def _check_signed(self, note: bytes | None) -> Checkpoint | None:
        request, structure = self._request, self._structure
        if note is None:
            self._notes.append("nothing was sealed yet: no signature covers these entries")
        checkpoint = check_signed(structure, note, request.verifier.name, request.verifier, self._faults)
        if request.witnesses is not None:
            self._cosigners = check_cosigners(note, request.witnesses, self._faults)
        if checkpoint is not None:
            structure.check_tiles(checkpoint.size, level_min=1 if request.hashes_are_tiles else 0)
            self._seals.check_last(checkpoint.size)
            if checkpoint.size < structure.size:
                count = structure.size - checkpoint.size
                self._notes.append(
                    f"{count} entries are not sealed yet: they could still be changed unnoticed"
                )
        # The checkpoint of a bundle is one that somebody kept.
        earlier = [*request.earlier, *(EarlierCheckpoint(one.where, one.note) for one in request.bundles)]
        if earlier:
            check_earlier(structure, earlier, request.verifier.name, request.verifier, self._faults)
        if request.bundles:
            self._notes += check_bundles(request.bundles, request.source, structure, self._faults)
        if not earlier:
            self._notes.append(
                "no earlier checkpoint is known here: whether the log was rolled back is not checkable"
            )
        return checkpoint

    def _judge(self, sweep: Sweep) -> list[Judgement]:
        return list(
            judge_suspects(
                sweep,
                EntryReader(self._request.source, self._codec),
                self._history,
                tree_size=self._structure.size,
                ledger_time_ms=self._structure.ledger_time_ms,
                require_tickets=self._request.require_tickets,
                on_progress=lambda done: self._on_progress("explaining findings", done, done),
                weigh=self._second_sources.weigh,
            )
        )

    def _report(
        self,
        findings: list[Finding],
        judgements: list[Judgement],
        sweep: Sweep,
        checkpoint: Checkpoint | None,
    ) -> Report:
        findings += [of_fault(fault) for fault in self._faults.kept]
        findings += map(of_missed, self._clocks.overdue(self._structure.ledger_time_ms, self._history.holds))
        exposed = Exposed()
        self._second_sources.conclude(findings, exposed, self._notes)
        findings.sort(key=lambda finding: finding.order)
        kept = Counter(fault.code for fault in self._faults.kept)
        unlisted: dict[str, int] = {
            code: more for code, count in self._faults.counts.items() if (more := count - kept[code])
        }
        verdicts: Counter[str] = Counter({"AUTHORIZED": sweep.clean})
        evidence: Counter[str] = Counter(
            {"observed": sweep.clean_observed, "intended": sweep.clean - sweep.clean_observed}
        )
        for judged in judgements:
            exposed.add(judged)
            verdicts[judged.verdict] += 1
            evidence[judged.evidence] += 1
        root = self._structure.root_at(self._structure.size)
        return Report(
            tree_size=self._structure.size,
            root=None if root is None else root.hex(),
            origin=self._request.verifier.name,
            vkey=self._request.vkey,
            checkpoint_size=None if checkpoint is None else checkpoint.size,
            engine=self._engine,
            verdicts=verdicts,
            evidence=evidence,
            findings=findings,
            unlisted=unlisted,
            exposed=exposed,
            unsettled=sum("ATTEMPT_UNSETTLED" in judged.codes for judged in judgements),
            notes=self._notes,
            cosigners=self._cosigners,
            unsettled_max=self._request.unsettled_max,
        )
