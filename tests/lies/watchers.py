"""Everybody who watches the operator, with the tools that are shipped, and what each of them kept from before.

``look`` says who finds what, as ``(watcher, code)``:

stranger   has the log's public key and nothing else: the verifier
auditor    kept checkpoints: the verifier with them
customer   asks for the witnesses' quorum: the verifier's check of it
monitor    followed the log from its beginning: the follower
w1, w2     witnesses, each with its own key and database: add-checkpoint
account    asks for a bundle about itself: the core's check and the portable script, against an earlier bundle; its tickets
developer  has tickets of what it received; receipts that it signed are held against the log by the verifier
proxy      counts and signs them; the verifier
canary     turned up somewhere; the verifier
insider    an auditor who is let into the vault: the verifier
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ledger.audit.cosigners import WitnessDemand, check_cosigners
from ledger.audit.followed_sources import SourceCheck
from ledger.audit.following import LogFollower, Whose
from ledger.audit.identities import IdentityCheck
from ledger.audit.looking import Looker
from ledger.audit.report import Report
from ledger.audit.signed_state import EarlierCheckpoint
from ledger.audit.verify import Request, verify
from ledger.core.add_checkpoint import AddCheckpoint, format_add_checkpoint
from ledger.core.checkpoint import Checkpoint
from ledger.core.faults import FaultList
from ledger.core.fork_evidence import check_fork_evidence, parse_fork_evidence
from ledger.core.key_growth import check_growth
from ledger.core.proof_files import Known, check_proof_file, code_of
from ledger.core.ticket import check_ticket
from ledger.engines.codec import MsgspecCodec
from ledger.engines.growth import LogGrowth
from ledger.engines.scalar import ScalarEngine
from ledger.errors import LedgerError, ProofError
from ledger.portable import build
from ledger.transparency.promises import check_published_promise
from ledger.vault.ed25519 import is_signed, verify_ed25519
from ledger.vault.witness_policies import witness_verifiers
from ledger.witness.place import open_witness
from tests.lies.neighbours import WITNESSES
from tests.lies.place import PEOPLE, Place
from tests.lies.shown import Shown
from tests.support.log_world import SIGNER, VERIFIER

Caught = set[tuple[str, str]]

CODEC = MsgspecCodec()
"""One for all of them: to make it costs more than to verify one of these logs."""

OF_OTHERS = {
    "RECEIPT_WITHOUT_DELIVERY": "developer",
    "RECEIPT_INVALID": "developer",
    "EGRESS_COUNT_MISMATCH": "proxy",
    "CANARY_LEAKED": "canary",
}
"""Who it takes, beside the log, to find these."""


def load_script() -> ModuleType:
    """The portable script as a module of its own, which shares nothing with the project."""
    path = Path(build.__file__).with_name("verify.py")
    module = ModuleType("portable_verify_of_an_account")
    exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)
    return module


SCRIPT = load_script()


@dataclass
class _Accepted:
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def last(self) -> Checkpoint | None:
        return self.checkpoints[-1] if self.checkpoints else None

    def root_at(self, size: int) -> bytes | None:
        return next((one.root for one in self.checkpoints if one.size == size), None)


class Watchers:
    """Those around one ledger; what they kept was shown to them by an operator that was honest then."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._demand = WitnessDemand(place.policy, witness_verifiers(place.policy))
        self._vkeys = {name: one.signer.vkey() for name, one in place.witnesses.items()}
        self.kept: list[Shown] = []
        self.bundles: dict[str, bytes] = {}

    def keep(self, shown: Shown) -> None:
        """Everybody keeps what is shown now: its checkpoint, and its bundle."""
        if not self.kept or self.kept[-1].note != shown.note:
            self.kept.append(shown)
            for person in PEOPLE:
                self.bundles[person] = self.bundle(shown, person)

    def bundle(self, shown: Shown, person: str) -> bytes:
        """What the operator hands to ``person`` when it asks for what is recorded about it."""
        return shown.prove(f"acct:{self._place.tag(person)}", self._demand.verifiers, self._vkeys)

    def report(self, shown: Any, *, identities: IdentityCheck | None = None, is_kept: bool = False) -> Report:
        """What the shipped verifier says."""
        earlier = [EarlierCheckpoint("a checkpoint kept", one.note) for one in self.kept] if is_kept else []
        request = Request(
            source=shown,
            verifier=VERIFIER,
            vkey=SIGNER.vkey(),
            earlier=earlier,
            identities=identities,
            check_signature=is_signed,
        )
        return verify(request, ScalarEngine(), CODEC, lambda *_: None).report

    def _new_follower(self) -> LogFollower:
        sources = SourceCheck(VERIFIER, is_signed)
        whose = Whose(SIGNER.name, SIGNER.vkey(), with_index=True, sources=sources)
        return LogFollower(whose, LogGrowth(with_index=True), CODEC, self.kept[0])

    def codes(self, shown: Shown) -> Counter[str]:
        """All that the verifier finds, as many times as it does."""
        return Counter(finding.code for finding in self.report(shown, is_kept=True).findings)

    def followed(self, shown: Shown) -> Counter[str]:
        """All that the monitor finds which has followed the log so far and now looks at ``shown``."""
        follower, accepted = self._new_follower(), _Accepted()
        for one in [*self.kept, shown]:
            looked = Looker(VERIFIER, accepted).look(follower, one, lambda *_: None)
            assert looked.checkpoint is not None, looked
            if one.note != shown.note:
                accepted.checkpoints.append(looked.checkpoint)
        return Counter(finding.code for finding in follower.findings().values())

    def look(self, shown: Shown, bundles: dict[str, bytes] | None = None) -> Caught:
        """Who finds what; ``bundles`` are what the operator hands out, by default what its index gives."""
        stranger = {(OF_OTHERS.get(code, "stranger"), code) for code in self._integrity(shown)}
        auditor = {("auditor", code) for code in self._integrity(shown, is_kept=True)}
        found = stranger | {one for one in auditor if ("stranger", one[1]) not in stranger}
        found -= {("auditor", code) for code in OF_OTHERS}
        found |= self._customer(shown) | self._monitor(shown) | self._witnesses(shown)
        return found | self._accounts(shown, bundles) | self._tickets(shown)

    def _integrity(self, shown: Shown, *, is_kept: bool = False) -> set[str]:
        found = self.report(shown, is_kept=is_kept).findings
        return {one.code for one in found if one.severity == "I" or one.code in OF_OTHERS}

    def _customer(self, shown: Shown) -> Caught:
        faults = FaultList()
        check_cosigners(shown.note, self._demand, faults)
        return {("customer", fault.code) for fault in faults.kept}

    def _monitor(self, shown: Shown) -> Caught:
        follower, accepted = self._new_follower(), _Accepted()
        looker = Looker(VERIFIER, accepted)
        for one in self.kept:
            looked = looker.look(follower, one, lambda *_: None)
            assert looked.state in ("followed", "nothing new"), looked
            assert looked.checkpoint is not None
            accepted.checkpoints.append(looked.checkpoint)
        looked = looker.look(follower, shown, lambda *_: None)
        found: Caught = {("monitor", fault.code) for fault in [*looked.faults, *looked.evidence]}
        found |= {("monitor", code) for code in follower.faults}
        return found | ({("monitor", "stale")} if looked.state == "stale" else set())

    def _witnesses(self, shown: Shown) -> Caught:
        found: Caught = set()
        for name in WITNESSES:
            # A copy of its database: what it thinks of a lie must not change what it thinks of the truth.
            copy = self._place.directory / f"copy of {name}"
            shutil.copytree(self._place.directory / name, copy)
            with open_witness(copy, self._place.clock) as opened:
                known = opened.book.load(SIGNER.name)
                old = 0 if known is None else known.size
                if old > shown.size:
                    found.add((name, "ahead"))
                    request = AddCheckpoint(shown.size, (), shown.bare_note())
                else:
                    try:
                        proof = shown.prove_growth(old)
                    except ProofError:
                        proof = ()  # Hashes are missing: the operator sends what it has.
                    request = AddCheckpoint(old, proof, shown.bare_note())
                answer = opened.witness.add_checkpoint(format_add_checkpoint(request))
                if answer.status == 422:
                    # Evidence that anybody can check under the log's key alone.
                    checked = check_fork_evidence(parse_fork_evidence(answer.body), [VERIFIER])
                    found.add((name, checked.fork))
                elif answer.status == 403:
                    found.add((name, "not signed"))
                else:
                    assert answer.status == (409 if old > shown.size else 200), answer
            shutil.rmtree(copy)
        return found

    def _accounts(self, shown: Shown, bundles: dict[str, bytes] | None) -> Caught:
        found: Caught = set()
        for person in PEOPLE:
            try:
                given = self.bundle(shown, person) if bundles is None else bundles.get(person)
            except LedgerError:
                continue  # The operator's own prover refuses; it hands out nothing, which is no proof either.
            if given is not None:
                found |= self._check_bundle(person, given)
        return found

    def _check_bundle(self, person: str, given: bytes) -> Caught:
        key = f"acct:{self._place.tag(person)}"
        refused = self.refusal(given, key)
        if refused is not None:
            return {("account", refused)}
        known = Known(SIGNER.vkey(), key)
        checked = check_proof_file(given, known, verify_ed25519)
        if person in self.bundles:
            before = check_proof_file(self.bundles[person], known, verify_ed25519)
            try:
                check_growth(before, checked)
            except ProofError as error:
                return {("account", error.code)}
        return set()

    def refusal(self, given: bytes, key: str) -> str | None:
        """The code with which both checkers refuse a bundle, None where both take it."""
        try:
            check_proof_file(given, Known(SIGNER.vkey(), key), verify_ed25519)
            told = None
        except LedgerError as error:
            told = code_of(error)
        try:
            SCRIPT.check_proof_file(given, SCRIPT.Known(SIGNER.vkey(), key), SCRIPT.verify_ed25519)
            alone = None
        except SCRIPT.LedgerError as error:
            alone = SCRIPT.code_of(error)
        assert told == alone, "the two checkers are of one mind"
        return told

    def _tickets(self, shown: Shown) -> Caught:
        kept = [("account", ticket) for _, ticket in self._place.kept.tickets]
        kept += [("developer", body.headers["x-ledger-entry"]) for body in self._place.kept.bodies]
        found: Caught = set()
        for whose, text in kept:
            ticket = check_ticket(text, [VERIFIER])
            try:
                if check_published_promise(ticket, shown, [VERIFIER]) == "broken":
                    found.add((whose, "ticket broken"))
            except LedgerError:
                pass  # What contradicts itself says nothing of the promise, and is told by others.
        return found
