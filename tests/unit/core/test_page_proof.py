"""Pages of a tree are proven by the roots beside them, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import pytest

from ledger.core.merkle import NodeId, prove_inclusion, root_of
from ledger.core.page_proof import check_page, prove_page
from ledger.errors import ProofError

LEAVES = [sha256(b"leaf %d" % number).digest() for number in range(131)]


def read(nodes: Sequence[NodeId]) -> list[bytes]:
    return [root_of(LEAVES[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]


def page_by_definition(start: int, end: int, low: int, high: int) -> list[bytes]:
    """PAGE as it is written down."""
    if high <= start or end <= low:
        return [root_of(LEAVES[low:high])]
    if start <= low and high <= end:
        return []
    middle = low + (1 << ((high - low - 1).bit_length() - 1))
    return page_by_definition(start, end, low, middle) + page_by_definition(start, end, middle, high)


@pytest.mark.parametrize("size", [*range(1, 20), 31, 32, 33, 63, 64, 65])
def test_every_page_of_every_small_tree_has_the_proof_of_the_definition_and_it_holds(size: int) -> None:
    root = root_of(LEAVES[:size])
    for first in range(size):
        for count in range(1, size - first + 1):
            proof = prove_page(first, count, size, read)
            assert proof == page_by_definition(first, first + count, 0, size)
            check_page(LEAVES[first : first + count], first, size, proof, root)


def test_the_whole_tree_needs_no_proof_and_one_leaf_the_hashes_of_its_inclusion() -> None:
    assert prove_page(0, 100, 100, read) == []
    assert sorted(prove_page(37, 1, 100, read)) == sorted(prove_inclusion(37, 100, read))


def test_a_page_of_a_large_tree_has_twice_as_many_hashes_as_the_tree_is_high_at_most() -> None:
    for first in (0, 1, 499_975, 524_270, 999_950):
        assert len(prove_page(first, 50, 1_000_000, lambda nodes: [bytes(32)] * len(nodes))) <= 2 * 20


@pytest.mark.parametrize(
    ("first", "count", "size"), [(0, 0, 5), (-1, 2, 5), (3, 3, 5), (5, 1, 5), (0, 1, 0), (0, 1, 2**53)]
)
def test_a_page_that_a_tree_cannot_have_is_no_proof(first: int, count: int, size: int) -> None:
    with pytest.raises(ProofError):
        prove_page(first, count, size, read)
    with pytest.raises(ProofError):
        check_page(LEAVES[:count], first, size, [bytes(32)] * 60, bytes(32))


Change = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof[:-1],
        lambda proof: proof[1:],
        lambda proof: [],
        lambda proof: [*proof, proof[-1]],
        lambda proof: [*proof, bytes(32)],
        lambda proof: proof[::-1],
        lambda proof: [proof[1], proof[0], *proof[2:]],
        lambda proof: [bytes(32), *proof[1:]],
        lambda proof: [proof[0][:-1], *proof[1:]],
        lambda proof: [proof[0] + b"\0", *proof[1:]],
    ],
)
def test_another_proof_is_rejected(change: Change) -> None:
    root = root_of(LEAVES[:131])
    proof = prove_page(40, 21, 131, read)
    assert len(proof) > 3
    with pytest.raises(ProofError):
        check_page(LEAVES[40:61], 40, 131, change(proof), root)


def test_another_page_place_height_or_root_is_rejected() -> None:
    root, proof = root_of(LEAVES[:131]), prove_page(40, 21, 131, read)
    page = LEAVES[40:61]
    check_page(page, 40, 131, proof, root)
    for leaves, first, size, wanted in [
        (page[::-1], 40, 131, root),
        ([*page[:-1], LEAVES[0]], 40, 131, root),
        (page[:-1], 40, 131, root),
        ([*page, LEAVES[61]], 40, 131, root),
        (page, 41, 131, root),
        (page, 39, 131, root),
        (page, 40, 128, root),
        (page, 40, 257, root),
        (page, 40, 131, LEAVES[0]),
        ([leaf[:-1] for leaf in page], 40, 131, root),
        (page, 40, 131, root[:-1]),
    ]:
        with pytest.raises(ProofError):
            check_page(leaves, first, size, proof, wanted)


def test_a_hostile_size_is_answered_at_once() -> None:
    with pytest.raises(ProofError):
        check_page(LEAVES[:50], 2**52, 2**53 - 1, [bytes(32)] * 200, bytes(32))
