"""A log as an operator shows it, true or not, and what an operator that has every byte and the log's own key can make of it.

What follows from other people's keys it cannot make: cosignatures, receipts and counts stand in it as they were signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.core import canonical
from ledger.core.chain import leaf_hash
from ledger.core.merkle import prove_consistency
from ledger.core.note import Verifier, format_note, parse_note
from ledger.core.proof_files import encode_bundle
from ledger.core.tiles import TileId, format_path, node_reader
from ledger.errors import ForkError
from ledger.ports import Block, StoredEntry
from ledger.transparency.proving import Prover
from tests.support.forged_logs import REAL_ROOT, encode_log, sign, tile_files
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER
from tests.support.naive_index import NaiveSnapshot

Members = dict[str, Any]
NOBODYS = b'{"kind":"nobody"}'
"""In place of an entry that an index is to leave out: it has no keys."""


@dataclass
class Shown:
    """Entries, the checkpoint beside them, and whatever else is stored otherwise than they give.

    It is a :class:`~ledger.ports.LogSource`, and enough of a store for a prover. ``omitted`` are seqs that the operator's
    index leaves out.
    """

    entries: list[bytes]
    note: bytes
    tiles: dict[str, bytes] = field(default_factory=dict)
    omitted: frozenset[int] = frozenset()
    _made: dict[str, bytes] | None = None

    def describe(self) -> str:
        """What it is."""
        return "what the operator shows"

    def size_available(self) -> int:
        """How many entries there are said to be."""
        return len(self.entries)

    def checkpoint(self) -> bytes | None:
        """The note."""
        return self.note

    load_checkpoint = checkpoint

    def read_block(self, first: int, count: int) -> Block:
        """Entries."""
        return Block(first, self.entries[first : first + count])

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        """None: entries are read by blocks."""
        return None

    def read_tile(self, path: str) -> bytes | None:
        """A tile as it is stored."""
        if path in self.tiles:
            return self.tiles[path]
        if self._made is None:
            self._made = dict(tile_files(self.entries))
        return self._made.get(path)

    load_tile = read_tile

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        """Rows, as a store has them."""
        for seq, data in enumerate(self.entries[start:end], start):
            yield StoredEntry(seq, f"u-{seq}", leaf_hash(data), data)

    @property
    def size(self) -> int:
        """The size that the checkpoint states."""
        return int(self.note.split(b"\n")[1])

    def members(self) -> list[Members]:
        """The members of each entry."""
        return [dict(canonical.decode(entry)) for entry in self.entries]

    @contextmanager
    def snapshot(self) -> Iterator[NaiveSnapshot]:
        """The operator's index, with or without what it leaves out."""
        sealed = canonical.decode(self.entries[self.size - 1]) if self.size <= len(self.entries) else {}
        map_size = sealed.get("map_size")
        if not isinstance(map_size, int):
            raise ForkError("what is shown ends without a seal: no bundle can be made of it")
        yield NaiveSnapshot(mask(self.entries[:map_size], self.omitted), self.note)

    def prove(self, key: str, cosigners: Mapping[str, Verifier], vkeys: Mapping[str, str]) -> bytes:
        """The completeness bundle about ``key`` that this index gives; ``cosigners`` are keys of witnesses."""
        prover = Prover(self, self, ORIGIN, [VERIFIER, *cosigners.values()])  # type: ignore[arg-type]
        named = {(one.name, one.key_id): vkeys[name] for name, one in cosigners.items()}
        return encode_bundle(prover.prove_key(key, None), SIGNER.vkey(), named)

    def prove_growth(self, old_size: int) -> tuple[bytes, ...]:
        """The consistency proof from ``old_size`` that its entries give, true or not."""
        if not 0 < old_size < self.size:
            return ()

        def load(tile: TileId) -> bytes | None:
            return self.read_tile(format_path(tile))

        return tuple(prove_consistency(old_size, self.size, node_reader(self.size, load)))

    def bare_note(self) -> bytes:
        """The checkpoint with the log's own signature alone."""
        parsed = parse_note(self.note)
        return format_note(parsed.text, [one for one in parsed.signatures if one.name == ORIGIN])


def mask(entries: Sequence[bytes], omitted: frozenset[int]) -> list[bytes]:
    """``entries`` with those left out that an index is not to know."""
    return [NOBODYS if seq in omitted else entry for seq, entry in enumerate(entries)]


def unsigned(shown: Shown, members: Sequence[Members]) -> Shown:
    """The log of ``members`` with links and map roots that fit, under the checkpoint that was signed before."""
    return replace(shown, entries=_fitting(members), _made=None)


def signed_anew(shown: Shown, members: Sequence[Members]) -> Shown:
    """The same, signed with the log's own key; nobody has cosigned it."""
    entries = _fitting(members)
    return replace(shown, entries=entries, note=sign(entries), _made=None)


def _fitting(members: Sequence[Members]) -> list[bytes]:
    """Entries whose links fit; the map roots of seals are made again where an entry before them is another one."""
    return encode_log(
        [one | ({"map_root": REAL_ROOT} if one["kind"] == "index.sealed" else {}) for one in members]
    )


def renumbered(members: Sequence[Members]) -> list[Members]:
    """``members`` with numbers in a row, and seals that cover everything before them as they did."""
    made = []
    for seq, one in enumerate(members):
        moved = {**one, "seq": seq}
        if one["kind"] == "index.sealed":
            moved["map_size"] = seq
        if one["kind"] == "delivery.attempted":
            moved["decided_at_size"] = seq
        made.append(moved)
    return made


def grown(shown: Shown, *more: Members, omitted: frozenset[int] = frozenset()) -> Shown:
    """The log with ``more`` and a seal behind it, signed: what the operator may do any day, but for what it says.

    With ``omitted`` the index in that seal, and from then on the operator's own, leaves these seqs out.
    """
    last = dict(canonical.decode(shown.entries[-1]))
    common = {"v": 1, "at": last["recorded_at"], "recorded_at": last["recorded_at"], "via": "api"}
    entries = list(shown.entries)
    for each in more:
        entries = _linked(entries, {**common, "actor": "system:operator", **each})
    root = NaiveSnapshot(mask(entries, omitted), b"").map_root.hex()
    sealed = {"kind": "index.sealed", "map_fn": 1, "map_size": len(entries), "map_root": root}
    entries = _linked(entries, {**common, **sealed, "actor": "system:sealer", "via": "system"})
    return replace(shown, entries=entries, note=sign(entries), omitted=omitted, _made=None)


def _linked(entries: list[bytes], members: Members) -> list[bytes]:
    seq = len(entries)
    stated = {"uid": f"forged/{members['kind']}/{seq}", **members, "seq": seq}
    return [*entries, canonical.encode({**stated, "prev": leaf_hash(entries[-1]).hex()})]
