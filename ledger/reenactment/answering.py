"""How developers answer when they are asked to delete what was never for them (incidents and exports, section 5.3).

Of the wrong recipients, by id, the first keeps its word; the last never answers, and is escalated until its apps are off;
the second, where there are three, attests that everything is gone and then confirms by a receipt that it has it. All others
keep their word. Keys are the reenactment's, and no secrets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ledger.core.dsse import Envelope, format_envelope
from ledger.core.receipts import RECEIPT_TYPE, Receipt, statement_of
from ledger.incidents.attestations import ATTESTATION_TYPE, Claim, Statement
from ledger.ports.obligations import STEPS, Obligation
from ledger.reenactment.books import SeededRandomness
from ledger.vault.ed25519 import Ed25519Signer, generate
from ledger.wiring.service import Service

Character = Literal["honest", "silent", "liar"]

OPERATOR = "operator:ops-1"


def characters(developers: Sequence[str]) -> dict[str, Character]:
    """Who behaves how, of the ``developers`` in order."""
    found: dict[str, Character] = dict.fromkeys(developers, "honest")
    if len(developers) > 1:
        found[developers[-1]] = "silent"
    if len(developers) > 2:
        found[developers[1]] = "liar"
    return found


class Answering:
    """The answers of ``developers`` to the obligations of an incident, on one service."""

    def __init__(
        self, service: Service, seed: str, developers: Sequence[str], wait: Callable[[], None]
    ) -> None:
        """``wait`` lets a little time pass between two steps against one developer."""
        self._wait = wait
        self._service = service
        self._duties = service.duties
        self._seed = seed
        self.characters = characters(developers)

    def acknowledge(self, incident: str) -> None:
        """Everybody who answers says that it will act."""
        for one in self._answering(incident):
            self._duties.obligations.acknowledge(one, f"developer:{one.developer}")

    def attest(self, incident: str) -> None:
        """Everybody who answers signs that nothing is left, whether that is so or not."""
        for one in self._answering(incident):
            signer = self._signer(one.developer, "attestations")
            self._duties.attestations.set_key(one.developer, _public(signer), f"developer:{one.developer}")
            statement = Statement(
                log=self._service.ledger.origin,
                obligation=one.obligation,
                incident=one.incident,
                developer=one.developer,
                list_root=one.list_root,
                made_at_ms=self._service.clock.now_ms(),
                claims=(Claim(0, one.deliveries - 1, "deleted"),),
                officer="The officer for data protection",
                systems=("receiver", "logs"),
                backups="expire within 30 days",
                read_or_used="not_read",
            )
            envelope = Envelope(ATTESTATION_TYPE, statement.members(), b"")
            signed = envelope._replace(signature=signer.sign(envelope.signed_bytes()))
            item = format_envelope(signed, signer.key_id.hex())
            self._duties.attestations.take(one, item, f"developer:{one.developer}")

    def betray(self, incident: str) -> None:
        """The liar's own server confirms a delivery that the liar has signed to have deleted."""
        for one in self._owed(incident):
            if self.characters[one.developer] != "liar":
                continue
            signer = self._signer(one.developer, "receipts")
            actor = f"developer:{one.developer}"
            self._service.receipts.set_key(one.developer, _public(signer), actor)
            line = self._duties.obligations.load_lines(one.obligation, 0, 1)[0]
            receipt = Receipt(
                log=self._service.ledger.origin,
                delivery=line.delivery,
                developer=one.developer,
                host="receiver.example",
                received_at_ms=self._service.clock.now_ms(),
                promised=None,
            )
            statement = statement_of(receipt.log, receipt.members())
            envelope = Envelope(RECEIPT_TYPE, statement, signer.sign(receipt.signed_bytes()))
            item = format_envelope(envelope, signer.key_id.hex())
            self._service.receipts.take([item], one.developer, actor)

    def escalate(self, incident: str) -> None:
        """Every deadline has passed: whoever was silent is reminded, and then stopped, step by step."""
        self._duties.watch_once()
        for one in self._owed(incident):
            if self.characters[one.developer] == "silent":
                for _ in STEPS:
                    one = self._duties.escalation.escalate(one, OPERATOR)
                    self._wait()

    def rows(self, incident: str) -> list[dict[str, Any]]:
        """What became of each, for the report."""
        return [
            {
                "developer": one.developer,
                "character": self.characters[one.developer],
                "deliveries": one.deliveries,
                "state": one.state,
                "overdue": list(one.overdue),
                "steps": list(one.steps),
                "contradicted_by": one.contradicted_by,
            }
            for one in self._owed(incident)
        ]

    def in_words(self, incident: str) -> str:
        """The second public update."""
        states = Counter(one.state for one in self._owed(incident))
        told = ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items()))
        return f"Of the developers that had to delete what was not meant for them, as of today: {told}."

    def _owed(self, incident: str) -> list[Obligation]:
        return sorted(self._duties.obligations.load_all(incident), key=lambda one: one.developer)

    def _answering(self, incident: str) -> list[Obligation]:
        return [one for one in self._owed(incident) if self.characters[one.developer] != "silent"]

    def _signer(self, developer: str, purpose: str) -> Ed25519Signer:
        return generate(developer, SeededRandomness(f"{self._seed}/{developer}/{purpose}"))


def _public(signer: Ed25519Signer) -> str:
    return signer.verifier().public_key().hex()
