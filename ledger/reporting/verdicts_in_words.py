"""Verdicts, severities and evidence (verdict rules, sections 2.2 and 2.3) as labels and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

VERDICT_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "AUTHORIZED": ("Authorized", "A permission covered the delivery when it was sent."),
        "VOIDED_LATER": (
            "Voided later",
            "The sender was right on what was recorded then, but later records show that no permission held.",
        ),
        "COVERED_RETROACTIVELY": (
            "Covered afterwards",
            "No permission was recorded when it was sent; one that covers it was recorded only later.",
        ),
        "UNAUTHORIZED": (
            "Not authorized",
            "No permission covered the delivery, neither as recorded then nor since.",
        ),
        "INDETERMINATE": ("Cannot say", "The ledger does not hold enough to judge the delivery."),
    }
)
"""Verdict -> its label and one sentence."""

SEVERITY_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "I": ("Integrity", "the ledger itself is broken or contradicts itself"),
        "X": ("Exposure", "somebody's data reached where no permission let it go"),
        "P": ("Process", "a rule of procedure was not kept; by itself it exposes nobody"),
        "A": ("Advisory", "worth knowing; nothing has gone wrong by it alone"),
    }
)
"""Severity -> its label and what it means."""

EVIDENCE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "observed": "seen at the connection itself",
        "intended": "not seen; taken from where it was meant to go",
    }
)
"""Evidence -> how it is known who received a delivery."""

DISCLOSURE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "nothing left the sender",
        "possible": "sent, and possibly received",
        "confirmed": "sent and received",
    }
)
"""Disclosure of an attempt (ledger format, section 1.6) -> what became of the data."""
