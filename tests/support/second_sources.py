"""Keys of developers and proxies for tests, and entries that are signed with them once their links are known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.core import merkle
from ledger.core.canaries import commit_canary
from ledger.core.dsse import pre_auth
from ledger.core.egress_counts import HOUR_MS, sign_bytes
from ledger.core.receipts import RECEIPT_TYPE, statement_of
from tests.support.builders import Log, tag
from tests.support.log_world import ORIGIN

REAL_SIGNATURE = "0" * 128
"""As ``signature`` of a receipt: put the real one of its developer in its place."""

REAL_LEAF = "0" * 64
"""As ``promised_leaf`` of a receipt: the real leaf hash of the promised entry."""

PROXY = "egress-1"
DAY_MS = 24 * 60 * 60 * 1_000


def private_key(name: str) -> Ed25519PrivateKey:
    """The private key of whoever is called ``name``."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"key of {name}".encode()).digest())


def public_key(name: str) -> str:
    """The public key of whoever is called ``name``, in hex."""
    return private_key(name).public_key().public_bytes_raw().hex()


def set_key(log: Log, developer: str, at: int = 0, key: str | None = None, **members: Any) -> Any:
    """``developer.key_set``."""
    return log.add("developer.key_set", at, developer=developer, key=key or public_key(developer), **members)


def add_receipt(
    log: Log,
    developer: str,
    attempted: Any | None = None,
    *,
    delivery: str = "d",
    at: int | None = None,
    signer: str | None = None,
    **members: Any,
) -> Any:
    """A receipt of ``developer`` for an attempt with its ticket, or without one for ``delivery``.

    ``signer`` is whose key signs it and stands in it, the developer's where left out.
    """
    stated: dict[str, Any] = {"delivery": delivery}
    if attempted is not None:
        stated = {
            "delivery": attempted.delivery,
            "attempt": attempted.attempt,
            "account": attempted.account,
            "subjects": list(attempted.subjects),
            "promised_seq": attempted.seq,
            "promised_leaf": REAL_LEAF,
        }
    at = log.recorded_at if at is None else at
    stated |= {
        "developer": developer,
        "host": "a.example",
        "received_at": at,
        "key": public_key(signer or developer),
        "signature": REAL_SIGNATURE,
    }
    return log.add("delivery.receipt", at, **({"via": "api"} | stated | members))


def add_count(log: Log, at: int = 2 * HOUR_MS, hour: int = 1, signer: str = PROXY, **members: Any) -> Any:
    """A signed ``egress.counted``; forced, so that what a ledger refuses can be tried."""
    stated: dict[str, Any] = {
        "proxy": PROXY,
        "from_at": hour * HOUR_MS,
        "to_at": (hour + 1) * HOUR_MS,
        "connections": 1,
        "bytes_up": 4_000,
        "bytes_down": 3_000,
    } | members
    signature = private_key(signer).sign(sign_bytes(ORIGIN, stated)).hex()
    key: dict[str, Any] = {"key": public_key(signer), "signature": signature}
    return log.add("egress.counted", max(at, log.recorded_at), via="api", forced=True, **stated, **key)


def plant(log: Log, canary: str, account: str, developer: str, at: int = 0) -> dict[str, Any]:
    """Plant a canary; the members that open it."""
    salt = hashlib.sha256(f"salt {canary}".encode())
    marker = hashlib.sha256(f"marker {canary}".encode()).hexdigest()
    opened = {"account": tag(account), "canary": canary, "developer": developer, "marker": marker}
    log.add("canary.planted", at, via="api", canary=canary, commitment=commit_canary(salt.digest(), **opened))
    return opened | {"salt": salt.hexdigest()}


def complete_receipt(members: dict[str, Any], entries: Sequence[bytes]) -> dict[str, Any]:
    """The members of a receipt with its real leaf hash and signature, where these were left open."""
    made = dict(members)
    if made.get("promised_leaf") == REAL_LEAF and made["promised_seq"] < len(entries):
        made["promised_leaf"] = merkle.hash_leaf(entries[made["promised_seq"]]).hex()
    if made.get("signature") == REAL_SIGNATURE:
        signer = next(name for name in _NAMES if public_key(name) == made["key"])
        message = pre_auth(RECEIPT_TYPE, statement_of(ORIGIN, made))
        made["signature"] = private_key(signer).sign(message).hex()
    return made


_NAMES = ("dev-a", "dev-b", "dev-c", "thief")
