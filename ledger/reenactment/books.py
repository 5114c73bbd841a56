"""The ledgers of a reenactment: made, filled, sealed and verified with the same code as anybody's.

Their randomness and clocks are seeded, so that equal records give equal ledgers down to the root. Their keys are
therefore no secrets, and good for nothing but a reenactment; the seed contains the records themselves and the version,
so that no two different logs ever have the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger import __version__
from ledger.audit.verify import Verified
from ledger.core.verdicts import RULE_SET_HASH
from ledger.ingest.sources import FileSource
from ledger.ports import Clock, LogSource
from ledger.settings import Settings
from ledger.store.database_log import DatabaseLog
from ledger.transparency.publish import publish
from ledger.verifying import Asked, run_verification
from ledger.wiring import Ledger, create_ledger, open_ledger

Tell = Callable[[int, int], None]
"""Told how much of how much is done; of 0 where nobody knows."""


class SeededRandomness:
    """A :class:`~ledger.ports.Randomness` that repeats itself; for a play, never for a service."""

    def __init__(self, seed: str) -> None:
        """Begin the stream of ``seed``."""
        self._seed = seed
        self._drawn = 0

    def token(self, size_bytes: int) -> bytes:
        """The next ``size_bytes`` bytes."""
        self._drawn += 1
        return hashlib.shake_256(f"reenactment/{self._seed}/{self._drawn}".encode()).digest(size_bytes)


@dataclass(frozen=True, slots=True)
class StandingClock:
    """A clock that stands at ``at_ms``: what is imported is recorded at one instant."""

    at_ms: int

    def now_ms(self) -> int:
        """The time."""
        return self.at_ms


def digest_of(records: Path) -> str:
    """What the ledgers made of the file ``records`` are named after: 16 hex digits of its bytes and this version."""
    with records.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(f"{__version__}/{RULE_SET_HASH}/{content}".encode()).hexdigest()[:16]


@contextmanager
def new_ledger(settings: Settings, name: str, clock: Clock) -> Iterator[Ledger]:
    """A fresh ledger called ``localhost/reenactment-<name>``, open."""
    randomness = SeededRandomness(name)
    create_ledger(settings, f"localhost/reenactment-{name}", clock=clock, randomness=randomness)
    with open_ledger(settings, clock=clock, randomness=randomness) as ledger:
        yield ledger


def import_whole(ledger: Ledger, records: Path, tell: Tell) -> None:
    """Import the file ``records``, of which nothing may be rejected, and seal."""
    source = FileSource(records)
    report = ledger.import_from(source, on_progress=lambda now: tell(now.bytes_done, now.bytes_total or 0))
    if report.rejected:
        first = report.rejects[0]
        raise AssertionError(f"{records}:{first.line} was rejected: {first.reason}")
    ledger.sealer.seal()


def publish_log(ledger: Ledger, directory: Path) -> bytes:
    """Publish the sealed ``ledger`` to ``directory``; returns the signed checkpoint."""
    publish(ledger.store, directory, ledger.vkey)
    published = ledger.load_published()
    assert published is not None, "it was sealed"
    return published.note


@contextmanager
def verified_log(settings: Settings, tell: Tell) -> Iterator[tuple[Verified, LogSource]]:
    """The verification of the ledger at ``settings`` by the shipped verifier, and the log that it has read."""
    source = DatabaseLog(settings.database_url)
    try:
        yield (
            run_verification(settings, Asked(), lambda _phase, done, total: tell(done, total), source=source),
            source,
        )
    finally:
        source.close()
