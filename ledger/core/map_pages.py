"""The sparse map in pages, for a store that keeps it by primary key (ledger format, section 1.4).

The map is cut along the positions of its keys, four bits at a step. A page is named by its *prefix*, the first hex digits
of the positions below it (``""`` is the whole map), and is one of two:

- a *bucket*: all leaves below the prefix, at most :data:`BUCKET_LEAVES_MAX` of them, in ascending order of position, each
  ``K || V`` (64 bytes);
- an *inner page*, where there are more: a big-endian uint16 whose highest bit stands for child 0, set where that child has
  two leaves or more, and the nodes of its 16 children, 32 bytes each. The children are pages of their own, except for
  empty ones, whose node is zero and which have no page.

Nodes within a page are computed from it. So every page can be checked against the node that its parent holds, and the
first one against a ``map_root``: a page that was damaged or edited is noticed when it is read, and never leads to a wrong
root. A bucket holds values and not nodes for that: only with them does its node bind each position, down to the last bit.

Here are bytes, nodes and proofs, a page at a time; who stores pages comes in as ``load_page``. How many keys are changed
at once is the business of :mod:`ledger.engines.page_map`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.core.index import leaf_node
from ledger.core.map_proof import EMPTY_NODE, MapLeaf, MapProof
from ledger.core.merkle import HASH_BYTES
from ledger.core.sparse_map import EMPTY_SUBTREE, Subtree, combine
from ledger.errors import FormatError, ProofError

BUCKET_LEAVES_MAX = 31
"""Beyond this a bucket becomes an inner page; 31 leaves are 1,984 bytes, which a database keeps in one piece."""

STEP_BITS = 4
CHILDREN = 1 << STEP_BITS
LEAF_BYTES = 2 * HASH_BYTES
INNER_BYTES = 2 + CHILDREN * HASH_BYTES
"""No multiple of :data:`LEAF_BYTES`, so that the length of a page says which kind it is."""

_POSITION_BITS = 8 * HASH_BYTES
_split_leaves = struct.Struct(f"{HASH_BYTES}s{HASH_BYTES}s").iter_unpack

LoadPage = Callable[[str], bytes | None]
"""Returns the bytes of the page with this prefix, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The leaves below a prefix, ascending by position."""

    leaves: tuple[MapLeaf, ...]


@dataclass(frozen=True, slots=True)
class InnerPage:
    """The 16 children below a prefix; a :class:`Subtree` counts 2 leaves where there are two or more."""

    children: tuple[Subtree, ...]


def encode_page(page: Bucket | InnerPage) -> bytes:
    """The bytes of ``page``."""
    if isinstance(page, Bucket):
        return b"".join([leaf.position + leaf.value for leaf in page.leaves])
    bits = sum(1 << (CHILDREN - 1 - place) for place, child in enumerate(page.children) if child.leaves > 1)
    return bits.to_bytes(2, "big") + b"".join([child.node for child in page.children])


def decode_page(data: bytes, prefix: str) -> Bucket | InnerPage:
    """The page with ``prefix`` whose bytes are ``data``; FormatError where no page has such bytes."""
    if len(data) == INNER_BYTES:
        bits = int.from_bytes(data[:2], "big")
        children = []
        for place in range(CHILDREN):
            node = data[2 + place * HASH_BYTES : 2 + (place + 1) * HASH_BYTES]
            has_more = bits >> (CHILDREN - 1 - place) & 1
            if has_more and node == EMPTY_NODE:
                raise FormatError(f"page {prefix!r} has an empty child with leaves")
            children.append(EMPTY_SUBTREE if node == EMPTY_NODE else Subtree(node, 1 + has_more))
        return InnerPage(tuple(children))
    if not data or len(data) % LEAF_BYTES:
        raise FormatError(f"page {prefix!r} is neither a bucket nor an inner page")
    leaves = tuple([MapLeaf(position, value) for position, value in _split_leaves(data)])
    if any(not leaf.position.hex().startswith(prefix) for leaf in leaves):
        raise FormatError(f"page {prefix!r} has a leaf that belongs elsewhere")
    if any(left.position >= right.position for left, right in pairwise(leaves)):
        raise FormatError(f"page {prefix!r} is out of order")
    return Bucket(leaves)


def subtree_of(page: Bucket | InnerPage, prefix: str) -> Subtree:
    """The node on top of the page with ``prefix``; where there are two leaves or more it counts 2."""
    if isinstance(page, InnerPage):
        return _over(page.children)
    return _fold(page.leaves, STEP_BITS * len(prefix))


def prove_in_pages(position: bytes, load_page: LoadPage, map_root: bytes) -> MapProof:
    """The proof of the leaf at ``position``, or of its absence, against ``map_root``.

    Reads the pages on the way, about a quarter of the binary logarithm of the number of keys, and checks each of them.
    Raises ProofError where one is missing or is not what its parent says.
    """
    way = position.hex()
    siblings: list[bytes] = []
    prefix, expected = "", Subtree(map_root, 0 if map_root == EMPTY_NODE else 2)
    while expected.leaves:
        page = _load_checked(load_page, prefix, expected)
        if isinstance(page, Bucket):
            return _prove_in_bucket(position, page.leaves, STEP_BITS * len(prefix), siblings)
        # Within an inner page the way ends early where no more than one leaf is left below.
        children: Sequence[Subtree] = page.children
        place = int(way[len(prefix)], 16)
        while len(children) > 1 and sum(child.leaves for child in children) > 1:
            half = len(children) // 2
            left, right = children[:half], children[half:]
            goes_right = place & half
            siblings.append(_over(left if goes_right else right).node)
            children = right if goes_right else left
        met = next((child for child in children if child.leaves), None)
        if met is None:
            return MapProof(False, tuple(siblings), None)
        if len(children) > 1:
            # Another key's leaf, below another child: it ends the way here.
            place = page.children.index(met)
        prefix, expected = prefix + f"{place:x}", met
        if met.leaves == 1:
            (leaf,) = _lone_leaf(_load_checked(load_page, prefix, met), prefix)
            return MapProof(leaf.position == position, tuple(siblings), leaf)
    return MapProof(False, tuple(siblings), None)


def _load_checked(load_page: LoadPage, prefix: str, expected: Subtree) -> Bucket | InnerPage:
    data = load_page(prefix)
    if data is None:
        raise ProofError(f"page {prefix!r} of the map is missing")
    try:
        page = decode_page(data, prefix)
    except FormatError as error:
        raise ProofError(f"the map is damaged: {error}") from error
    found = subtree_of(page, prefix)
    # Of the whole map nobody says whether it has one leaf or more.
    if found.node != expected.node or (prefix and found.leaves != expected.leaves):
        raise ProofError(f"page {prefix!r} of the map is not the one that its parent stands for")
    return page


def _lone_leaf(page: Bucket | InnerPage, prefix: str) -> tuple[MapLeaf, ...]:
    if isinstance(page, InnerPage) or len(page.leaves) != 1:
        raise ProofError(f"page {prefix!r} of the map is not one leaf")
    return page.leaves


def _prove_in_bucket(
    position: bytes, leaves: Sequence[MapLeaf], depth: int, siblings: list[bytes]
) -> MapProof:
    while len(leaves) > 1:
        left, right = _halves(leaves, depth)
        goes_right = _bit(position, depth)
        siblings.append(_fold(left if goes_right else right, depth + 1).node)
        leaves = right if goes_right else left
        depth += 1
    if not leaves:
        return MapProof(False, tuple(siblings), None)
    return MapProof(leaves[0].position == position, tuple(siblings), leaves[0])


def _over(children: Sequence[Subtree]) -> Subtree:
    """The subtree over a power of two of neighbours; 2 leaves stand for any greater number."""
    while len(children) > 1:
        pairs = zip(children[::2], children[1::2], strict=True)
        children = [combine(left, right) for left, right in pairs]
    return Subtree(children[0].node, min(children[0].leaves, 2))


def _fold(leaves: Sequence[MapLeaf], depth: int) -> Subtree:
    """The subtree at ``depth`` over leaves that share their first ``depth`` bits."""
    if not leaves:
        return EMPTY_SUBTREE
    if len(leaves) == 1:
        return Subtree(leaf_node(leaves[0].position, leaves[0].value), 1)
    left, right = _halves(leaves, depth)
    both = combine(_fold(left, depth + 1), _fold(right, depth + 1))
    return Subtree(both.node, 2)


def _halves(leaves: Sequence[MapLeaf], depth: int) -> tuple[Sequence[MapLeaf], Sequence[MapLeaf]]:
    middle = next((place for place, leaf in enumerate(leaves) if _bit(leaf.position, depth)), len(leaves))
    return leaves[:middle], leaves[middle:]


def _bit(position: bytes, depth: int) -> int:
    return int.from_bytes(position) >> (_POSITION_BITS - 1 - depth) & 1
