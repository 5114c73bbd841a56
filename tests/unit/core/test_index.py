"""Index keys, key leaves and the hashes of a map leaf."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.core.index import (
    KEY_LEAF_BYTES,
    MAP_FN,
    KeyRow,
    encode_key_leaf,
    index_keys,
    key_leaf_hash,
    key_position,
    leaf_node,
    value_hash,
)

TAG = "a_" + "1" * 32
OTHER = "a_" + "2" * 32


def test_the_index_function_is_version_one() -> None:
    assert MAP_FN == 1
    assert type(MAP_FN) is int


def test_every_developer_member_gives_a_developer_and_a_pair_key() -> None:
    members = {
        "account": TAG,
        "developer": "dev-a",
        "previous_developer": "dev-b",
        "processor": "dev-c",
        "received_by": {"developer": "dev-d"},
    }
    assert index_keys(members) == [
        f"acct:{TAG}",
        *[f"dev:dev-{letter}" for letter in "abcd"],
        *[f"pair:{TAG}:dev-{letter}" for letter in "abcd"],
    ]


def test_subjects_give_no_pair_keys() -> None:
    assert index_keys({"subjects": [OTHER, TAG], "developer": "d"}) == [
        "dev:d",
        f"subj:{TAG}",
        f"subj:{OTHER}",
    ]


def test_a_repeated_subject_gives_its_key_once() -> None:
    assert index_keys({"subjects": [TAG, TAG]}) == [f"subj:{TAG}"]


def test_only_the_strings_among_subjects_give_keys() -> None:
    assert index_keys({"subjects": [7, TAG, [OTHER], {"a": OTHER}, True]}) == [f"subj:{TAG}"]


@pytest.mark.parametrize("subjects", ["x", {TAG: 1}, 5, True])
def test_subjects_that_are_no_list_give_no_keys(subjects: object) -> None:
    assert index_keys({"subjects": subjects}) == []


@pytest.mark.parametrize("received_by", ["dev-z", ["developer"], {"developer": 3}, {"app": "x"}, 1])
def test_a_receiver_that_names_no_developer_gives_no_keys(received_by: object) -> None:
    assert index_keys({"account": TAG, "received_by": received_by}) == [f"acct:{TAG}"]


def test_an_ill_typed_account_gives_neither_account_nor_pair_keys() -> None:
    assert index_keys({"account": 7, "developer": "dev-a"}) == ["dev:dev-a"]


def test_an_empty_string_is_a_string() -> None:
    assert index_keys({"account": "", "developer": ""}) == ["acct:", "dev:", "pair::"]


def test_keys_are_in_byte_order_and_not_in_dictionary_order() -> None:
    assert index_keys({"developer": "b", "previous_developer": "A", "processor": "a-1"}) == [
        "dev:A",
        "dev:a-1",
        "dev:b",
    ]


def test_a_key_leaf_is_the_big_endian_seq_and_the_leaf_hash() -> None:
    leaf = encode_key_leaf(0x0102030405060708, b"\xaa" * 32)
    assert leaf == bytes(range(1, 9)) + b"\xaa" * 32
    assert len(leaf) == KEY_LEAF_BYTES


def test_a_key_leaf_is_hashed_as_in_rfc_6962() -> None:
    assert key_leaf_hash(9, b"\xbb" * 32) == sha256(b"\x00" + bytes(7) + b"\x09" + b"\xbb" * 32).digest()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_leaf_hash_of_another_size_is_a_mistake_of_the_caller(size: int) -> None:
    with pytest.raises(AssertionError, match="32 bytes"):
        encode_key_leaf(0, bytes(size))


def test_a_key_root_of_another_size_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="32 bytes"):
        value_hash(KeyRow(1, 0, bytes(31)))


def test_position_value_and_leaf_are_hashed_under_names_of_their_own() -> None:
    position = sha256(b"gl/map/key/v1" + b"\x00" + b"dev:dev-a").digest()
    row = sha256(
        b"gl/map/value/v1" + b"\x00" + (3).to_bytes(8, "big") + (10).to_bytes(8, "big") + b"\xcc" * 32
    )
    assert key_position("dev:dev-a") == position
    assert value_hash(KeyRow(3, 10, b"\xcc" * 32)) == row.digest()
    assert (
        leaf_node(position, row.digest())
        == sha256(b"gl/map/leaf/v1" + b"\x00" + position + row.digest()).digest()
    )
