"""Published logs made to order, honest or forged: entries, links, seals, tiles, signature, each of them replaceable.

``open_log`` begins a :class:`~tests.support.builders.Log` whose entry 0 is ``ledger.opened``; ``encode_log`` makes its
bytes, with real links and real map roots; ``publish`` writes them as a directory of bundles, tiles and a checkpoint.
What stands between two of these steps can be forced: members, bytes, order. An attacker without the key runs
``relink`` and ``publish`` with ``note=`` the checkpoint that was signed before.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.audit.report import Report
from ledger.audit.signed_state import EarlierCheckpoint
from ledger.audit.verify import Request, Verified, verify
from ledger.core import canonical, merkle, tiles
from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.index import index_keys
from ledger.core.key_trees import KeyTrees
from ledger.core.sparse_map import SparseMap
from ledger.engines.codec import MsgspecCodec
from ledger.errors import FormatError
from ledger.ports import Block, Engine, LogSource
from ledger.store.tile_directory import TileDirectory
from ledger.vault.ed25519 import Ed25519Signer, is_signed, verifier_from_vkey
from tests.support.builders import Log, tag
from tests.support.log_world import ORIGIN, SIGNER
from tests.support.second_sources import complete_receipt

Members = dict[str, Any]
ATTACKER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x66" * 32))
"""Another key under the log's own name."""

REAL_ROOT = "0" * 64
"""As ``map_root`` of a seal: put the real one in its place."""


def open_log() -> Log:
    """A log whose entry 0 is ``ledger.opened``, so that positions are seqs."""
    log = Log()
    log.add("ledger.opened", 0, forced=True, origin=ORIGIN, vkey=SIGNER.vkey(), rule_set="rules-1", map_fn=1)
    return log


def add_seal(log: Log, **lies: Any) -> Any:
    """Append ``index.sealed`` over everything before it."""
    members: Members = {"map_size": log.size, "map_root": REAL_ROOT, "map_fn": 1} | lies
    return log.add("index.sealed", log.recorded_at, via="system", forced=True, **members)


def pad(log: Log, count: int) -> None:
    """Append ``count`` entries that say nothing about anything: to move what follows into another chunk."""
    for _ in range(count):
        log.add("account.registered", log.recorded_at, account=tag(f"filler {log.size}"), identity="0" * 64)


def members_of(log: Log) -> list[Members]:
    """The members of every entry, as they stand in bytes; links are not made yet."""
    return [_plain(dataclasses.asdict(entry)) for entry in log.entries]


def _plain(members: Mapping[str, Any]) -> Members:
    return {
        name: _plain(value) if isinstance(value, dict) else value
        for name, value in members.items()
        if value is not None
    }


def encode_log(log: Log | Sequence[Members | bytes], **signed: Any) -> list[bytes]:
    """The bytes of every entry, linked; :data:`REAL_ROOT` in a seal becomes the root of the index over ``map_size``.

    Bytes among the members are taken as they are: whatever a forger wants to stand there.
    """
    entries: list[bytes] = []
    index = _Index()
    for members in members_of(log) if isinstance(log, Log) else log:
        if isinstance(members, bytes):
            entries.append(members)
        else:
            prev = merkle.hash_leaf(entries[-1]).hex() if entries else "0" * 64
            made = members | {"prev": prev}
            if made["kind"] == "index.sealed" and made.get("map_root") == REAL_ROOT:
                made["map_root"] = index.root(entries[: made["map_size"]]).hex()
            if made["kind"] == "delivery.receipt":
                made = complete_receipt(made, entries)
            entries.append(json.dumps(made, separators=(",", ":"), sort_keys=True).encode())
    return entries


def relink(entries: Sequence[bytes]) -> list[bytes]:
    """The same entries with links, and roots of seals, that fit again: all that can be done without a key."""
    members = [canonical.decode(entry) for entry in entries]
    return encode_log(
        [each | ({"map_root": REAL_ROOT} if each["kind"] == "index.sealed" else {}) for each in members]
    )


