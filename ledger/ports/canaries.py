"""What the operator keeps of its canaries: which they are, and what opens their commitments (ledger format, section 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.ports.store import Change


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary: the account with the tag ``account``, made up for ``developer`` alone.

    ``marker_hash`` is SHA-256 of the marker, which finds it; marker, salt and the platform's id are in ``sealed``.
    ``released_at_ms`` is when account and grant were made. ``fetches`` counts how often the marker's link was followed,
    ``fetched_at_ms`` is when it was for the first time.
    """

    canary: str
    account: str
    developer: str
    app: str
    marker_hash: bytes
    sealed: bytes
    created_at_ms: int
    released_at_ms: int | None = None
    fetched_at_ms: int | None = None
    fetches: int = 0


class Canaries(Protocol):
    """Canaries by id and marker; safe for use from any number of threads and processes."""

    def put(self, canary: Canary) -> Change:
        """What keeps ``canary``, together with the entry that plants it."""
        ...

    def load_all(self) -> Sequence[Canary]:
        """All of them, by age."""
        ...

    def load(self, canary: str) -> Canary | None:
        """The canary of this id."""
        ...

    def load_by_marker(self, marker_hash: bytes) -> Canary | None:
        """The canary whose marker has this hash."""
        ...

    def note_release(self, canary: str, now_ms: int) -> None:
        """Keep that account and grant were made; durable when this returns."""
        ...

    def note_fetch(self, marker_hash: bytes, now_ms: int) -> bool:
        """Count a fetch of the marker's link; False where there is no such marker."""
        ...
