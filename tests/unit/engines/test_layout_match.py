"""Entries alike are looked at together, each as it is; whatever differs is left to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ledger.core import canonical
from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.engines import layout_match
from ledger.engines.chunk_bytes import ChunkBytes
from ledger.engines.groups import Group
from ledger.engines.known import KnownDecoder
from ledger.engines.layout_match import LayoutMatcher
from ledger.engines.text_hash import tag_words
from tests.support.builders import tag
from tests.support.odd_entries import GOOD

COMMON = ("v", "seq", "prev", "uid", "recorded_at", "at", "actor", "via")


def encode(kind: str, *names: str, **members: Any) -> bytes:
    return canonical.encode({name: GOOD[name] for name in (*COMMON, *names)} | {"kind": kind} | members)


def suspended(**members: Any) -> bytes:
    return encode("app.suspended", "app", "developer", **members)


class Matching:
    """A matcher that notes developers, and counts what it decodes."""

    def __init__(self, rows_min: int = 1, collide: bool = False) -> None:
        self._decoder = KnownDecoder()
        self.decoded = 0
        self.matcher = LayoutMatcher(
            self._decode, lambda entry: getattr(entry, "developer", None) or "", rows_min
        )
        if collide:
            self.matcher._odd = np.zeros_like(self.matcher._odd)

    def _decode(self, data: bytes) -> Any:
        self.decoded += 1
        return self._decoder.decode(data)

    def match(self, data: Sequence[bytes]) -> tuple[list[Group], list[int]]:
        groups, left = self.matcher.match(ChunkBytes.of(data))
        return groups, left.tolist()


def match(data: Sequence[bytes], rows_min: int = 1) -> tuple[list[Group], list[int]]:
    return Matching(rows_min).match(data)


def noted(group: Group) -> list[str]:
    return [group.values.noted[number] for number in group.which]


def places(groups: Sequence[Group]) -> list[list[int]]:
    return sorted(group.places.tolist() for group in groups)


def test_entries_alike_are_one_group_with_the_values_of_each() -> None:
    data = [suspended(seq=seq, developer=f"dev-{seq % 2}", uid=f"x/{seq}") for seq in range(1, 5)]
    (group,), left = match(data)
    assert (group.places.tolist(), left) == ([0, 1, 2, 3], [])
    assert group.number("seq").tolist() == [1, 2, 3, 4]
    assert [row.tobytes() for row in group.text("uid")] == [b"x/1", b"x/2", b"x/3", b"x/4"]
    assert noted(group) == ["dev-1", "dev-0", "dev-1", "dev-0"]


def test_tags_are_read_as_their_128_bits() -> None:
    data = [encode("account.suspended", account=tag(name)) for name in ("ann", "bob")]
    (group,), _ = match(data)
    assert [tuple(map(int, words)) for words in zip(*group.tag("account"), strict=True)] == [
        tag_words(tag("ann")),
        tag_words(tag("bob")),
    ]


def test_fewer_entries_than_are_worth_a_group_are_left_over() -> None:
    data = [suspended(seq=seq) for seq in range(3)]
    assert match(data, rows_min=4) == ([], [0, 1, 2])


def test_no_entries_are_no_groups() -> None:
    assert match([]) == ([], [])


def test_kinds_as_long_as_each_other_are_groups_of_their_own() -> None:
    members = ("grant", "account", "developer")
    data = [encode(kind, *members) for kind in ("grant.resumed", "grant.revoked") * 2]
    groups, left = match(data)
    assert (places(groups), left) == ([[0, 2], [1, 3]], [])
    assert {group.layout.kind for group in groups} == {"grant.resumed", "grant.revoked"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"via": "fire"},
        {"actor": "test x"},
        {"uid": "x 1"},
        {"seq": True},
        {"prev": "g" + "0" * 63},
        {"app": "app a"},
        {"v": 2},
    ],
    ids=str,
)
def test_an_entry_with_a_wrong_value_is_left_over_and_its_neighbours_are_not(wrong: dict[str, Any]) -> None:
    data = [suspended(), suspended(**wrong), suspended(seq=7, developer="dev-b")]
    groups, left = match(data)
    assert left == [1]
    assert sorted(name for group in groups for name in noted(group)) == ["dev-a", "dev-b"]


def test_a_number_may_not_begin_with_zero_nor_hold_anything_but_digits() -> None:
    good = suspended(seq=10)
    data = [good, good.replace(b'"seq":10', b'"seq":01'), good.replace(b'"seq":10', b'"seq":1.')]
    groups, left = match(data)
    assert (places(groups), left) == ([[0]], [1, 2])


def test_a_count_may_be_zero_and_an_ordinal_may_not() -> None:
    members = ("map_size", "map_root", "map_fn")
    data = [encode("index.sealed", *members, **wrong) for wrong in ({}, {"map_size": 0}, {"map_fn": 0})]
    groups, left = match(data)
    assert (places(groups), left) == ([[0, 1]], [2])


def test_tags_out_of_order_or_doubled_are_left_over() -> None:
    first, second = sorted([tag("ann"), tag("bob")])
    members = ("delivery", "attempt", "by", "account", "developer", "started_at", "disclosure")
    lists = ([first, second], [second, first], [first, first])
    data = [encode("delivery.settled", *members, subjects=tags) for tags in lists]
    groups, left = match(data)
    assert (places(groups), left) == ([[0]], [1, 2])


@pytest.mark.parametrize(
    "data", [b"", b"{", b'"' * 300, bytes(300), b"\xff" * 300, b'{"kind":"app.suspended"}']
)
def test_bytes_that_are_no_entry_are_left_over(data: bytes) -> None:
    assert match([data, data, suspended()])[1] == [0, 1]


@pytest.mark.parametrize("length", [ENTRY_BYTES_MAX, ENTRY_BYTES_MAX + 1, 600_000])
def test_an_entry_of_the_greatest_length_is_matched_and_a_longer_one_is_left_over(length: int) -> None:
    short = encode("key.rotated", previous_vkey="", vkey="")
    long = short.replace(b'"vkey":""', b'"vkey":"' + b"x" * (length - len(short)) + b'"')
    groups, left = match([long, short, long])
    if length <= ENTRY_BYTES_MAX:
        assert (places(groups), left) == ([[0, 2], [1]], [])
    else:
        assert (places(groups), left) == ([[1]], [0, 2])


def test_what_recurs_is_decoded_once_for_its_layout_and_once_for_each_value() -> None:
    matching = Matching()
    data = [suspended(seq=seq % 10, developer=f"dev-{seq % 2}") for seq in range(100)]
    matching.match(data)
    assert matching.decoded == 3
    matching.match(data)
    assert matching.decoded == 3


def test_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_match, "LAYOUTS_MAX", 0)
    matching = Matching()
    data = [suspended(developer=f"dev-{number}") for number in range(5)]
    found = [places(matching.match(data)[0]) for _ in range(2)]
    assert found == [[[0, 1, 2, 3, 4]]] * 2


def test_a_member_that_stands_where_another_entry_has_text_is_no_text_though_hashes_collide() -> None:
    names = ("delivery", "attempt", "event", "event_type", "private", "channel", "account", "subjects", "endpoint",
             "started_at", "disclosure")  # fmt: skip
    without = encode("delivery.imported", *names, actor="test:xxxxxxxxxxx")
    with_app = encode("delivery.imported", *names, actor="test:x", app="x")
    assert len(with_app) == len(without)
    matching = Matching(collide=True)
    matching.match([without])
    (group,), _ = matching.match([with_app])
    assert group.layout.members.keys() == canonical.decode(with_app).keys()


def test_values_that_recur_are_told_apart_though_their_hashes_collide() -> None:
    data = [suspended(developer=f"dev-{number % 3}") for number in range(9)]
    groups, left = Matching(collide=True).match(data)
    found = {
        place: name
        for group in groups
        for place, name in zip(group.places.tolist(), noted(group), strict=True)
    }
    assert sorted([*found, *left]) == list(range(9))
    assert all(name == f"dev-{place % 3}" for place, name in found.items())
    assert found


def test_rows_of_any_width_can_be_cut_out_up_to_the_last_entry() -> None:
    chunk = ChunkBytes.of([b"abc", b"", b"defgh"])
    assert chunk.starts.tolist() == [0, 3, 3]
    assert [row.tobytes() for row in chunk.rows(chunk.starts, 3)] == [b"abc", b"def", b"def"]
    assert chunk.rows(np.array([3]), 8)[0].tobytes() == b"defgh\0\0\0"
    assert chunk.rows(chunk.starts, 0).shape == (3, 0)
