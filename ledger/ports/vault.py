"""Who is behind a tag (ledger format, section 1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Subject:
    """A person or business as the vault knows it: ``key`` are the 32 bytes that its commitments hang on."""

    tag: str
    key: bytes


class Vault(Protocol):
    """Who is behind a tag, and the keys of commitments (ledger format, section 1.2)."""

    def subjects_of(self, account_ids: Iterable[str]) -> dict[str, Subject]:
        """A subject for every id, minted durably where there was none; same id, same subject, for ever.

        An id under a suppression mark (erased) has no subject and raises RejectedError.
        """
        ...

    def find(self, account_ids: Iterable[str]) -> dict[str, Subject]:
        """Like :meth:`subjects_of`, but mints nothing and leaves unknown ids out."""
        ...

    def account_of(self, tags: Iterable[str]) -> dict[str, str]:
        """Platform ids of those of ``tags`` that the vault knows."""
        ...


class Keyring(Protocol):
    """The keys of tags that are known already, without the ids behind them: what a dispatcher needs of a vault."""

    def subjects_behind(self, tags: Iterable[str]) -> dict[str, Subject]:
        """The subjects of those of ``tags`` that the vault knows; of an erased one it knows nothing."""
        ...
