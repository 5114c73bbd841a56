"""The composition root: where adapters and services are joined into one ledger.

Nothing else knows which adapter a service gets. :func:`create_ledger` makes what a ledger needs and never replaces
anything; :func:`open_ledger` opens what is there.
"""

from __future__ import annotations

from ledger.wiring.create import ORIGIN_TOKEN_BYTES, Created, create_ledger
from ledger.wiring.ledger import Ledger, open_ledger
from ledger.wiring.surroundings import SYSTEM_CLOCK, SYSTEM_RANDOMNESS, SystemClock, SystemRandomness

__all__ = [
    "ORIGIN_TOKEN_BYTES",
    "SYSTEM_CLOCK",
    "SYSTEM_RANDOMNESS",
    "Created",
    "Ledger",
    "SystemClock",
    "SystemRandomness",
    "create_ledger",
    "open_ledger",
]
