"""Canaries: made-up accounts of one developer each, whose data must turn up nowhere else (ledger format, section 1.5).

Nobody who reads the log may tell a canary from other accounts before it is seen: a developer that knew would handle it with
care. So ``canary.planted`` holds nothing but a commitment, under a random salt,

::

    HMAC-SHA-256(salt, canonical bytes of {"account": tag, "canary": id, "developer": id, "marker": 64 hex digits})

and ``canary.seen`` opens it. The commitment stands in the log before the first sighting, so that nobody can declare an
account a canary after its data went astray, nor another developer the one that it was for.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from ledger.core import canonical

MARKER_BYTES = SALT_BYTES = 32


def commit_canary(salt: bytes, *, account: str, canary: str, developer: str, marker: str) -> str:
    """The commitment to a canary, in hex; ``account`` is its tag, ``marker`` 64 hex digits, ``salt`` 32 random bytes."""
    opened = {"account": account, "canary": canary, "developer": developer, "marker": marker}
    return hmac.digest(salt, canonical.encode({**opened}), "sha256").hex()


def opens(commitment: str, seen: Mapping[str, Any]) -> bool:
    """Whether the members of a ``canary.seen`` open ``commitment``."""
    made = commit_canary(
        bytes.fromhex(seen["salt"]),
        account=seen["account"],
        canary=seen["canary"],
        developer=seen["developer"],
        marker=seen["marker"],
    )
    return hmac.compare_digest(made, commitment)


def find_leak(seen: Any) -> str | None:
    """What is wrong about a ``canary.seen``, or None where the canary turned up at its own developer.

    A fetch of a marker by nobody knows whom is no leak by itself: its own developer's software may have followed the link.
    """
    if seen.seen_by == seen.developer or (seen.seen_by is None and seen.seen_in == "fetch"):
        return None
    where = seen.seen_by or "nobody knows whom"
    return f"the canary {seen.canary} was for {seen.developer} alone and turned up at {where}"
