"""The keys of the Standard Webhooks signatures, one list a webhook (delivery protocol, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key ``number`` (from 1) of a webhook, sealed; it signs until ``ends_at_ms``, for ever where that is None."""

    webhook: str
    number: int
    secret_sealed: bytes
    created_at_ms: int
    ends_at_ms: int | None = None


class SigningKeys(Protocol):
    """Keys by webhook id, never by anything else; safe for use from any number of threads and processes."""

    def load(self, webhook: str, now_ms: int) -> Sequence[SigningKey]:
        """The keys of ``webhook`` that have not ended, the newest first."""
        ...

    def add(self, key: SigningKey, previous_end_at_ms: int) -> bool:
        """Add ``key`` and let those before it end then; False, and nothing changes, where its number is taken."""
        ...
