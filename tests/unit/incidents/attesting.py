"""A developer's key, and attestations signed with it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.incidents.attestations import Claim, Outcome, Statement
from ledger.ports.obligations import Obligation
from ledger.receiver.attesting import sign_attestation
from ledger.receiver.receipts import public_key_of
from ledger.vault.ed25519 import Ed25519Signer
from tests.support.duties_world import DutiesWorld
from tests.support.service_world import ORIGIN

KEY = Ed25519Signer("dev", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
OTHER_KEY = Ed25519Signer("dev", Ed25519PrivateKey.from_private_bytes(b"o" * 32))


def register(world: DutiesWorld) -> None:
    """Let the world's wrong recipient sign attestations with :data:`KEY`."""
    world.duties.attestations.set_key(world.developer, public_key_of(KEY), "developer:key")


def statement(obligation: Obligation, outcome: Outcome = "deleted", /, **changed: Any) -> Statement:
    told: dict[str, Any] = {
        "log": ORIGIN,
        "obligation": obligation.obligation,
        "incident": obligation.incident,
        "developer": obligation.developer,
        "list_root": obligation.list_root,
        "made_at_ms": 1_700_000_000_000,
        "claims": (Claim(0, obligation.deliveries - 1, outcome),),
        "officer": "J. Doe, head of privacy",
        "systems": ("db1", "logs"),
        "backups": "overwritten within 30 days",
        "read_or_used": "not_read",
    }
    return Statement(**(told | changed))


def signed(
    obligation: Obligation, outcome: Outcome = "deleted", /, *, key: Ed25519Signer = KEY, **changed: Any
) -> dict[str, Any]:
    return sign_attestation(statement(obligation, outcome, **changed), key)
