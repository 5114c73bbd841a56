"""Many leaves put into a sparse map that is stored in pages (:mod:`ledger.core.map_pages`), level by level.

An update goes down from the first page along the ways of all changed keys together and reads each page on these ways
once, a level at a time; it puts the leaves into their buckets; and it comes back up, hashing each page once. So a changed
key costs the hashes of one bucket and of the inner pages above it, which it shares with others the more, the more are
changed at once.

Everything that is read is checked on the way down: a page folds to the node that its parent holds for it, the first one to
the root that the caller trusts, and each key's old value is the one that its row gives. The new root rests on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ledger.core.map_pages import BUCKET_LEAVES_MAX, CHILDREN, INNER_BYTES, LEAF_BYTES, STEP_BITS
from ledger.core.map_proof import EMPTY_NODE
from ledger.engines.batch_map import fold_leaves, words_of
from ledger.engines.hash_rows import (
    HASH,
    Hashes,
    Memo,
    Numbers,
    as_hashes,
    hash_inner_nodes,
    hash_map_leaves,
    ranges_of,
)
from ledger.errors import ProofError

LoadPages = Callable[[Sequence[str]], Mapping[str, bytes]]
"""Returns the pages with these prefixes that are there."""

_Weights = npt.NDArray[np.uint8]
"""Leaves below a node, where 2 stands for any greater number."""

_INNER = np.dtype([("more", ">u2"), ("nodes", HASH, (CHILDREN,))])
_BIT_OF_CHILD = (1 << np.arange(CHILDREN - 1, -1, -1)).astype(np.uint16)
_UNKNOWN = 255
_PAGES_AT_ONCE = 2_048
"""Pages that are hashed together; the nodes of so many are remembered, because most stay as they are."""

_EMPTY = np.zeros(1, HASH)[0]


class Update(NamedTuple):
    """What an update makes: the new root, and the pages that it wrote, by prefix."""

    root: bytes
    pages: dict[str, bytes]


@dataclass(slots=True)
class _Leaves:
    """Leaves in ascending order of position: what each holds now and before, zeros where it was not there."""

    positions: Hashes
    values: Hashes
    olds: Hashes

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, places: Numbers) -> _Leaves:
        """Those at ``places``."""
        return _Leaves(self.positions[places], self.values[places], self.olds[places])


@dataclass(slots=True)
class _Groups:
    """Pages of one level, with the leaves to be put below each: group i has those from ``starts[i]`` to ``ends[i]``.

    ``nodes`` and ``weights`` are what the parents hold for them.
    """

    prefixes: list[str]
    starts: Numbers
    ends: Numbers
    nodes: Hashes
    weights: _Weights

    def take(self, places: Numbers) -> _Groups:
        """Those at ``places``, which ascend."""
        return _Groups(
            [self.prefixes[place] for place in places.tolist()],
            self.starts[places],
            self.ends[places],
            self.nodes[places],
            self.weights[places],
        )


def update_pages(
    load_pages: LoadPages, root: bytes, positions: Hashes, values: Hashes, old_values: Hashes
) -> Update:
    """Put the leaves with ``values`` at ``positions``, ascending and each once, into the map with ``root``.

    ``old_values`` are those that the keys' rows give, zeros for a key that is new. Raises ProofError where a page is
    missing or is not what it should be, or a key's old value is another one.
    """
    if not len(positions):
        return Update(root, {})
    leaves = _Leaves(positions, values, old_values)
    weight = 0 if root == EMPTY_NODE else _UNKNOWN
    whole = _Groups(
        [""],
        np.zeros(1, np.int64),
        np.array([len(leaves)]),
        as_hashes(root).copy(),
        np.array([weight], np.uint8),
    )
    writer = _Writer(load_pages)
    nodes, _weights = writer.update(0, whole, leaves)
    return Update(nodes[0].tobytes(), writer.pages)


class _Writer:
    """One update: what it read from, and the pages that it has made."""

    def __init__(self, load_pages: LoadPages) -> None:
        self._load_pages = load_pages
        self.pages: dict[str, bytes] = {}

    def update(self, depth: int, groups: _Groups, leaves: _Leaves) -> tuple[Hashes, _Weights]:
        """The new nodes of ``groups``, pages whose prefixes have ``depth`` digits, and how many leaves are below each."""
        data = self._load(groups)
        is_inner = np.fromiter((len(page) == INNER_BYTES for page in data), np.bool_, len(data))
        nodes, weights = np.zeros(len(data), HASH), np.zeros(len(data), np.uint8)
        for of_kind, update in (
            (np.flatnonzero(is_inner), self._update_inner),
            (np.flatnonzero(~is_inner), self._update_buckets),
        ):
            for at in range(0, len(of_kind), _PAGES_AT_ONCE):
                places = of_kind[at : at + _PAGES_AT_ONCE]
                pages = [data[place] for place in places.tolist()]
                nodes[places], weights[places] = update(depth, groups.take(places), leaves, pages)
        return nodes, weights

    def _load(self, groups: _Groups) -> list[bytes]:
        """The bytes of each page, none where there is no page yet."""
        held = np.flatnonzero(groups.weights).tolist()
        found = self._load_pages([groups.prefixes[place] for place in held]) if held else {}
        data = [b""] * len(groups.prefixes)
        for place in held:
            prefix = groups.prefixes[place]
            page = found.get(prefix)
            if page is None:
                raise ProofError(f"page {prefix!r} of the map is missing")
            if len(page) != INNER_BYTES and (len(page) % LEAF_BYTES or not page):
                raise ProofError(f"page {prefix!r} of the map is neither a bucket nor an inner page")
            data[place] = page
        return data

    def _update_inner(
        self, depth: int, groups: _Groups, leaves: _Leaves, data: Sequence[bytes]
    ) -> tuple[Hashes, _Weights]:
        stored = np.frombuffer(b"".join(data), _INNER)
        nodes = stored["nodes"].copy()
        has_more = (stored["more"][:, np.newaxis] & _BIT_OF_CHILD) != 0
        weights = (nodes != _EMPTY).astype(np.uint8) + has_more
        memo: Memo = {}
        _check(groups, *_over(nodes, weights, memo))
        parents, children, below = _part(depth, groups, leaves)
        below.nodes, below.weights = nodes[parents, children], weights[parents, children]
        nodes[parents, children], weights[parents, children] = self.update(depth + 1, below, leaves)
        return self._write_inner(groups.prefixes, nodes, weights, memo)

    def _write_inner(
        self, prefixes: Sequence[str], nodes: Hashes, weights: _Weights, memo: Memo
    ) -> tuple[Hashes, _Weights]:
        stored = np.empty(len(prefixes), _INNER)
        stored["more"] = ((weights > 1) * _BIT_OF_CHILD).sum(axis=1)
        stored["nodes"] = nodes
        joined = stored.tobytes()
        for place, prefix in enumerate(prefixes):
            self.pages[prefix] = joined[place * INNER_BYTES : (place + 1) * INNER_BYTES]
        return _over(nodes, weights, memo)

    def _update_buckets(
        self, depth: int, groups: _Groups, leaves: _Leaves, data: Sequence[bytes]
    ) -> tuple[Hashes, _Weights]:
        memo: Memo = {}
        merged, old_nodes, ends = _merge(depth, groups, leaves, data, memo)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        nodes, weights = np.zeros(len(ends), HASH), np.minimum(ends - starts, 2).astype(np.uint8)
        fits = ends - starts <= BUCKET_LEAVES_MAX
        kept = np.flatnonzero(fits)
        if len(kept):
            places = ranges_of(starts[kept], ends[kept])
            buckets, bucket_ends = merged.take(places), np.cumsum((ends - starts)[kept])
            nodes[kept] = _fold(depth, buckets, old_nodes[places], bucket_ends, memo)
            self._write_buckets([groups.prefixes[place] for place in kept.tolist()], buckets, bucket_ends)
        split = np.flatnonzero(~fits)
        if len(split):
            parts = replace(groups, starts=starts, ends=ends, nodes=nodes, weights=weights).take(split)
            nodes[split] = self._split(depth, parts, merged)
        return nodes, weights

    def _write_buckets(self, prefixes: Sequence[str], leaves: _Leaves, ends: Numbers) -> None:
        pairs = np.empty((len(leaves), 2), HASH)
        pairs[:, 0], pairs[:, 1] = leaves.positions, leaves.values
        joined, start = pairs.tobytes(), 0
        for prefix, end in zip(prefixes, (ends * LEAF_BYTES).tolist(), strict=True):
            self.pages[prefix] = joined[start:end]
            start = end

    def _split(self, depth: int, groups: _Groups, leaves: _Leaves) -> Hashes:
        """The nodes of inner pages in the place of buckets that are too full, whose leaves go to new pages below."""
        parents, children, below = _part(depth, groups, leaves)
        # The leaves were checked where they come from; in the new pages all of them are new.
        fresh = _Leaves(leaves.positions, leaves.values, np.zeros(len(leaves), HASH))
        nodes = np.zeros((len(groups.prefixes), CHILDREN), HASH)
        weights = np.zeros((len(groups.prefixes), CHILDREN), np.uint8)
        nodes[parents, children], weights[parents, children] = self.update(depth + 1, below, fresh)
        return self._write_inner(groups.prefixes, nodes, weights, {})[0]


def _part(depth: int, groups: _Groups, leaves: _Leaves) -> tuple[Numbers, Numbers, _Groups]:
    """The groups one level down, empty so far: for each its parent's place in ``groups`` and which child it is."""
    places = ranges_of(groups.starts, groups.ends)
    parent_of = np.repeat(np.arange(len(groups.prefixes)), groups.ends - groups.starts)
    digits = (
        np.ascontiguousarray(leaves.positions).view(np.uint8).reshape(-1, HASH.itemsize)[places, depth // 2]
    )
    digits = digits & 15 if depth % 2 else digits >> 4
    names = parent_of * CHILDREN + digits
    starts = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), names[1:] != names[:-1])))
    ends: Numbers = np.concatenate((starts[1:], np.array([len(names)])))
    parents, children = parent_of[starts], digits[starts].astype(np.int64)
    # A group's leaves stay together: they are neighbours below their parent's, too.
    first = places[starts]
    below = _Groups(
        [
            f"{groups.prefixes[parent]}{child:x}"
            for parent, child in zip(parents.tolist(), children.tolist(), strict=True)
        ],
        first,
        first + (ends - starts),
        np.zeros(len(starts), HASH),
        np.zeros(len(starts), np.uint8),
    )
    return parents, children, below


