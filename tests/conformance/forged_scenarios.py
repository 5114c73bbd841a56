"""Logs forged against reading entries as whole columns, each with what the scalar rule says of it.

Entries that are nearly alike, bytes where none may be, numbers too long for a column, attempts told more than once, tags
that a bad hash could not tell apart. ``SCENARIOS`` are these and those of
:mod:`tests.conformance.engine_scenarios`.
"""

from __future__ import annotations

from typing import Any

from ledger.core.merkle import hash_leaf
from ledger.engines.text_hash import tag_words
from tests.conformance.engine_scenarios import CHUNK, SCENARIOS, Codes, begin, deliver, scenario
from tests.support.builders import Log, seen, tag
from tests.support.forged_logs import add_seal, encode_log, members_of, pad, tell_events_apart

__all__ = ["CHUNK", "SCENARIOS"]


def told_by_rescuer_and_transport(log: Log, between: int) -> None:
    """A delivery that the rescuer's settlement, which comes first, does not say went to wh-b; the transport's does."""
    log.issue()
    log.issue("h", developer="dev-b", app="app-b")
    log.imported("b-1", at=900, endpoint="wh-b", observed=seen("b.example"))
    attempted = log.attempt("a-1", at=1_000)
    log.settle(attempted, 1_000, by="rescuer", observed=None, disclosure="possible")
    pad(log, between)
    log.settle(attempted, 1_000, observed=seen("b.example"))


@scenario
def _a_copy_that_only_the_second_settlement_tells() -> tuple[list[bytes], Codes]:
    log = begin()
    told_by_rescuer_and_transport(log, 0)
    add_seal(log)
    return encode_log(log), {"DESTINATION_MISMATCH": 1}


@scenario
def _a_copy_that_only_a_settlement_in_another_chunk_tells() -> tuple[list[bytes], Codes]:
    log = begin()
    told_by_rescuer_and_transport(log, CHUNK)
    add_seal(log)
    return encode_log(log), {"DESTINATION_MISMATCH": 1}


def a_copy_and_its_neighbour(copy_is_forged: bool) -> tuple[list[bytes], Codes]:
    """Of three imports one is a copy of the first; the second and third state one seq."""
    log = begin()
    log.issue()
    told = [log.imported(f"d-{number}", at=900 + number, observed=seen()) for number in range(3)]
    add_seal(log)
    members = tell_events_apart(log)
    first, second, third = (members[entry.seq] for entry in told)
    (third if copy_is_forged else second)["event"] = first["event"]
    third["seq"] = second["seq"]
    return encode_log(members), {"DUPLICATE_DELIVERY": 1, "SEQ_DUPLICATE": 1, "SEQ_GAP": 1}


@scenario
def _a_clean_delivery_that_states_the_seq_of_a_copy() -> tuple[list[bytes], Codes]:
    return a_copy_and_its_neighbour(copy_is_forged=False)


@scenario
def _a_copy_that_states_the_seq_of_a_clean_delivery() -> tuple[list[bytes], Codes]:
    return a_copy_and_its_neighbour(copy_is_forged=True)


@scenario
def _tags_that_differ_in_two_bits_of_each_half() -> tuple[list[bytes], Codes]:
    log = begin()
    high, low = tag_words(tag("ann"))
    ann = high << 64 | low
    for flips in (1 << 127 | 1 << 63 | 1 << 31, 1 << 127, 1 << 64 | 1, 1 << 126 | 1 << 62 | 1 << 30):
        for account in (ann, ann ^ flips):
            log.add("account.registered", log.recorded_at, account=f"a_{account:032x}", identity="0" * 64)
    add_seal(log)
    return encode_log(log), {}


