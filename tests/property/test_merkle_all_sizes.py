"""Every tree of up to 130 leaves against the definitions, and every proof with a bit flipped in each hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import pytest

from ledger.core.merkle import (
    Frontier,
    NodeId,
    check_consistency,
    check_inclusion,
    hash_leaf,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from ledger.errors import ProofError

SIZE_MAX = 130
SIZES = range(1, SIZE_MAX + 1)
HASHES = [hash_leaf(b"leaf %d" % index) for index in range(SIZE_MAX)]
FLIPS = (0x01, 0x80)


def split(count: int) -> int:
    """The largest power of two below ``count``."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


@cache
def slow_root(start: int, end: int) -> bytes:
    """MTH(D[start:end]), as RFC 6962 defines it."""
    if start == end:
        return hashlib.sha256(b"").digest()
    if end - start == 1:
        return hashlib.sha256(b"\x00" + b"leaf %d" % start).digest()
    middle = start + split(end - start)
    return hashlib.sha256(b"\x01" + slow_root(start, middle) + slow_root(middle, end)).digest()


def slow_path(index: int, start: int, end: int) -> list[bytes]:
    """PATH(index, D[start:end]), as RFC 6962 defines it."""
    if end - start == 1:
        return []
    middle = split(end - start)
    if index < middle:
        return [*slow_path(index, start, start + middle), slow_root(start + middle, end)]
    return [*slow_path(index - middle, start + middle, end), slow_root(start, start + middle)]


def slow_subproof(old: int, start: int, end: int, known: bool) -> list[bytes]:
    """SUBPROOF(old, D[start:end], known), as RFC 6962 defines it."""
    if old == end - start:
        return [] if known else [slow_root(start, end)]
    middle = split(end - start)
    if old <= middle:
        return [*slow_subproof(old, start, start + middle, known), slow_root(start + middle, end)]
    return [
        *slow_subproof(old - middle, start + middle, end, False),
        slow_root(start, start + middle),
    ]


def reader_of(size: int) -> Callable[[Sequence[NodeId]], list[bytes]]:
    """Reads the full subtrees of the tree of ``size``, and none that it does not have."""

    def read(nodes: Sequence[NodeId]) -> list[bytes]:
        assert all((node.index + 1) << node.level <= size for node in nodes)
        return [slow_root(node.index << node.level, (node.index + 1) << node.level) for node in nodes]

    return read


def flipped(hashes: Sequence[bytes]) -> Iterator[list[bytes]]:
    """``hashes`` with one bit flipped, in every hash in turn."""
    for place, value in enumerate(hashes):
        for byte in (0, 31):
            for flip in FLIPS:
                changed = bytearray(value)
                changed[byte] ^= flip
                yield [*hashes[:place], bytes(changed), *hashes[place + 1 :]]


def other_lengths(proof: list[bytes]) -> Iterator[list[bytes]]:
    """``proof`` with a hash too few or too many, at either end."""
    extra = HASHES[0]
    yield [*proof, extra]
    yield [extra, *proof]
    if proof:
        yield proof[1:]
        yield proof[:-1]


@pytest.mark.parametrize("size", [0, *SIZES])
def test_the_root_is_that_of_the_definition_however_the_tree_grew(size: int) -> None:
    one_by_one, in_two = Frontier(), Frontier()
    for value in HASHES[:size]:
        one_by_one.append(value)
    in_two.extend(HASHES[: size // 3])
    in_two.extend_joined(b"".join(HASHES[size // 3 : size]))
    again = Frontier.from_peaks(size, one_by_one.peaks)
    expected = slow_root(0, size)
    assert root_of(HASHES[:size]) == one_by_one.root() == in_two.root() == again.root() == expected
    assert in_two.peaks == one_by_one.peaks


@pytest.mark.parametrize("size", SIZES)
def test_every_inclusion_proof_is_that_of_the_definition_and_holds(size: int) -> None:
    for index in range(size):
        proof = prove_inclusion(index, size, reader_of(size))
        assert proof == slow_path(index, 0, size)
        check_inclusion(proof, index, size, HASHES[index], slow_root(0, size))


@pytest.mark.parametrize("size", SIZES)
def test_no_inclusion_proof_holds_with_a_bit_flipped_in_a_hash(size: int) -> None:
    root = slow_root(0, size)
    for index in range(size):
        for proof in flipped(slow_path(index, 0, size)):
            with pytest.raises(ProofError):
                check_inclusion(proof, index, size, HASHES[index], root)
        for leaf_hash, changed_root in flipped([HASHES[index], root]):
            with pytest.raises(ProofError):
                check_inclusion(slow_path(index, 0, size), index, size, leaf_hash, changed_root)


@pytest.mark.parametrize("size", SIZES)
def test_no_inclusion_proof_holds_with_another_length_or_for_a_neighbour(size: int) -> None:
    root = slow_root(0, size)
    for index in range(size):
        proof = slow_path(index, 0, size)
        for other in other_lengths(proof):
            with pytest.raises(ProofError):
                check_inclusion(other, index, size, HASHES[index], root)
        for neighbour in {index - 1, index + 1} & set(range(size)):
            with pytest.raises(ProofError):
                check_inclusion(proof, neighbour, size, HASHES[index], root)


@pytest.mark.parametrize("size", SIZES)
def test_every_consistency_proof_is_that_of_the_definition_and_holds(size: int) -> None:
    for old in range(1, size + 1):
        proof = prove_consistency(old, size, reader_of(size))
        assert proof == slow_subproof(old, 0, size, True)
        check_consistency(proof, old, size, slow_root(0, old), slow_root(0, size))


@pytest.mark.parametrize("size", SIZES)
def test_no_consistency_proof_holds_with_a_bit_flipped_in_a_hash(size: int) -> None:
    for old in range(1, size + 1):
        roots = [slow_root(0, old), slow_root(0, size)]
        proof = slow_subproof(old, 0, size, True)
        for changed in flipped(proof):
            with pytest.raises(ProofError):
                check_consistency(changed, old, size, *roots)
        for changed in flipped(roots):
            with pytest.raises(ProofError):
                check_consistency(proof, old, size, *changed)


@pytest.mark.parametrize("size", SIZES)
def test_no_consistency_proof_holds_with_another_length(size: int) -> None:
    for old in range(1, size + 1):
        for other in other_lengths(slow_subproof(old, 0, size, True)):
            with pytest.raises(ProofError):
                check_consistency(other, old, size, slow_root(0, old), slow_root(0, size))