def _merge(
    depth: int, groups: _Groups, leaves: _Leaves, data: Sequence[bytes], memo: Memo
) -> tuple[_Leaves, Hashes, Numbers]:
    """The leaves of each bucket after the update, the nodes that they had before, and where each bucket ends.

    A leaf that is new or changed has zeros for its node.
    """
    stored = as_hashes(b"".join(data)).reshape(-1, 2)
    held = np.fromiter(map(len, data), np.int64, len(data)) // LEAF_BYTES
    nodes = hash_map_leaves(stored)
    if len(stored):
        _check_buckets(depth, groups, stored, nodes, held, memo)
    added = leaves.take(ranges_of(groups.starts, groups.ends))
    places, is_there = _find(stored[:, 0], added.positions)
    found = np.zeros(len(added), HASH)
    found[is_there] = stored[places[is_there], 1]
    is_wrong = found != added.olds
    if is_wrong.any():
        position = added.positions[int(np.flatnonzero(is_wrong)[0])].tobytes().hex()
        raise ProofError(f"the row of the key at {position} is not the map's")
    # Room for each new leaf before the first stored one behind it.
    is_new = ~is_there
    total = len(stored) + int(is_new.sum())
    to = np.empty(len(added), np.int64)
    to[is_new] = places[is_new] + np.arange(total - len(stored))
    is_stored = np.ones(total, np.bool_)
    is_stored[to[is_new]] = False
    stored_to = np.flatnonzero(is_stored)
    to[is_there] = stored_to[places[is_there]]
    merged = _Leaves(np.empty(total, HASH), np.empty(total, HASH), np.zeros(total, HASH))
    merged.positions[stored_to], merged.values[stored_to] = stored[:, 0], stored[:, 1]
    merged.positions[to], merged.values[to], merged.olds[to] = added.positions, added.values, added.olds
    old_nodes = np.zeros(total, HASH)
    old_nodes[stored_to] = nodes
    old_nodes[to] = _EMPTY
    fresh_in = np.repeat(np.arange(len(held)), groups.ends - groups.starts)[is_new]
    return merged, old_nodes, np.cumsum(held + np.bincount(fresh_in, minlength=len(held)), dtype=np.int64)


