"""That many entries stand in a tree, shown for all of them at once (RFC 6962 trees; exports, section 5.5).

Between the shown entries lie gaps. Each gap is cut, from left to right, into the largest full subtrees that fit at their
place, which the gap alone decides; the proof is the hashes of these subtrees. With the shown entries' leaf hashes in their
places they make up the whole tree, and so its root. Entries without gaps need no proof but themselves, a stretch of the log
needs fewer than 110 hashes, and whoever checks holds 53 hashes at most, however many entries there are.

No hash can be put in the place of a shown entry: where the gaps are, the entries' own numbers say.
"""

from __future__ import annotations

from ledger.core.merkle import HASH_BYTES, Frontier, NodeId
from ledger.errors import ProofError


def plan_gap(start: int, end: int) -> list[NodeId]:
    """The full subtrees that make up the leaves ``[start, end)``, from left to right; none where that is empty."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append(NodeId(level, start >> level))
        start += 1 << level
    return nodes


class SelectionFold:
    """Folds shown entries and the subtrees between them into the root of the whole tree, in order, as they come."""

    def __init__(self) -> None:
        """Nothing is folded yet."""
        self._tree = Frontier()
        self.end = 0

    def add_leaf(self, leaf_hash: bytes) -> None:
        """Add the shown entry at :attr:`end` by its leaf hash (32 bytes)."""
        self._tree.append_subtree(0, leaf_hash)
        self.end += 1

    def add_subtree(self, node: NodeId, subtree_root: bytes) -> None:
        """Add the subtree ``node`` of :func:`plan_gap`, which begins at :attr:`end`; ProofError for no hash."""
        if len(subtree_root) != HASH_BYTES:
            raise ProofError("a hash is not 32 bytes long", "INCLUSION_INVALID")
        self._tree.append_subtree(node.level, subtree_root)
        self.end += 1 << node.level

    def root(self) -> bytes:
        """The root over everything that was added."""
        return self._tree.root()
