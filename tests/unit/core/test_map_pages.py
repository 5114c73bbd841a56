"""The map in pages: what is written is read again, and a proof rests on nothing that was not checked."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.core.index import KeyRow, key_position, value_hash
from ledger.core.map_pages import (
    BUCKET_LEAVES_MAX,
    INNER_BYTES,
    Bucket,
    InnerPage,
    decode_page,
    encode_page,
    prove_in_pages,
    subtree_of,
)
from ledger.core.map_proof import EMPTY_NODE, MapLeaf, check_map_proof
from ledger.core.sparse_map import EMPTY_SUBTREE, SparseMap, Subtree
from ledger.errors import FormatError, ProofError


def row(number: int) -> KeyRow:
    return KeyRow(number + 1, number + 5, sha256(b"root %d" % number).digest())


KEYS = [f"acct:{number}" for number in range(300)]
ROWS = {key: row(number) for number, key in enumerate(KEYS)}
LEAVES = sorted(
    (MapLeaf(key_position(key), value_hash(ROWS[key])) for key in KEYS), key=lambda leaf: leaf.position
)


def make_pages(prefix: str = "") -> tuple[dict[str, bytes], Subtree]:
    """The pages below ``prefix``, as the docstring of the module says them, and the node on top."""
    leaves = tuple(leaf for leaf in LEAVES if leaf.position.hex().startswith(prefix))
    if not leaves:
        return {}, EMPTY_SUBTREE
    page: Bucket | InnerPage = Bucket(leaves)
    pages: dict[str, bytes] = {}
    if len(leaves) > BUCKET_LEAVES_MAX:
        children = []
        for digit in "0123456789abcdef":
            below, child = make_pages(prefix + digit)
            pages |= below
            children.append(child)
        page = InnerPage(tuple(children))
    pages[prefix] = encode_page(page)
    assert decode_page(pages[prefix], prefix) == page
    return pages, subtree_of(page, prefix)


PAGES, TOP = make_pages()
SPARSE = SparseMap()
SPARSE.update(ROWS.items())


def test_the_root_is_that_of_the_map() -> None:
    assert Subtree(SPARSE.root(), 2) == TOP


def test_proofs_are_those_of_the_map_for_keys_that_are_there_and_for_others() -> None:
    for key in [*KEYS, *[f"acct:absent-{number}" for number in range(300)]]:
        proof = prove_in_pages(key_position(key), PAGES.get, TOP.node)
        check_map_proof(key, proof, ROWS.get(key), TOP.node)
        assert proof == SPARSE.prove(key)


def test_nothing_is_in_the_empty_map_and_one_leaf_is_met_from_anywhere() -> None:
    proof = prove_in_pages(key_position("acct:0"), lambda prefix: None, EMPTY_NODE)
    check_map_proof("acct:0", proof, None, EMPTY_NODE)
    lone = Bucket((LEAVES[0],))
    root = subtree_of(lone, "").node
    for key in KEYS[:20]:
        met = prove_in_pages(key_position(key), {"": encode_page(lone)}.get, root)
        check_map_proof(key, met, ROWS[key] if key_position(key) == LEAVES[0].position else None, root)


def test_a_page_that_is_missing_or_changed_on_the_way_ends_in_a_proof_error() -> None:
    for key in KEYS[:20]:
        way = [prefix for prefix in PAGES if key_position(key).hex().startswith(prefix)]
        assert len(way) > 1
        for prefix in way:
            data = PAGES[prefix]
            for changed in (
                None,
                b"",
                data[:-1],
                data + bytes(64),
                bytes(len(data)),
                data[:40] + bytes([data[40] ^ 1]) + data[41:],
                data[:-1] + bytes([data[-1] ^ 1]),
                PAGES[way[0] if prefix != way[0] else way[1]],
            ):
                pages: dict[str, bytes | None] = {**PAGES, prefix: changed}
                with pytest.raises(ProofError):
                    prove_in_pages(key_position(key), pages.get, TOP.node)


@pytest.mark.parametrize(
    ("data", "prefix"),
    [
        (b"", ""),
        (bytes(63), ""),
        (bytes(INNER_BYTES - 1), ""),
        (b"\x80\x00" + bytes(INNER_BYTES - 2), ""),
        (LEAVES[1].position + bytes(32) + LEAVES[0].position + bytes(32), ""),
        ((LEAVES[0].position + bytes(32)) * 2, ""),
        (b"\xff" * 64, "a"),
    ],
)
def test_bytes_that_are_no_page_are_a_format_error(data: bytes, prefix: str) -> None:
    with pytest.raises(FormatError):
        decode_page(data, prefix)
