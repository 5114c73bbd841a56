"""What the services need from outside, as Protocols; each method's docstring is its durability and concurrency contract.

Adapters implement these and know no service; services receive them and know no adapter; only ``ledger.wiring`` joins
the two. Every write here can fail in two ways that callers must survive: it did not happen, or it happened and was
reported as failed.
"""

from __future__ import annotations

from ledger.ports.index import GrowingIndex
from ledger.ports.log import (
    Attempt,
    Block,
    ChunkFacts,
    Engine,
    LogSource,
    Reading,
    Sweep,
)
from ledger.ports.permit import Announce, Announced, Permit, Refused
from ledger.ports.store import Change, CheckpointRecord, EntryStore, NewEntry, StoredEntry, Turn
from ledger.ports.surroundings import Clock, Codec, Randomness, Stopwatch
from ledger.ports.vault import Subject, Vault

__all__ = [
    "Announce",
    "Announced",
    "Attempt",
    "Block",
    "Change",
    "CheckpointRecord",
    "ChunkFacts",
    "Clock",
    "Codec",
    "Engine",
    "EntryStore",
    "GrowingIndex",
    "LogSource",
    "NewEntry",
    "Permit",
    "Randomness",
    "Reading",
    "Refused",
    "Stopwatch",
    "StoredEntry",
    "Subject",
    "Sweep",
    "Turn",
    "Vault",
]