class _Index:
    """The map over the first entries of a log, asked for at ascending sizes."""

    def __init__(self) -> None:
        self._trees, self._map, self._done = KeyTrees(), SparseMap(), 0

    def root(self, entries: Sequence[bytes]) -> bytes:
        for seq in range(self._done, len(entries)):
            try:
                keys = index_keys(canonical.decode(entries[seq]))
            except FormatError:
                keys = []
            self._trees.append_entry(keys, seq, merkle.hash_leaf(entries[seq]))
        self._done = max(self._done, len(entries))
        self._map.update(self._trees.changed_rows())
        self._trees.mark_sealed()
        return self._map.root()


def sign(entries: Sequence[bytes], signer: Ed25519Signer = SIGNER, size: int | None = None) -> bytes:
    """The signed checkpoint over the first ``size`` (default all) of ``entries``."""
    size = len(entries) if size is None else size
    root = merkle.root_of([merkle.hash_leaf(entry) for entry in entries[:size]])
    return sign_checkpoint(Checkpoint(signer.name, size, root), [signer])


def tile_files(entries: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """The path and bytes of every bundle and hash tile of a log of ``entries``."""
    leaves = [merkle.hash_leaf(entry) for entry in entries]
    for bundle in tiles.bundles_added(0, len(entries)):
        yield tiles.format_path(bundle), tiles.encode_bundle(entries[bundle.start : bundle.end])
    level = 0
    while leaves:
        for start in range(0, len(leaves), 256):
            row = leaves[start : start + 256]
            yield tiles.format_path(tiles.TileId(level, start // 256, len(row))), b"".join(row)
        leaves = [merkle.root_of(leaves[at : at + 256]) for at in range(0, len(leaves) - 255, 256)]
        level += 1


def publish(directory: Path, entries: Sequence[bytes], note: bytes | None = None) -> Path:
    """Write a log of ``entries`` and its checkpoint ``note`` (default: rightly signed); returns ``directory``."""
    for path, data in tile_files(entries):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "checkpoint").write_bytes(sign(entries) if note is None else note)
    (directory / "log.vkey").write_text(SIGNER.vkey() + "\n", encoding="ascii")
    return directory


@dataclasses.dataclass
class MemoryLog:
    """Entries as a :class:`~ledger.ports.LogSource`, without a file; ``note`` is the checkpoint."""

    entries: Sequence[bytes]
    note: bytes | None = None
    claimed: int | None = None

    def describe(self) -> str:
        return "memory"

    def size_available(self) -> int:
        return len(self.entries) if self.claimed is None else self.claimed

    def checkpoint(self) -> bytes | None:
        return self.note

    def read_block(self, first: int, count: int) -> Block:
        return Block(first, list(self.entries[first : first + count]))

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        return None

    def read_tile(self, path: str) -> bytes | None:
        return dict(tile_files(self.entries)).get(path)


def ignore_progress(phase: str, done: int, total: int) -> None:
    """Show nothing."""


def verify_source(
    source: LogSource,
    engine: Engine,
    *,
    vkey: str = SIGNER.vkey(),
    earlier: Sequence[bytes] = (),
    **options: Any,
) -> Verified:
    """Verify ``source`` with ``engine`` under the log's key."""
    kept = [EarlierCheckpoint("a checkpoint kept elsewhere", note) for note in earlier]
    trusted: Members = {"source": source, "verifier": verifier_from_vkey(vkey), "vkey": vkey, "earlier": kept}
    request = Request(**({"check_signature": is_signed} | trusted | options))
    return verify(request, engine, MsgspecCodec(), ignore_progress)


def verify_directory(directory: Path, engine: Engine, **options: Any) -> Report:
    """The report on a published log."""
    return verify_source(TileDirectory.open(directory), engine, **options).report


def report_bytes(report: Report) -> bytes:
    """The report as it is printed, but for the engine's name."""
    return json.dumps(report.to_json() | {"engine": ""}, separators=(",", ":")).encode()


def faults_of(report: Report) -> set[tuple[str, int]]:
    """``(code, position)`` of each finding of severity I about the log itself."""
    return {
        (finding.code, finding.entries[0])
        for finding in report.findings
        if finding.severity == "I" and finding.judgement is None
    }


def tell_events_apart(log: Log) -> list[Members]:
    """The members of every entry, the event of each delivery another one; builders say the same for all."""
    return [
        members | {"event": "e_" + tag(members["delivery"])[2:]} if "event" in members else members
        for members in members_of(log)
    ]
