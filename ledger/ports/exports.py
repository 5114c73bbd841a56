"""Exports: what is kept of each, who adds files to one, and what opens commitments in it (exports, section 5.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ledger.core.openings import Opening
from ledger.ports.store import Change

ExportState = Literal["requested", "approved", "rejected", "sealed"]


@dataclass(frozen=True, slots=True)
class Export:
    """One export: ``manifest`` is the SHA-256 of its data/export.json in hex, ``query`` its filter as JSON.

    ``recipients`` are X25519 keys in hex with spaces between; ``requested_by`` made it, ``decided_by`` approved or rejected
    it. ``file_sha256`` and ``file_bytes`` are of the sealed file, where there is one.
    """

    export: str
    state: ExportState
    manifest: str
    query: str
    tree_size: int
    entries: int
    recipients: str
    incident: str | None
    requested_by: str
    decided_by: str | None
    created_at_ms: int
    decided_at_ms: int | None
    sealed_at_ms: int | None
    file_sha256: str | None
    file_bytes: int | None


class ExportBook(Protocol):
    """The exports that were made; every change goes with the entry that says so."""

    def put(self, export: Export) -> Change:
        """What keeps ``export``, together with the entry that requests it; one that is there stays as it is."""
        ...

    def decide(self, export: str, state: ExportState, decided_by: str, now_ms: int) -> Change:
        """What keeps that a requested export was approved or rejected."""
        ...

    def seal(self, export: str, file_sha256: str, file_bytes: int, now_ms: int) -> Change:
        """What keeps that an approved export was sealed as this file."""
        ...

    def load(self, export: str) -> Export | None:
        """The export of this id."""
        ...

    def load_all(self) -> Sequence[Export]:
        """All of them, by age."""
        ...


@dataclass(frozen=True, slots=True)
class ExtraFile:
    """A file that somebody adds to an export: its name below data/, its bytes in parts, how many rows where it has any."""

    path: str
    parts: Iterable[bytes]
    rows: int | None = None


class ExtraFiles(Protocol):
    """What else belongs to an export of an incident: its files, and the entries that it is about."""

    def files(self, incident: str) -> Iterable[ExtraFile]:
        """The files about ``incident``, below ``incident/`` and ``obligations/``; made as they are read."""
        ...

    def seqs(self, incident: str) -> Iterable[int]:
        """The numbers of the entries of the deliveries that ``incident`` is about, in any order."""
        ...


class FieldOpener(Protocol):
    """What knows the values behind some commitments."""

    def may_know(self, members: Mapping[str, Any], field: str) -> bool:
        """Whether it is about the commitment ``field`` of the entry with ``members``; others nobody asked for."""
        ...

    def open(self, entries: Sequence[Mapping[str, Any]]) -> Iterable[Opening]:
        """The openings of commitments of ``entries``, as far as their values are known, in any order."""
        ...


class SealingStream(Protocol):
    """An encryption under way: parts in, parts out, each authenticated with its place and whether it is the last."""

    @property
    def header(self) -> bytes:
        """What whoever decrypts needs to begin."""
        ...

    def push(self, part: bytes, *, is_last: bool) -> bytes:
        """``part``, encrypted."""
        ...


class OpeningStream(Protocol):
    """A decryption under way."""

    def pull(self, part: bytes) -> tuple[bytes, bool]:
        """The part behind ``part``, and whether it is the last; ProofError where it is not what was encrypted."""
        ...


class RecipientSealing(Protocol):
    """Encryption to X25519 keys, and a stream cipher for what is long."""

    def new_key(self) -> bytes:
        """A key for one file."""
        ...

    def box(self, key: bytes, recipient: bytes) -> bytes:
        """``key`` so that only the holder of the private key of ``recipient`` (32 bytes) can read it."""
        ...

    def unbox(self, boxed: bytes, private_key: bytes) -> bytes | None:
        """The key in ``boxed``, or None where it is for somebody else."""
        ...

    def public_of(self, private_key: bytes) -> bytes:
        """The X25519 key of ``private_key``, both 32 bytes."""
        ...

    def start_sealing(self, key: bytes, context: bytes) -> SealingStream:
        """Begin to encrypt under ``key``; ``context`` is authenticated with each part."""
        ...

    def start_opening(self, key: bytes, header: bytes, context: bytes) -> OpeningStream:
        """Begin to decrypt what was encrypted under ``key`` with this ``header`` and ``context``."""
        ...


class SigningKey(Protocol):
    """The log's key, for statements that are no checkpoints."""

    @property
    def key_id(self) -> bytes:
        """The key's 4-byte id."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over ``message``."""
        ...
