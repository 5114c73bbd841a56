"""A log that is read as it grows, by the same readers as a verification's; implements ``ledger.ports.growth.Growth``.

Held in memory for each entry the 64-bit hash of its uid and where it stands, for each attempt a row
(:mod:`ledger.engines.attempt_book`), for each index key its tree and its place in the map. All hashes that stand for texts
are made under a secret that is drawn once and kept with them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ledger.core.entries import Entry, decode_entry
from ledger.engines.chunk_bytes import ChunkBytes
from ledger.engines.chunk_reader import ChunkReader
from ledger.engines.deliveries import DeliveryDecoder
from ledger.engines.growing_index import GrowingReplay, saved_ids
from ledger.engines.key_files import SHARDS
from ledger.engines.keys import FoundKeys, KeyColumns
from ledger.engines.quick_clean import Recurring
from ledger.engines.receipted_book import ReceiptedBook
from ledger.engines.rows import Resolved, merge_resolved
from ledger.engines.scan import GROUP_ENTRIES, ChunkScan
from ledger.engines.sorted_runs import ABSENT, SortedRuns
from ledger.engines.structs import known_entry_type
from ledger.ports.growth import Stretch

SECRET_BYTES = 16
_FACTS = "growth.json"
_ARRAYS = "growth.npz"


class LogGrowth:
    """Implements ``ledger.ports.growth.Growth``. ``processes`` is as of ``GrowingReplay``."""

    def __init__(
        self,
        *,
        with_index: bool = True,
        processes: int = 1,
        group_entries: int = GROUP_ENTRIES,
        saved: Path | None = None,
    ) -> None:
        """Start empty, or with what :meth:`save` wrote into the directory ``saved``."""
        facts: dict[str, Any] = {} if saved is None else json.loads((saved / _FACTS).read_bytes())
        self._secret = bytes.fromhex(facts["secret"]) if facts else secrets.token_bytes(SECRET_BYTES)
        self._reader = ChunkReader(self._secret, group_entries=group_entries)
        self._decode_list = msgspec.json.Decoder(list[known_entry_type()]).decode  # type: ignore[misc]
        self._recurring: Recurring = {}
        self._uids = SortedRuns()
        self._deliveries = DeliveryDecoder()
        self.book = ReceiptedBook(self._reader.hashes, self._recurring)
        self.resolved: Resolved = {}
        self._keys = KeyColumns.under(self._secret) if with_index else None
        self._index: GrowingReplay | None = None
        # What was read and is not in the index: until it is asked for, and, to be kept, until it is in a seal's part.
        self._unasked: list[tuple[int, list[bytes], FoundKeys]] = []
        self._tail: list[tuple[int, Sequence[bytes]]] = []
        if saved is not None:
            self._restore(saved, facts)
        if with_index:
            self._index = GrowingReplay(processes, saved)

    def read(self, first: int, entries: Sequence[bytes]) -> Stretch:
        """Take the entries from ``first`` on, which follow those that were read before; nothing is trusted."""
        reader = self._reader
        scan = reader.scanner.scan_cut(first, ChunkBytes.of(entries))
        rows = reader.rows(scan)
        self._recurring.update({number: (kind, values) for number, kind, values in reader.notes.take_fresh()})
        self.book.add(rows.columns, rows.left_over)
        merge_resolved(self.resolved, rows.resolved)
        if self._keys is not None:
            self._unasked.append((first, scan.leaves, self._keys.find(scan)))
            self._tail.append((first, entries))
        places = reader.state_places(scan)
        data = [entries[place] for place in places]
        positions = [first + place for place in places]
        return Stretch(
            first,
            scan.leaves,
            reader.facts(scan),
            list(zip(positions, self._typed(data), strict=True)),
            data,
            self._repeated(scan),
        )

    def _typed(self, data: Sequence[bytes]) -> list[Entry]:
        try:
            # Each was found sound when it was scanned; nothing has to be checked again but its members' names.
            entries: list[Entry] = self._decode_list(b"[" + b",".join(data) + b"]")
        except msgspec.MsgspecError:
            return [decode_entry(each).entry for each in data]
        return entries

    def _repeated(self, scan: ChunkScan) -> list[tuple[int, int]]:
        hashes = self._reader.uid_hashes(scan)
        if not len(hashes):
            return []
        positions = scan.first + np.arange(len(hashes))
        known = self._uids.find(hashes)
        distinct, at, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        is_new = known[at] == ABSENT
        self._uids.add(distinct[is_new], positions[at[is_new]])
        earlier = np.where(known == ABSENT, positions[at[inverse]], known)
        places = np.flatnonzero(earlier != positions)
        return list(zip(positions[places].tolist(), earlier[places].tolist(), strict=True))

    def deliveries(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, Any]]:
        """Every sound entry about an attempt, settlement or import among ``entries`` from ``first`` on, with its place."""
        return self._deliveries.deliveries(first, entries)

    def ask_roots(self, map_sizes: Sequence[int]) -> None:
        """Begin to compute the index map's root over the first n entries, for each n: ascending, and already read."""
        assert self._index is not None, "the index is asked for only where it is replayed"
        for waiting in self._unasked:
            self._index.add(*waiting)
        self._unasked.clear()
        self._index.ask(map_sizes)
        if map_sizes:
            self._cut_tail(map_sizes[-1])

    def _cut_tail(self, size: int) -> None:
        """Forget the entries below ``size``, which are in the index."""
        self._tail = [
            (max(first, size), entries[max(0, size - first) :])
            for first, entries in self._tail
            if first + len(entries) > size
        ]

    def answer_roots(self) -> list[bytes]:
        """The roots that were asked for last."""
        assert self._index is not None, "the index is asked for only where it is replayed"
        return self._index.answer()

    def save(self, directory: Path) -> None:
        """Write everything into ``directory``."""
        arrays = self.book.arrays()
        arrays["uids"], arrays["uid_positions"] = self._uids.arrays()
        if self._keys is not None and self._index is not None:
            self._index.save(directory)
            # A key that only the tail has is told anew when the tail is read again.
            in_index = self._index_ids(directory)
            is_told = np.isin(self._keys.known, in_index)
            arrays["key_ids"] = self._keys.known[is_told]
            arrays["key_shards"] = self._keys.shards[is_told]
        with (directory / _ARRAYS).open("wb") as out:
            np.savez(out, **arrays)
        facts = {
            "secret": self._secret.hex(),
            "book": self.book.facts(),
            "tail": [[first, [data.decode("latin-1") for data in entries]] for first, entries in self._tail],
            "resolved": [[*place, *seen] for place, seen in self.resolved.items()],
        }
        (directory / _FACTS).write_text(json.dumps(facts), encoding="ascii")

    @staticmethod
    def _index_ids(directory: Path) -> npt.NDArray[np.uint64]:
        """The ids of the keys that the index saved in ``directory`` has."""
        return np.concatenate([saved_ids(directory, shard) for shard in range(SHARDS)])

    def _restore(self, saved: Path, facts: dict[str, Any]) -> None:
        with np.load(saved / _ARRAYS, allow_pickle=False) as arrays:
            self.book.restore(arrays, facts["book"])
            self._uids = SortedRuns.of_arrays((arrays["uids"], arrays["uid_positions"]))
            if self._keys is not None:
                self._keys.known, self._keys.shards = arrays["key_ids"], arrays["key_shards"]
        if self._keys is not None:
            for first, texts in facts["tail"]:
                entries = [text.encode("latin-1") for text in texts]
                scan = self._reader.scanner.scan_cut(first, ChunkBytes.of(entries))
                self._unasked.append((first, scan.leaves, self._keys.find(scan)))
                self._tail.append((first, entries))
        self.resolved.update(
            {(endpoint, address): (first, last) for endpoint, address, first, last in facts["resolved"]}
        )

    def close(self) -> None:
        """End the processes."""
        if self._index is not None:
            self._index.close()
