"""Whole columns of entries against the core's codec, entry by entry: the same entries, members, keys, rows and uids.

The matcher of layouts is asked with the least group of all, so that nearly every entry goes through columns, and also with
hashes that tell nothing apart: then only the comparison of bytes stands between a forged entry and a group.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.core import canonical
from ledger.core.entries import Decoded, decode_entry
from ledger.core.index import index_keys, key_position
from ledger.engines.chunk import ChunkWorker, ScanJob
from ledger.engines.files import map_table, read_state, read_uids
from ledger.engines.groups import Group
from ledger.engines.key_files import SHARDS, read_keys
from ledger.engines.keys import KeyColumns
from ledger.engines.recurring import Noted, Notes
from ledger.engines.scan import ChunkScan, ChunkScanner
from ledger.engines.text_hash import TEXT_BYTES_MAX, TextHash, tag_words
from ledger.ports import Block
from tests.support.builders import tag
from tests.support.forged_logs import MemoryLog
from tests.support.odd_entries import (
    GOOD,
    alike,
    entries_alike,
    entry_members,
    forged,
    outcome,
    sound_members,
)

SECRET = b"secret of a test"
ALL_ALONE = 10**6


def scan_twice(entries: list[bytes], collide: bool) -> tuple[ChunkScan, Notes]:
    """``entries`` scanned as columns, by a scanner that has met the same ones before in another order."""
    notes = Notes(0)
    scanner = ChunkScanner(notes, 1)
    if collide:
        scanner._matcher._odd = np.zeros_like(scanner._matcher._odd)
    scanner.scan(0, [Block(0, entries[::-1])])
    return scanner.scan(0, [Block(0, entries)]), notes


def grouped(scan: ChunkScan) -> list[tuple[Group, int, Decoded]]:
    """Every row of every group: the group, the row, and the entry as the core decodes it."""
    return [
        (group, row, decode_entry(scan.cut.entry(place)))
        for group in scan.groups
        for row, place in enumerate(group.places.tolist())
    ]


@settings(max_examples=150)
@given(entries_alike(), st.booleans())
def test_every_entry_is_in_one_group_or_alone_and_none_that_the_core_refuses_or_does_not_know_in_a_group(
    entries: list[bytes], collide: bool
) -> None:
    scan, _ = scan_twice(entries, collide)
    in_groups = [place for group in scan.groups for place in group.places.tolist()]
    assert sorted([*in_groups, *scan.typed]) == list(range(len(entries)))
    decoded = [outcome(decode_entry, data) for data in entries]
    refused = {place for place, each in enumerate(decoded) if each == "refused"}
    assert refused == {place for place, entry in scan.typed.items() if entry is None}
    assert all(decoded[place].known and not decoded[place].unknown for place in in_groups)


@settings(max_examples=60)
@given(entries_alike(), st.booleans())
def test_numbers_texts_and_tags_of_a_group_are_those_that_the_core_decodes(
    entries: list[bytes], collide: bool
) -> None:
    scan, _ = scan_twice(entries, collide)
    for group, row, decoded in grouped(scan):
        members: dict[str, Any] = dict(decoded.members)
        assert group.layout.kind == members["kind"]
        assert group.layout.members.keys() == members.keys()
        for name, value in members.items():
            if name in group.layout.number_columns:
                assert group.number(name)[row] == value
            elif isinstance(value, str):
                assert group.text(name)[row].tobytes() == value.encode()
        if "account" in members:
            assert words_at(group.tag("account"), row) == tag_words(members["account"])
        spans = group.layout.tag_lists.get("subjects", [])
        tags = [words_at(group.tag_at(span), row) for span in spans]
        assert tags == [tag_words(each) for each in members.get("subjects", [])]


def words_at(words: Any, row: int) -> tuple[int, int]:
    high, low = words
    return int(high[row]), int(low[row])


@settings(max_examples=60)
@given(entries_alike(), st.booleans())
def test_what_is_noted_of_a_group_is_what_is_noted_of_each_of_its_entries(
    entries: list[bytes], collide: bool
) -> None:
    scan, notes = scan_twice(entries, collide)
    apart = Notes(0)
    numbers: dict[Any, int] = {}
    told = [
        (group.values.noted[group.which[row]], apart.note(decoded.entry))
        for group, row, decoded in grouped(scan)
    ]
    names, names_apart = names_of(notes), names_of(apart)
    for in_group, alone in told:
        assert named(in_group, names) == named(alone, names_apart)
    for (_, _, decoded), (in_group, _) in zip(grouped(scan), told, strict=True):
        developer = getattr(decoded.entry, "developer", None)
        assert numbers.setdefault(developer, in_group.developer) == in_group.developer
    assert len(set(numbers.values())) == len(numbers)


def names_of(notes: Notes) -> dict[int, Any]:
    return {-1: None} | {number: (kind, values) for number, kind, values in notes.take_fresh()}


def named(noted: Noted, names: dict[int, Any]) -> tuple[Any, ...]:
    """What is noted, with the values that stand behind the ids of routes and arrivals."""
    return noted.developers, names[noted.route], names[noted.arrival], noted.is_odd, noted.resolved


# --- Keys.


ODD_KEYS: list[dict[str, Any]] = [
    {"account": tag("ann"), "developer": "dev-a"},
    {"account": tag("ann"), "developer": "x:dev-a"},
    {"account": tag("ann") + ":x", "developer": "dev-a"},
    {"account": tag("ann").upper(), "developer": ""},
    {"account": "", "developer": tag("ann")},
    {"account": ":", "developer": ":"},
    {"account": "z" * 400, "developer": "y" * 400, "subjects": ["z" * 400, "z" * 401]},
    {"account": 7, "developer": [], "subjects": [tag("bob"), tag("bob"), tag("bob") + "0", 1, ""]},
    {"processor": "dev-a", "previous_developer": "dev-b", "received_by": {"developer": "dev-a"}},
    {"received_by": {"developer": tag("ann")}, "account": "a_", "subjects": {"x": "y"}},
]


def positions_of(entries: list[bytes], group_entries: int) -> list[set[bytes]]:
    """The map positions of the keys that columns find for each entry."""
    scan = ChunkScanner(Notes(0), group_entries).scan(0, [Block(0, entries)])
    found = KeyColumns.under(SECRET).find(scan)
    count = len(found.fresh_ids)
    each = [found.fresh_positions[32 * number : 32 * number + 32] for number in range(count)]
    position_of = dict(zip(found.fresh_ids.tolist(), each, strict=True))
    positions: list[set[bytes]] = [set() for _ in entries]
    for shard, (places, ids) in enumerate(found.shards):
        pairs = list(zip(np.asarray(places).tolist(), np.asarray(ids).tolist(), strict=True))
        assert len(set(pairs)) == len(pairs), "a key stands once for an entry"
        assert [place for place, _ in pairs] == sorted(place for place, _ in pairs)
        for place, number in pairs:
            assert position_of[number][0] >> 7 == shard
            positions[place].add(position_of[number])
    return positions


def core_positions(data: bytes) -> set[bytes]:
    members = outcome(canonical.decode, data)
    return set() if members == "refused" else {key_position(key) for key in index_keys(members)}


@settings(max_examples=80)
@given(st.lists(entry_members(), max_size=4), entries_alike())
@example(
    [GOOD | {"kind": "delivery.settled", "received_by": GOOD["received_by"] | {"developer": "dev-z"}}], []
)
@example([GOOD | {"kind": "grant.amended", "previous_developer": "dev-a"}], [])
@example([GOOD | {"kind": "processor.declared", "processor": "dev-a"}], [])
@example([GOOD | {"kind": "weather.noted"} | odd for odd in ODD_KEYS], [])
@example([GOOD | {"kind": "delivery.imported"} | odd for odd in ODD_KEYS], [])
def test_every_entry_has_the_index_keys_of_the_core_whichever_way_it_was_read(
    stated: list[dict[str, Any]], alike: list[bytes]
) -> None:
    encoded = [outcome(canonical.encode, members) for members in stated]
    entries = alike + [data for data in encoded if data != "refused"]
    expected = [core_positions(data) for data in entries]
    for group_entries in (1, ALL_ALONE):
        assert positions_of(entries, group_entries) == expected


# --- Rows, and all else that a chunk gives.


@st.composite
def deliveries(draw: st.DrawFn) -> list[bytes]:
    """Deliveries of few names, most attempts settled at once, but repeated, reordered and contradicted as well."""
    dice = draw(st.randoms(use_true_random=False))
    made: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 6))):
        kind = dice.choice(("delivery.attempted", "delivery.attempted", "delivery.imported", "grant.revoked"))
        # Numbers that columns do not hold would pair repeated attempts in another way, which reports do not show.
        members = sound_members(kind, dice, digits_max=15)
        made.append(members | ({"attempt": 1} if "attempt" in members else {}))
        if kind == "delivery.attempted":
            made[-1] |= {"send_before": 900, "recorded_at": 5, "attempt": 1}
            settled = sound_members("delivery.settled", dice, digits_max=15) | {
                "started_at": dice.randint(4, 6)
            }
            shared = {name: made[-1][name] for name in settled if name in made[-1] and name in SHARED}
            made.append(settled | shared | {"recorded_at": 5})
    if made and dice.random() < 0.5:
        made.insert(dice.randrange(len(made)), made.pop(dice.randrange(len(made))))
    for place, members in enumerate(made):
        members["seq"] = place
        if "decided_at_size" in members:
            members["decided_at_size"] = place
    for _ in range(draw(st.integers(0, 3))):
        if made:
            place = dice.randrange(len(made))
            made[place] = dice.choice((alike, forged))(made[place], dice)
    return [canonical.encode(members) for members in made]


SHARED = frozenset({"delivery", "attempt", "account", "subjects", "developer"})


def chunk_of(entries: list[bytes], group_entries: int) -> dict[str, Any]:
    """All that a worker tells of one chunk, ids of routes and arrivals by what they stand for."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        job = ScanJob(MemoryLog(entries), scratch, True, True, SECRET, group_entries)
        result = ChunkWorker(job, 0).scan_chunk(0, len(entries))
        names = {number: (kind, values) for number, kind, values in result.recurring}
        rows = map_table(scratch, "rows", [0]).to_pylist()
        events = map_table(scratch, "events", [0]).to_pylist()
        keys = [read_keys(scratch, 0, shard) for shard in range(SHARDS)]
        return {
            "facts": result.facts,
            "rows": sorted(
                [row | {name: names.get(row[name]) for name in ("route", "arrival")} for row in rows],
                key=lambda row: row["attempt_seq"],
            ),
            "count": result.rows == len(rows),
            "events": sorted(tuple(event.values()) for event in events),
            "left over": sorted(result.left_over),
            "resolved": result.resolved,
            "state": read_state(scratch, 0),
            "uids": read_uids(scratch, 0).tolist(),
            "keys": [sorted(zip(each.places.tolist(), each.ids.tolist(), strict=True)) for each in keys],
        }


