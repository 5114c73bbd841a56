"""The report of a verification (verdict rules, section 2.3): deterministic, the same bytes from every engine but for its
name. It states what it proves, as of which tree size, under whose key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ledger.audit.cosigners import Cosigner
from ledger.audit.findings import Finding
from ledger.core.judgement import Judgement
from ledger.core.verdicts import RULE_SET, RULE_SET_HASH, VERDICTS, Exposure, exit_status, in_table_order


@dataclass(slots=True)
class Exposed:
    """Who is affected: tags, by how sure it is."""

    accounts: dict[str, set[str]] = field(default_factory=lambda: {"definite": set(), "possible": set()})
    subjects: dict[str, set[str]] = field(default_factory=lambda: {"definite": set(), "possible": set()})
    developers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, judged: Judgement) -> None:
        """Take one judged attempt; those that expose nothing are passed over."""
        how = judged.exposure
        if how is None:
            return
        delivery = judged.delivery
        receiver = (judged.actual.developer if judged.actual else None) or "(nobody known)"
        self.add_people(delivery.account, delivery.subjects, receiver, how)

    def add_people(self, account: str, subjects: Iterable[str], receiver: str, how: Exposure) -> None:
        """Take one delivery that ``receiver`` should not have had."""
        others = set(subjects) - {account}
        self.accounts[how].add(account)
        self.subjects[how].update(others)
        row = self.developers.setdefault(receiver, {"deliveries": 0, "accounts": set(), "subjects": set()})
        row["deliveries"] += 1
        row["accounts"].add(account)
        row["subjects"].update(others)

    @staticmethod
    def counts(people: dict[str, set[str]]) -> dict[str, int]:
        """Definite and possible; somebody definite is not counted as possible."""
        return {
            "definite": len(people["definite"]),
            "possible": len(people["possible"] - people["definite"]),
        }

    def per_developer(self) -> list[dict[str, Any]]:
        """For each developer that received what it should not have: how much, of how many."""
        return [
            {
                "developer": name,
                "deliveries": row["deliveries"],
                "accounts": len(row["accounts"]),
                "subjects": len(row["subjects"]),
            }
            for name, row in sorted(self.developers.items())
        ]


@dataclass(slots=True)
class Report:
    """A finished verification; ``notes`` say what could not be checked and why.

    ``cosigners`` are those witnesses of the policy asked for that have cosigned the checkpoint.
    """

    tree_size: int
    root: str | None
    origin: str
    vkey: str
    checkpoint_size: int | None
    engine: str
    verdicts: Counter[str]
    evidence: Counter[str]
    findings: list[Finding]
    unlisted: dict[str, int]
    exposed: Exposed
    unsettled: int
    notes: list[str]
    unsettled_max: int | None = None
    cosigners: list[Cosigner] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 clean, 1 exposures (or too many unsettled attempts), 2 the ledger itself is broken."""
        worst = exit_status(finding.severity for finding in self.findings)
        if worst == 0 and self.unsettled_max is not None and self.unsettled > self.unsettled_max:
            return 1
        return worst

    def codes(self) -> dict[str, int]:
        """Primary code -> number of findings, in table order; findings too many to list are counted."""
        counts = Counter(finding.code for finding in self.findings)
        counts.update(self.unlisted)  # type: ignore[arg-type]
        return {code: counts[code] for code in in_table_order(counts)}

    def to_json(self, with_findings: bool = True) -> dict[str, Any]:
        """The object that ``verify --json`` prints."""
        found: dict[str, Any] = {
            "tree_size": self.tree_size,
            "root": self.root,
            "origin": self.origin,
            "vkey": self.vkey,
            "checkpoint_size": self.checkpoint_size,
            "cosigners": [cosigner.to_json() for cosigner in self.cosigners],
            "rule_set": RULE_SET,
            "rule_set_hash": RULE_SET_HASH,
            "engine": self.engine,
            "evidence": {name: self.evidence[name] for name in ("observed", "intended")},
            "counts": {verdict: self.verdicts[verdict] for verdict in VERDICTS},
            "codes": self.codes(),
            "accounts_affected": self.exposed.counts(self.exposed.accounts),
            "subjects_affected": self.exposed.counts(self.exposed.subjects),
            "developers": self.exposed.per_developer(),
            "unsettled": self.unsettled,
            "notes": self.notes,
            "exit_status": self.exit_status,
        }
        if with_findings:
            found["findings"] = list(self.finding_rows())
        return found

    def finding_rows(self) -> Iterable[dict[str, Any]]:
        """The findings one by one, in order."""
        return (finding.to_json() for finding in self.findings)
