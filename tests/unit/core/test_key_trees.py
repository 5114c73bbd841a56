"""The incremental trees of all keys against the definition of RFC 6962."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.core.index import KeyRow, encode_key_leaf
from ledger.core.key_trees import KeyTrees, KeyTreeState

SIZES = 70


def leaf_hash_at(seq: int) -> bytes:
    """Return some leaf hash for the entry at ``seq``."""
    return sha256(b"entry %d" % seq).digest()


def defined_root(leaves: list[bytes]) -> bytes:
    """Return the root of RFC 6962, section 2.1, of ``leaves``, which are not empty."""
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def defined_row(seqs: list[int]) -> KeyRow:
    """Return the row of a key carried by the entries at ``seqs``."""
    root = defined_root([encode_key_leaf(seq, leaf_hash_at(seq)) for seq in seqs])
    return KeyRow(len(seqs), seqs[-1], root)


def extended(trees: KeyTrees, seqs: list[int]) -> KeyTrees:
    """Append ``seqs`` to the key ``k`` of ``trees`` at once."""
    trees.extend("k", seqs, [leaf_hash_at(seq) for seq in seqs])
    return trees


def test_after_each_append_the_row_is_that_of_the_definition() -> None:
    trees = KeyTrees()
    seqs: list[int] = []
    for seq in range(0, 3 * SIZES, 3):
        trees.append("k", seq, leaf_hash_at(seq))
        seqs.append(seq)
        assert trees.row("k") == defined_row(seqs)


def test_extending_from_every_size_to_every_size_equals_appending() -> None:
    seqs = list(range(5, 5 + 2 * SIZES, 2))
    rows = [defined_row(seqs[: size + 1]) for size in range(SIZES)]
    for old in range(SIZES):
        for new in range(old + 1, SIZES + 1):
            trees = extended(extended(KeyTrees(), seqs[:old]), seqs[old:new])
            assert trees.row("k") == rows[new - 1]


def test_one_entry_goes_into_the_tree_of_each_of_its_keys() -> None:
    trees = KeyTrees()
    trees.append_entry(("a", "b"), 0, leaf_hash_at(0))
    trees.append_entry(["b", "c"], 1, leaf_hash_at(1))
    assert dict(trees.rows()) == {"a": defined_row([0]), "b": defined_row([0, 1]), "c": defined_row([1])}


def test_a_key_that_no_entry_carries_has_no_row_and_no_state() -> None:
    trees = extended(KeyTrees(), [1])
    assert (trees.row("other"), trees.state("other"), "other" in trees) == (None, None, False)


def test_keys_are_counted_and_listed_in_order_of_their_first_entry() -> None:
    trees = KeyTrees()
    trees.append_entry(["z", "a"], 0, leaf_hash_at(0))
    trees.append_entry(["m", "a"], 1, leaf_hash_at(1))
    assert (len(trees), list(trees), "m" in trees) == (3, ["z", "a", "m"], True)


def test_changed_rows_are_those_of_the_keys_appended_to_since_the_last_seal() -> None:
    trees = KeyTrees()
    trees.append_entry(["a", "b"], 0, leaf_hash_at(0))
    assert dict(trees.changed_rows()) == {"a": defined_row([0]), "b": defined_row([0])}
    trees.mark_sealed()
    assert trees.changed_count == 0
    trees.append("b", 1, leaf_hash_at(1))
    trees.extend("c", [1], [leaf_hash_at(1)])
    assert dict(trees.changed_rows()) == {"b": defined_row([0, 1]), "c": defined_row([1])}
    assert trees.changed_count == 2


def test_a_restored_tree_goes_on_as_the_first_one_would_have() -> None:
    for size in range(1, SIZES):
        seqs = list(range(size))
        state = extended(KeyTrees(), seqs).state("k")
        assert state is not None
        copy = KeyTrees()
        copy.restore("k", state)
        assert copy.changed_count == 0
        copy.append("k", size, leaf_hash_at(size))
        assert copy.row("k") == defined_row([*seqs, size])


def test_a_restored_state_replaces_an_earlier_one() -> None:
    trees = extended(KeyTrees(), [0, 1, 2])
    earlier = extended(KeyTrees(), [0]).state("k")
    assert earlier is not None
    trees.restore("k", earlier)
    assert trees.row("k") == defined_row([0])


@pytest.mark.parametrize(
    "state",
    [
        KeyTreeState(0, 0, b""),
        KeyTreeState(3, 2, bytes(32)),
        KeyTreeState(1, 0, bytes(31)),
        KeyTreeState(4, 2, bytes(32)),
    ],
)
def test_an_impossible_state_is_not_restored(state: KeyTreeState) -> None:
    trees = KeyTrees()
    with pytest.raises(AssertionError):
        trees.restore("k", state)
    assert "k" not in trees


@pytest.mark.parametrize("seq", [0, 6, 7])
def test_a_seq_out_of_order_is_refused_and_changes_nothing(seq: int) -> None:
    trees = extended(KeyTrees(), [3, 7])
    with pytest.raises(AssertionError, match=f"seq {seq} after 7"):
        trees.append("k", seq, leaf_hash_at(seq))
    with pytest.raises(AssertionError, match=f"seq {seq} after 7"):
        extended(trees, [seq, 9])
    assert trees.row("k") == defined_row([3, 7])


def test_a_batch_that_is_out_of_order_inside_is_refused_as_a_whole() -> None:
    trees = extended(KeyTrees(), [3])
    with pytest.raises(AssertionError, match="seq 5 after 5"):
        extended(trees, [4, 5, 5])
    assert trees.row("k") == defined_row([3])


def test_seqs_and_leaf_hashes_of_unequal_number_are_refused() -> None:
    with pytest.raises(AssertionError, match="2 seqs with 1 leaf hashes"):
        KeyTrees().extend("k", [1, 2], [leaf_hash_at(1)])


def test_a_leaf_hash_of_another_size_is_refused() -> None:
    trees = KeyTrees()
    with pytest.raises(AssertionError, match="32 bytes"):
        trees.append("k", 0, bytes(31))
    with pytest.raises(AssertionError, match="32 bytes"):
        trees.extend("k", [0], [bytes(33)])
    assert len(trees) == 0


def test_extending_by_nothing_creates_no_key() -> None:
    assert len(extended(KeyTrees(), [])) == 0
