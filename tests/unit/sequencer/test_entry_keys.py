"""The keys that the sealer finds in an entry's bytes are those that the core finds in its members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core import canonical
from ledger.core.index import index_keys
from ledger.core.merkle import hash_leaf
from ledger.errors import ForkError
from ledger.ports import EntryStore, StoredEntry
from ledger.sequencer import entry_keys
from ledger.sequencer.entry_keys import EntryKeys
from ledger.sequencer.log_index import checked_rows


class Rows:
    """The part of an ``EntryStore`` that an index reads."""

    def __init__(self, *datas: bytes) -> None:
        self.rows = [StoredEntry(seq, f"u-{seq}", hash_leaf(data), data) for seq, data in enumerate(datas)]

    def fetch_range(self, start: int, end: int) -> Iterator[StoredEntry]:
        return iter(self.rows[start:end])


def store_of(*datas: bytes) -> EntryStore:
    return cast(EntryStore, Rows(*datas))


def keys_in(*datas: bytes) -> list[list[str]]:
    names: list[str] = []

    def number_of(key: str) -> int:
        if key not in names:
            names.append(key)
        return names.index(key)

    keys = EntryKeys(number_of)
    rows = list(checked_rows(store_of(*datas), 0, len(datas)))
    return [sorted(names[number] for number in keys.find(row)) for row in rows]


names = st.sampled_from(["a", "b", "c", ""])
odd: st.SearchStrategy[Any] = st.sampled_from([None, 5, True, [], {}, ["a"], {"developer": "a"}])
often_names = st.one_of(names, names, names, odd)
receivers = st.one_of(
    st.fixed_dictionaries({}, optional={"developer": often_names, "app": often_names}), often_names
)
subjects = st.one_of(st.lists(names, max_size=3), st.lists(often_names, max_size=3), odd)
members_of_entries = st.fixed_dictionaries(
    {},
    optional={
        "account": often_names,
        "developer": often_names,
        "previous_developer": often_names,
        "processor": often_names,
        "received_by": receivers,
        "subjects": subjects,
        "kind": names,
    },
)


@given(st.lists(members_of_entries, max_size=8))
def test_the_keys_of_an_entrys_bytes_are_those_of_its_members(entries: list[dict[str, Any]]) -> None:
    # As JSON of any form: the database may hold bytes that no entry has.
    datas = [json.dumps(entry).encode() for entry in entries]
    assert keys_in(*datas) == [index_keys(entry) for entry in entries]


def test_pairs_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_keys, "PAIRS_REMEMBERED_MAX", 2)
    entries: list[dict[str, canonical.JsonValue]] = [
        {"account": f"a{number % 4}", "developer": "d"} for number in range(12)
    ]
    assert keys_in(*map(canonical.encode, entries)) == [index_keys(entry) for entry in entries]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'"a"', b'{"account":"a"', b"{}x", b'{"account":"\xff"}', b'{"a":' + b"[" * 50_000]
)
def test_bytes_that_are_no_entry_end_in_a_fork_error(data: bytes) -> None:
    with pytest.raises(ForkError, match="entry 1 in the database is no entry"):
        keys_in(b"{}", data)


def test_an_entry_that_is_missing_is_a_fork_error() -> None:
    with pytest.raises(ForkError, match="entry 2 is missing"):
        list(checked_rows(store_of(b"{}", b"{}"), 0, 3))


def test_a_row_whose_leaf_hash_is_not_its_bytes_is_a_fork_error() -> None:
    rows = Rows(b"{}", b"{}")
    rows.rows[1] = rows.rows[1]._replace(data=b'{"account":"a"}')
    with pytest.raises(ForkError, match="entry 1 in the database is not what was appended"):
        list(checked_rows(cast(EntryStore, rows), 0, 2))