@scenario
def _entries_alike_with_one_wrong_value_each() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    people = sorted(tag(name) for name in ("bob", "cat"))
    for number in range(40):
        log.imported(f"d-{number + 10}", at=150)
    add_seal(log)
    members = [each | ({"subjects": people} if "event" in each else {}) for each in tell_events_apart(log)]
    place = next(number for number, each in enumerate(members) if each.get("delivery") == "d-10")
    wrong: list[dict[str, Any]] = [
        {"channel": "pusx"},
        {"subjects": people[::-1]},
        {"subjects": [people[0]] * 2},
        {"attempt": 0},
        {"account": tag("ann")[:-1] + "g"},
        {"event": "a_" + "0" * 32},
        {"uid": "delivery.imported/1 "},
        {"via": "fire"},
        {"disclosure": "confirmes"},
        {"v": 2},
        {"delivery": "d 10"},
    ]
    for number, each in enumerate(wrong):
        members[place + 2 * number] |= each
    return encode_log(members), {"ENTRY_MALFORMED": len(wrong)}


@scenario
def _bytes_that_are_no_entry_between_entries_alike() -> tuple[list[bytes], Codes]:
    log = begin()
    pad(log, 40)
    entries = encode_log(log)
    size = len(entries[-3])
    forged = [b"", b"{", bytes(size), b"\xff" * size, b'"' * size, b"{" * 600_000, b"0" * 65_536]
    forged.append(entries[-3].replace(b'"v":1', b'"v":"'))
    forged.append(entries[-3].replace(b'"at":1', b'"at":/'))
    forged.append(entries[-3][:-20] + b"\xc3\xbc" + entries[-3][-18:])
    for place, data in enumerate(forged):
        entries[2 * place + 10] = data
    for place in range(11, 30, 2):
        after = entries[place]
        start = after.index(b'"prev":"') + 8
        entries[place] = after[:start] + hash_leaf(entries[place - 1]).hex().encode() + after[start + 64 :]
    log_end = entries[: 2 * len(forged) + 10]
    return log_end, {"ENTRY_MALFORMED": len(forged)}


@scenario
def _numbers_too_long_for_a_column_between_short_ones() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    first = log.attempt("d-1", at=1_000)
    second = log.attempt("d-1", at=1_000)
    log.settle(second, 1_000)
    log.settle(log.attempt("d-2", at=1_001), at=10**15)
    add_seal(log)
    members = tell_events_apart(log)
    members[first.seq] |= {"body_bytes": 10**15, "grant_version": 2**53 - 1}
    members[-3] |= {"attempt": 10**15}
    members[-2] |= {"attempt": 10**15}
    return encode_log(members), {"ATTEMPT_UNSETTLED": 1}


@scenario
def _members_of_unknown_kinds_that_look_like_keys_of_others() -> tuple[list[bytes], Codes]:
    log = begin()
    pad(log, 12)
    add_seal(log)
    members = members_of(log)
    odd: list[dict[str, Any]] = [
        {"account": tag("ann"), "developer": "x:dev-a"},
        {"account": tag("ann") + ":x", "developer": "dev-a"},
        {"account": tag("ann").upper(), "developer": ""},
        {"account": ":", "developer": ":", "subjects": ["", ":", tag("bob") + "0", tag("bob"), tag("bob")]},
        {"account": "z" * 400, "developer": "y" * 400, "subjects": ["z" * 320, "z" * 321, "z" * 400]},
        {"account": tag("ann"), "processor": "dev-a", "received_by": {"developer": "dev-b"}},
    ]
    for number, each in enumerate(odd):
        members[-4 - number] |= {"kind": "weather.noted"} | each
    return encode_log(members), {"SCHEMA_UNKNOWN": len(odd)}


@scenario
def _settlements_too_early_too_often_and_of_others() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    for number in range(4):
        deliver(log, f"d-{number}", 1_000 + number)
    log.settle(log.entries[-2], 1_003, observed=seen("b.example"))
    add_seal(log)
    members = tell_events_apart(log)
    early, late = members[-7], members[-6]
    members[-7], members[-6] = late | {"seq": early["seq"]}, early | {"seq": late["seq"]}
    members[-4] |= {"subjects": [tag("bob")]}
    return encode_log(members), {"STALE_DECISION": 1, "ENTRY_MALFORMED": 1, "TIME_REGRESSION": 1}