def _find(stored: Hashes, added: Hashes) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Where each of ``added`` is in ``stored``, or where it would have to go, and whether it is there; both ascend."""
    if not len(stored):
        return np.zeros(len(added), np.int64), np.zeros(len(added), np.bool_)
    heads, sought = words_of(stored)[:, 0], words_of(added)[:, 0]
    places = np.searchsorted(heads, sought)
    at = np.minimum(places, len(stored) - 1)
    is_there = (stored[at] == added) & (places < len(stored))
    if (heads[1:] == heads[:-1]).any() or ((heads[at] == sought) & ~is_there).any():
        # Positions that begin with the same 64 bits have to be compared as a whole.
        texts, sought_texts = _as_texts(stored), _as_texts(added)
        places = np.searchsorted(texts, sought_texts)
        at = np.minimum(places, len(stored) - 1)
        is_there = (stored[at] == added) & (places < len(stored))
    return places.astype(np.int64), is_there


def _as_texts(hashes: Hashes) -> npt.NDArray[np.bytes_]:
    return np.ascontiguousarray(hashes).view(f"S{HASH.itemsize}")


def _check_buckets(
    depth: int, groups: _Groups, stored: Hashes, nodes: Hashes, held: Numbers, memo: Memo
) -> None:
    with_page = np.flatnonzero(held)
    ends: Numbers = np.cumsum(held[with_page])
    positions = stored[:, 0]
    words = words_of(positions)
    if (words[1:, 0] <= words[:-1, 0]).any() and (
        _as_texts(positions)[1:] <= _as_texts(positions)[:-1]
    ).any():
        raise ProofError("a bucket of the map is out of order")
    starts, folded = fold_leaves(words, nodes, STEP_BITS * depth, memo)
    expected_starts = ends - held[with_page]
    if len(starts) != len(ends) or (starts != expected_starts).any():
        raise ProofError("a bucket of the map has leaves that belong elsewhere")
    _check(groups.take(with_page), folded[starts], np.minimum(held[with_page], 2).astype(np.uint8))


def _check(groups: _Groups, nodes: Hashes, weights: _Weights) -> None:
    """Raise ProofError unless ``nodes`` and ``weights`` of the pages are those that their parents hold."""
    is_wrong = (nodes != groups.nodes) | ((weights != groups.weights) & (groups.weights != _UNKNOWN))
    if is_wrong.any():
        prefix = groups.prefixes[int(np.flatnonzero(is_wrong)[0])]
        raise ProofError(f"page {prefix!r} of the map is not the one that its parent stands for")


def _fold(depth: int, leaves: _Leaves, nodes: Hashes, ends: Numbers, memo: Memo) -> Hashes:
    """The nodes over buckets of leaves that end at ``ends``, each of them not empty."""
    changed = np.flatnonzero(nodes == _EMPTY)
    pairs = np.empty((len(changed), 2), HASH)
    pairs[:, 0], pairs[:, 1] = leaves.positions[changed], leaves.values[changed]
    nodes = nodes.copy()
    nodes[changed] = hash_map_leaves(pairs)
    starts, folded = fold_leaves(words_of(leaves.positions), nodes, STEP_BITS * depth, memo)
    assert (starts[1:] == ends[:-1]).all(), "buckets with other prefixes part above their depth"
    return folded[starts]


def _over(nodes: Hashes, weights: _Weights, memo: Memo) -> tuple[Hashes, _Weights]:
    """The node and the weight on top of the children of each page, ``(pages, 16)``."""
    while nodes.shape[1] > 1:
        pairs = np.ascontiguousarray(nodes).reshape(len(nodes), -1, 2)
        halves = weights.reshape(len(nodes), -1, 2)
        weights = np.minimum(halves.sum(axis=2, dtype=np.uint8), 2)
        is_lone_right = (weights == 1) & (halves[:, :, 1] == 1)
        nodes = np.where(is_lone_right, pairs[:, :, 1], pairs[:, :, 0])
        full = weights > 1
        nodes[full] = hash_inner_nodes(pairs[full], memo)
    return nodes[:, 0], weights[:, 0]
