"""The tree and its proofs at their edges; every size is in ``property/test_merkle_all_sizes.py``."""

from __future__ import annotations

import hashlib

import pytest

from ledger.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    NodeId,
    check_consistency,
    check_inclusion,
    compute_root,
    hash_leaf,
    hash_leaves,
    hash_node,
    plan_consistency,
    plan_inclusion,
    plan_root,
    prove_consistency,
    prove_inclusion,
    root_of,
    root_of_full,
)
from ledger.core.strict import INTEGER_MAX
from ledger.errors import FormatError, ProofError

HASH = hash_leaf(b"")
OTHER = hash_leaf(b"other")


def test_leaves_and_nodes_hash_behind_different_bytes() -> None:
    assert hash_leaf(b"x") == hashlib.sha256(b"\x00x").digest()
    assert hash_node(HASH, OTHER) == hashlib.sha256(b"\x01" + HASH + OTHER).digest()


def test_many_leaves_hash_as_one_by_one() -> None:
    assert hash_leaves([b"", b"x", b"y"]) == [hash_leaf(b""), hash_leaf(b"x"), hash_leaf(b"y")]


def test_the_empty_tree_has_the_root_of_no_bytes() -> None:
    assert root_of([]) == Frontier().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_a_full_subtree_is_rooted_level_by_level() -> None:
    hashes = [hash_leaf(bytes([n])) for n in range(4)]
    expected = hash_node(hash_node(hashes[0], hashes[1]), hash_node(hashes[2], hashes[3]))
    assert root_of_full(b"".join(hashes)) == expected


@pytest.mark.parametrize("count", [0, 3, 5])
def test_only_a_power_of_two_of_hashes_is_a_full_subtree(count: int) -> None:
    with pytest.raises(AssertionError):
        root_of_full(HASH * count)


@pytest.mark.parametrize("steps", [(9000,), (1, 8999), (255, 1, 4097, 4647), (4096, 4096, 808), (3000,) * 3])
def test_a_frontier_extended_in_steps_is_that_of_appending(steps: tuple[int, ...]) -> None:
    hashes = [hash_leaf(n.to_bytes(4, "big")) for n in range(9000)]
    appended, extended = Frontier(), Frontier()
    for value in hashes:
        appended.append(value)
    start = 0
    for step in steps:
        extended.extend(iter(hashes[start : start + step]))
        start += step
    assert (extended.size, extended.peaks, extended.root()) == (9000, appended.peaks, appended.root())


def test_a_copy_of_a_frontier_grows_on_its_own() -> None:
    frontier = Frontier()
    frontier.append(HASH)
    copy = frontier.copy()
    copy.append(OTHER)
    assert (frontier.size, frontier.root()) == (1, HASH)
    assert (copy.size, copy.root()) == (2, hash_node(HASH, OTHER))


@pytest.mark.parametrize(
    ("size", "peaks"), [(3, [HASH]), (0, [HASH]), (1, [b"short"]), (-1, []), (2**53, [HASH])]
)
def test_peaks_that_do_not_make_up_the_size_are_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(FormatError):
        Frontier.from_peaks(size, peaks)


def test_a_leaf_hash_of_another_length_is_a_fault_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        Frontier().append(b"short")


def test_a_hash_on_the_ragged_edge_is_planned_as_its_full_subtrees() -> None:
    plan = plan_inclusion(0, 7)
    assert plan.nodes == (NodeId(0, 1), NodeId(1, 1), NodeId(1, 2), NodeId(0, 6))
    assert plan.counts == (1, 1, 2)


def test_the_root_is_planned_as_the_peaks() -> None:
    assert plan_root(7).nodes == (NodeId(2, 0), NodeId(1, 2), NodeId(0, 6))
    assert compute_root(2, lambda nodes: [root_of([HASH, OTHER])]) == hash_node(HASH, OTHER)


def test_the_largest_tree_plans_a_path_of_53_hashes() -> None:
    assert len(plan_inclusion(0, INTEGER_MAX).counts) == 53
    assert len(plan_consistency(INTEGER_MAX - 1, INTEGER_MAX).counts) <= 54


def test_a_proof_reads_its_nodes_in_one_call() -> None:
    calls: list[int] = []

    def read(nodes: object) -> list[bytes]:
        assert isinstance(nodes, tuple)
        calls.append(len(nodes))
        return [HASH] * len(nodes)

    prove_inclusion(5, 1000, read)
    prove_consistency(5, 1000, read)
    assert len(calls) == 2


@pytest.mark.parametrize("read", [[], [HASH], [HASH] * 3, [HASH, b"short"]])
def test_nodes_that_do_not_fit_the_plan_make_no_proof(read: list[bytes]) -> None:
    with pytest.raises(ProofError):
        prove_inclusion(0, 4, lambda nodes: read)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 5), (-1, 5), (0, -1), (0, 2**53)])
def test_there_is_no_inclusion_outside_of_a_tree(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        plan_inclusion(index, size)
    with pytest.raises(ProofError):
        check_inclusion([], index, size, HASH, HASH)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 1), (2, 1), (-1, 1), (1, 2**53)])
def test_there_is_no_consistency_from_nothing_or_backwards(old: int, new: int) -> None:
    with pytest.raises(ProofError):
        plan_consistency(old, new)
    with pytest.raises(ProofError):
        check_consistency([], old, new, HASH, HASH)


def test_one_size_is_consistent_with_itself_by_an_empty_proof() -> None:
    check_consistency([], 5, 5, HASH, HASH)
    with pytest.raises(ProofError):
        check_consistency([], 5, 5, HASH, OTHER)
    with pytest.raises(ProofError):
        check_consistency([HASH], 5, 5, HASH, HASH)


@pytest.mark.parametrize("wrong", [b"", HASH[:31], HASH + b"\x00"])
def test_a_hash_of_another_length_proves_nothing(wrong: bytes) -> None:
    with pytest.raises(ProofError):
        check_inclusion([wrong], 0, 2, HASH, root_of([HASH, OTHER]))
    with pytest.raises(ProofError):
        check_inclusion([], 0, 1, wrong, wrong)
    with pytest.raises(ProofError):
        check_consistency([wrong], 1, 2, HASH, root_of([HASH, OTHER]))
    with pytest.raises(ProofError):
        check_consistency([], 1, 1, wrong, wrong)
