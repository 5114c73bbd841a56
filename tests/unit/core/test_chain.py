"""The hash chain."""

from __future__ import annotations

import hashlib

from ledger.core import chain
from ledger.core.merkle import root_of


def test_the_leaf_hash_is_sha_256_behind_a_zero_byte() -> None:
    assert chain.leaf_hash(b'{"n":0}') == hashlib.sha256(b'\x00{"n":0}').digest()


def test_the_leaf_hash_of_an_only_entry_is_the_root() -> None:
    assert root_of([chain.leaf_hash(b"{}")]) == chain.leaf_hash(b"{}")


def test_a_link_is_the_leaf_hash_before_in_hex() -> None:
    assert chain.link(chain.leaf_hash(b"{}")) == hashlib.sha256(b"\x00{}").hexdigest()


def test_the_first_entry_links_to_64_zeros() -> None:
    assert chain.link(None) == chain.ZERO_PREV == "0" * 64