@settings(max_examples=80)
@given(deliveries() | entries_alike())
def test_a_chunk_gives_the_same_rows_and_facts_as_columns_and_one_by_one(entries: list[bytes]) -> None:
    assert chunk_of(entries, 1) == chunk_of(entries, ALL_ALONE)


# --- Hashes of texts.


@given(
    st.binary(min_size=16, max_size=16), st.lists(st.text("ab/9\x7f", max_size=TEXT_BYTES_MAX), min_size=1)
)
def test_a_text_has_one_hash_in_a_column_and_by_itself(secret: bytes, texts: list[str]) -> None:
    text_hash = TextHash(secret, "test")
    for text in texts:
        column = np.frombuffer((text + text).encode(), np.uint8).reshape(2, len(text))
        assert text_hash.of_columns(column).tolist() == [text_hash.of_text(text)] * 2


WORDS = st.integers(0, 2**64 - 1)


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
def test_numbers_have_one_hash_in_columns_and_by_themselves(numbers: list[int], number: int) -> None:
    text_hash = TextHash(SECRET, "test")
    hashed = text_hash.of_numbers(*numbers)
    hashes = text_hash.of_words([np.array([each], np.uint64) for each in numbers])
    assert hashes.tolist() == [hashed]
    pair = text_hash.with_number(hashes, np.array([number], np.uint64))
    assert pair.tolist() == [text_hash.with_one_number(hashed, number)]


@pytest.mark.parametrize("seed", range(4))
def test_no_flipped_bits_make_two_texts_collide_under_most_secrets(seed: int) -> None:
    dice = random.Random(seed)
    secrets = [TextHash(dice.randbytes(16), "test") for _ in range(10)]
    high, low = dice.getrandbits(64), dice.getrandbits(64)
    for first in range(64):
        flips = [
            (1 << first, other) for other in (0, *(1 << bit | 1 << (bit - 32) % 64 for bit in range(64)))
        ]
        for one, two in flips:
            twins = [each.of_numbers(high, low) == each.of_numbers(high ^ one, low ^ two) for each in secrets]
            assert not any(twins)
