"""The provable index as its definition says it: everything in memory, made anew from all entries. An oracle, not fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ledger.core.canonical import decode
from ledger.core.chain import leaf_hash
from ledger.core.index import KeyRow, index_keys, key_leaf_hash
from ledger.core.map_proof import MapProof
from ledger.core.merkle import NodeId, root_of
from ledger.core.page_proof import prove_page
from ledger.core.sparse_map import SparseMap
from ledger.errors import UsageError
from ledger.ports import EntryStore
from ledger.ports.index import KeyPage


class NaiveSnapshot:
    """The index over the first ``map_size`` of ``entries``, as of the checkpoint ``note``."""

    def __init__(self, entries: Sequence[bytes], note: bytes) -> None:
        self.note = note
        self.map_size = len(entries)
        self._places: dict[str, list[tuple[int, bytes]]] = {}
        for seq, data in enumerate(entries):
            for key in index_keys(decode(data)):
                self._places.setdefault(key, []).append((seq, leaf_hash(data)))
        self._map = SparseMap()
        self._map.update((key, self._row(key)) for key in self._places)
        self.map_root = self._map.root()

    def load_row(self, key: str) -> KeyRow | None:
        """The row of ``key``."""
        return self._row(key) if key in self._places else None

    def prove_map(self, key: str) -> MapProof:
        """The proof of that row, or of its absence."""
        return self._map.prove(key)

    def load_page(self, key: str, first: int, count: int) -> KeyPage:
        """The entries of ``key`` from place ``first`` on."""
        places = self._places.get(key, [])
        shown = places[first : first + count]
        if not shown or count < 1:
            raise UsageError(f"{key} has no entry at {first}")
        leaves = self._leaves(key)

        def read(nodes: Sequence[NodeId]) -> list[bytes]:
            widths = [(node.index << node.level, 1 << node.level) for node in nodes]
            return [root_of(leaves[start : start + width]) for start, width in widths]

        proof = prove_page(first, len(shown), len(places), read)
        return KeyPage(first, tuple(seq for seq, _ in shown), tuple(leaf for _, leaf in shown), tuple(proof))

    def _leaves(self, key: str) -> list[bytes]:
        return [key_leaf_hash(seq, leaf) for seq, leaf in self._places[key]]

    def _row(self, key: str) -> KeyRow:
        places = self._places[key]
        return KeyRow(len(places), places[-1][0], root_of(self._leaves(key)))


class NaiveIndex:
    """A :class:`~ledger.ports.index.ProvableIndex` over a store, read anew each time it is asked."""

    def __init__(self, store: EntryStore) -> None:
        self._store = store

    @contextmanager
    def snapshot(self) -> Iterator[NaiveSnapshot]:
        """The state of the published checkpoint."""
        note = self._store.load_checkpoint()
        if note is None:
            raise UsageError("nothing is sealed yet: run `grantledger seal` first")
        size = int(note.split(b"\n")[1])
        sealed = decode(next(iter(self._store.fetch_range(size - 1, size))).data)
        assert isinstance(sealed["map_size"], int)
        yield NaiveSnapshot([row.data for row in self._store.fetch_range(0, sealed["map_size"])], note)
