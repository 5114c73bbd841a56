"""Proofs of consecutive leaves of an RFC 6962 tree (ledger format, section 1.4: pages of a key's entries).

A page is the range ``[a, b)`` of leaves of a tree ``D[n]``. Its proof is the roots of the subtrees beside it, from left to
right, and with the page's own leaves it leads to the root::

    PAGE(a, b, D[lo:hi]) = [MTH(D[lo:hi])]     where the range lies outside [a, b)
                         = []                  where it lies inside
                         = PAGE(a, b, D[lo:m]) + PAGE(a, b, D[m:hi])     else

with ``m - lo`` the largest power of two below ``hi - lo``. A page of one leaf has the hashes of its inclusion proof in
another order. A root alone does not say how many leaves are under it: whoever checks a page takes the size from what
commits to both, as the row of a key in the map does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.core.merkle import (
    HASH_BYTES,
    Plan,
    ReadNodes,
    hash_node,
    plan_ranges,
    split_of,
)
from ledger.core.strict import INTEGER_MAX
from ledger.errors import ProofError


def plan_page(first: int, count: int, size: int) -> Plan:
    """The plan of PAGE(first, first + count, D[size]); ProofError unless it is one leaf or more of that tree."""
    _check_page(first, count, size)
    return plan_ranges(_outside(first, first + count, 0, size))


def prove_page(first: int, count: int, size: int, read_nodes: ReadNodes) -> list[bytes]:
    """The proof of the ``count`` leaves from ``first`` on in the tree of ``size`` leaves, from left to right.

    At most twice as many hashes as the tree is high. Raises ProofError unless 0 <= first < first + count <= size, and
    when the nodes read do not fit.
    """
    plan = plan_page(first, count, size)
    return plan.compute(read_nodes(plan.nodes)) if plan.counts else []


def check_page(
    leaf_hashes: Sequence[bytes], first: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Raise ProofError unless ``proof`` shows ``leaf_hashes`` from ``first`` on in the tree of ``size`` leaves with ``root``.

    Leaf hashes are those of RFC 6962, 32 bytes each as all hashes here.
    """
    _check_page(first, len(leaf_hashes), size)
    if any(len(value) != HASH_BYTES for value in (root, *leaf_hashes, *proof)):
        raise ProofError("a hash is not 32 bytes long")
    beside = iter(proof)
    computed = _fold(leaf_hashes, first, 0, size, beside)
    if next(beside, None) is not None:
        raise ProofError("the page's proof is too long")
    if computed != root:
        raise ProofError(
            f"the page of {len(leaf_hashes)} leaves from {first} on does not lead to the root of size {size}"
        )


def _check_page(first: int, count: int, size: int) -> None:
    if first < 0 or count < 1 or not first + count <= size <= INTEGER_MAX:
        raise ProofError(f"a tree of size {size} has no page of {count} leaves from {first} on")


def _outside(start: int, end: int, low: int, high: int) -> Iterator[tuple[int, int]]:
    """The ranges of ``[low, high)`` that make up what lies outside ``[start, end)``, from left to right."""
    if high <= start or end <= low:
        yield low, high
    elif not (start <= low and high <= end):
        middle = low + split_of(high - low)
        yield from _outside(start, end, low, middle)
        yield from _outside(start, end, middle, high)


def _fold(page: Sequence[bytes], first: int, low: int, high: int, beside: Iterator[bytes]) -> bytes:
    """The root over ``[low, high)`` from the leaves of ``page`` and the hashes ``beside`` it, taken as they come."""
    end = first + len(page)
    if high <= first or end <= low:
        node = next(beside, None)
        if node is None:
            raise ProofError("the page's proof is too short")
        return node
    if high - low == 1:
        return page[low - first]
    middle = low + split_of(high - low)
    left = _fold(page, first, low, middle, beside)
    return hash_node(left, _fold(page, first, middle, high, beside))
