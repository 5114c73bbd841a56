"""The RFC 6962 trees of all index keys, kept incrementally (ledger format, section 1.4).

Each key has a tree over the leaves ``u64 seq || leaf_hash`` of its entries. What has to be remembered of a
tree in order to append to it and to know its root is little: the number of leaves, the seq of the last one
and the roots of its full subtrees (*peaks*), one for each set bit of the number. That is what
:class:`KeyTrees` holds, for the sealer that goes on from the last seal and for the verifier that replays a
log from its beginning.

It leaves to others: which keys an entry has (:mod:`ledger.core.index`), the map over the rows
(:mod:`ledger.core.sparse_map`), and proofs inside a key's tree, which need the leaves themselves
(:mod:`ledger.core.merkle`).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ledger.core.index import KeyRow, encode_key_leaf, key_leaf_hash
from ledger.core.merkle import HASH_BYTES, hash_leaves, hash_node, hash_pairs

# hash_node, written out in the one loop that runs for every key of every entry: its calls alone would add a
# tenth. The tests hold the two together.
_new_node = sha256(b"\x01").copy


@dataclass(frozen=True, slots=True)
class KeyTreeState:
    """All that is needed to go on with one key's tree.

    ``count`` leaves (at least 1), the last for the entry at ``last_seq``; ``peaks`` is the concatenation of
    the roots of the full subtrees, largest first, 32 bytes for each set bit of ``count``.
    """

    count: int
    last_seq: int
    peaks: bytes


class KeyTrees:
    """The trees of any number of keys, in about 250 bytes and the key's text for each.

    Appends to one key come in ascending order of ``seq``; another order is a mistake of the caller
    (``AssertionError``), and then nothing is changed for that key. Not safe for use from several threads.
    """

    __slots__ = ("_changed", "_counts", "_last_seqs", "_peaks", "_slots")

    def __init__(self) -> None:
        """Start without any key."""
        self._slots: dict[str, int] = {}
        self._counts = array("Q")
        self._last_seqs = array("Q")
        self._peaks: list[bytes] = []
        self._changed: set[str] = set()

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._slots)

    def __contains__(self, key: str) -> bool:
        """Return whether any entry carries ``key``."""
        return key in self._slots

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in order of their first entry."""
        return iter(self._slots)

    def append(self, key: str, seq: int, leaf_hash: bytes) -> None:
        """Append the entry at ``seq`` with ``leaf_hash`` to the tree of ``key``."""
        self.append_entry((key,), seq, leaf_hash)

    def append_entry(self, keys: Collection[str], seq: int, leaf_hash: bytes) -> None:
        """Append the entry at ``seq`` with ``leaf_hash`` to the tree of each of its ``keys``.

        The leaf is hashed once for all of them, which makes this the cheapest way to replay a log in order.
        """
        new_node = _new_node
        slots, counts, last_seqs, all_peaks = self._slots, self._counts, self._last_seqs, self._peaks
        leaf = key_leaf_hash(seq, leaf_hash)
        for key in keys:
            slot = slots.get(key)
            if slot is None:
                slots[key] = len(all_peaks)
                counts.append(1)
                last_seqs.append(seq)
                all_peaks.append(leaf)
            else:
                if seq <= last_seqs[slot]:
                    raise AssertionError(f"seq {seq} after {last_seqs[slot]} for the key {key}")
                count = counts[slot]
                peaks = all_peaks[slot]
                if count & 1:
                    hashing = new_node()
                    hashing.update(peaks[-32:] + leaf)
                    end = len(peaks) - 32
                    carry = count >> 1
                    while carry & 1:
                        node = hashing.digest()
                        hashing = new_node()
                        hashing.update(peaks[end - 32 : end] + node)
                        end -= 32
                        carry >>= 1
                    all_peaks[slot] = peaks[:end] + hashing.digest()
                else:
                    all_peaks[slot] = peaks + leaf
                counts[slot] = count + 1
                last_seqs[slot] = seq
        self._changed.update(keys)

    def extend(self, key: str, seqs: Sequence[int], leaf_hashes: Sequence[bytes]) -> None:
        """Append entries at ascending ``seqs`` with ``leaf_hashes`` to the tree of ``key``, all or none."""
        if len(seqs) != len(leaf_hashes):
            raise AssertionError(f"{len(seqs)} seqs with {len(leaf_hashes)} leaf hashes")
        if not seqs:
            return
        state = self.state(key)
        count, previous, peaks = (state.count, state.last_seq, state.peaks) if state else (0, -1, b"")
        for seq in seqs:
            if seq <= previous:
                raise AssertionError(f"seq {seq} after {previous} for the key {key}")
            previous = seq
        leaves = b"".join(hash_leaves(map(encode_key_leaf, seqs, leaf_hashes)))
        merged = _merge_peaks(count, peaks, leaves)
        self._put(key, KeyTreeState(count + len(seqs), previous, merged))
        self._changed.add(key)

    def row(self, key: str) -> KeyRow | None:
        """Return the row of ``key`` as it stands now, or ``None`` where no entry carries it."""
        slot = self._slots.get(key)
        return None if slot is None else self._row(slot)

    def rows(self) -> Iterator[tuple[str, KeyRow]]:
        """Iterate over all keys with their rows, in order of their first entry."""
        for key, slot in self._slots.items():
            yield key, self._row(slot)

    @property
    def changed_count(self) -> int:
        """The number of keys that :meth:`changed_rows` would yield."""
        return len(self._changed)

    def changed_rows(self) -> Iterator[tuple[str, KeyRow]]:
        """Iterate over the keys appended to since :meth:`mark_sealed`, with their rows, in no order."""
        slots = self._slots
        for key in self._changed:
            yield key, self._row(slots[key])

    def mark_sealed(self) -> None:
        """Forget which keys have changed: the map has taken up their rows."""
        self._changed = set()

    def state(self, key: str) -> KeyTreeState | None:
        """Return what a copy of this tree would need to go on, or ``None`` where no entry carries ``key``."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        return KeyTreeState(self._counts[slot], self._last_seqs[slot], self._peaks[slot])

    def restore(self, key: str, state: KeyTreeState) -> None:
        """Put the tree of ``key`` into ``state``, whatever it was, without counting it as changed."""
        if state.count < 1 or len(state.peaks) != HASH_BYTES * state.count.bit_count():
            raise AssertionError(f"{len(state.peaks)} bytes of peaks for a tree of {state.count} leaves")
        if state.last_seq < state.count - 1:
            raise AssertionError(f"{state.count} entries up to seq {state.last_seq}")
        self._put(key, state)

    def _put(self, key: str, state: KeyTreeState) -> None:
        slot = self._slots.get(key)
        if slot is None:
            self._slots[key] = len(self._peaks)
            self._counts.append(state.count)
            self._last_seqs.append(state.last_seq)
            self._peaks.append(state.peaks)
        else:
            self._counts[slot] = state.count
            self._last_seqs[slot] = state.last_seq
            self._peaks[slot] = state.peaks

    def _row(self, slot: int) -> KeyRow:
        peaks = self._peaks[slot]
        root = peaks[-32:]
        for end in range(len(peaks) - 32, 0, -32):
            root = hash_node(peaks[end - 32 : end], root)
        return KeyRow(self._counts[slot], self._last_seqs[slot], root)


def _merge_peaks(count: int, peaks: bytes, nodes: bytes) -> bytes:
    """Return the peaks of a tree of ``count`` leaves and ``peaks`` after the joined leaf hashes ``nodes``."""
    kept: list[bytes] = []
    end = len(peaks)
    while nodes:
        if count & 1:
            nodes = peaks[end - HASH_BYTES : end] + nodes
            end -= HASH_BYTES
        count >>= 1
        if len(nodes) // HASH_BYTES & 1:
            kept.append(nodes[-HASH_BYTES:])
            nodes = nodes[:-HASH_BYTES]
        nodes = hash_pairs(nodes)
    # Levels above the last node made are untouched, so the rest of the old peaks stays in front.
    return peaks[:end] + b"".join(reversed(kept))
