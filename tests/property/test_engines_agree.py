"""DuckDB against the scalar rule over random histories, and every quick way against the slow one it stands for.

Times are few, so that most instants are ties; names are few, so that everything meets everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core import canonical
from ledger.core.egress_counts import HOUR_MS
from ledger.core.entries import decode_entry, encode_entry
from ledger.core.entries.members import HASH_REGEX, UID_REGEX, Pattern
from ledger.core.strict import EVENT_TAG_REGEX, ID_REGEX, TAG_REGEX
from ledger.engines import pool
from ledger.engines.codec import MsgspecCodec
from ledger.engines.duck import DuckEngine
from ledger.engines.patterns import column_check
from ledger.engines.scalar import ScalarEngine
from ledger.engines.scan import GROUP_ENTRIES
from ledger.errors import FormatError, RejectedError
from tests.property.test_rule_properties import STEPS, TIMES
from tests.support import sourced_logs
from tests.support.builders import DM, LIKE, POST, Log, seen, tag
from tests.support.forged_logs import (
    Members,
    MemoryLog,
    add_seal,
    encode_log,
    members_of,
    open_log,
    pad,
    report_bytes,
    verify_source,
)
from tests.support.odd_entries import GOOD, MANGLES, entry_members, mangled, outcome
from tests.support.second_sources import DAY_MS, PROXY, add_count, add_receipt, plant, public_key, set_key

ENDPOINTS = ("wh-a", "wh-b", "wh-c")
HOSTS = ("shared.example", "c.example", "nobody.example")
OBSERVED = st.none() | st.one_of(
    st.sampled_from(HOSTS).map(seen),
    st.just({"host": "c.example", "sni": "shared.example", "path": "/hook"}),
    st.just({"peer_ip": "203.0.113.7"}),
)
SENT = {
    "delivery": st.integers(0, 3).map(lambda number: f"d-{number}"),
    "attempt": st.integers(1, 2),
    "account": st.sampled_from(("ann", "bob")),
    "endpoint": st.sampled_from(ENDPOINTS),
    "event_type": st.sampled_from((POST, POST, DM, LIKE, "poll_events")),
    "event": st.integers(0, 2),
    "observed": OBSERVED,
    "disclosure": st.sampled_from(("confirmed", "confirmed", "possible", "none")),
}
IMPORTS = st.fixed_dictionaries(
    SENT
    | {
        "via": st.sampled_from(("file", "file", "api")),
        "app": st.none() | st.sampled_from(("app-a", "app-b")),
        "resolved_ip": st.none() | st.just("203.0.113.7"),
    }
)
RECEIPTS = st.sampled_from(
    (None, "right", "right", "right", "other", "plain", "tags", "signature", "leaf", "place", "half", "thief")
)
ATTEMPTS = st.fixed_dictionaries(
    SENT
    | {
        "developer": st.sampled_from(("dev-a", "dev-b")),
        "app": st.sampled_from(("app-a", "app-b")),
        "delay": st.sampled_from((0, 0, 1, 1_000)),
        "by": st.sampled_from(("transport", "transport", "rescuer")),
        "split": st.booleans(),
        "settlements": st.sampled_from((0, 1, 1, 1, 2)),
        "again": st.sampled_from(({"by": "rescuer"}, {"by": "transport", "observed": seen(HOSTS[1])})),
        "decided_at_size": st.none() | st.integers(0, 10),
        "receipt": RECEIPTS,
    }
)
DELIVERIES = st.lists(st.tuples(TIMES, IMPORTS | ATTEMPTS), max_size=10)
LATENESS = st.lists(st.sampled_from((0, 0, 3, 6_000)), min_size=14, max_size=14)
MIXES = st.randoms(use_true_random=False)


def build(
    steps: list[tuple[int, tuple[str, dict[str, Any]]]],
    deliveries: list[tuple[int, dict[str, Any]]],
    lateness: list[int],
    mix: Any,
    sources: Sequence[tuple[str, Any]] = (),
) -> list[Members]:
    """A log of all of them in some order, without the events that a ledger refuses."""
    log = open_log()
    for letter in "abc":
        log.app(f"app-{letter}", f"dev-{letter}")
        host = "c" if letter == "c" else "shared"
        log.endpoint(f"wh-{letter}", f"app-{letter}", f"https://{host}.example/hook")
        log.add("endpoint.verified", 1, endpoint=f"wh-{letter}")
    for developer in mix.choice(((), ("dev-a",), ("dev-a", "dev-b"))):
        set_key(log, developer)
    log.issue("g-0", at=0, scopes=["all"])
    acts: list[tuple[str, Any]] = [("step", step) for step in zip(steps, lateness, strict=False)]
    acts += [("delivery", delivery) for delivery in deliveries]
    acts += [("source", source) for source in sources]
    mix.shuffle(acts)
    events: dict[int, str] = {}
    for what, act in acts:
        with suppress(RejectedError):
            if what == "step":
                (at, (kind, members)), late = act
                via = "api" if late else "file"
                log.add(kind, at, via=via, recorded_at=at + late if late else None, **members)
            elif what == "source":
                sourced_logs.act(log, *act)
            else:
                started_at, sent = act
                deliver(log, started_at, sent, events)
    if mix.random() < 0.5:
        log.add("developer.registered", log.recorded_at + 70_000, developer="dev-z")
    if mix.random() < 0.5:
        log.add("developer.registered", log.recorded_at + DAY_MS, developer="dev-y")
    if mix.random() < 0.2:
        seen_by = mix.choice((None, "dev-a", "dev-b"))
        opened = plant(log, "c-1", "ann", "dev-a") | {"seen_in": "report", "seen_by": seen_by}
        log.add(
            "canary.seen", log.recorded_at, forced=True, **(opened | mix.choice(({}, {"salt": "3" * 64})))
        )
    if mix.random() < 0.3:
        log.add("egress.key_set", log.recorded_at, proxy=PROXY, key=public_key(mix.choice((PROXY, "thief"))))
        for sni in mix.sample((*HOSTS, None), 3):
            named = {"sni": sni} if sni else {"names": 2}
            add_count(log, hour=0, bytes_up=mix.choice((0, 300, 90_000)), **named)
        log.add("developer.registered", log.recorded_at + 3 * HOUR_MS, developer="dev-x")
    add_seal(log)
    return [each | ({"event": events[each["seq"]]} if "event" in each else {}) for each in members_of(log)]


def deliver(log: Log, at: int, sent: dict[str, Any], events: dict[int, str]) -> None:
    stated = {name: value for name, value in sent.items() if name != "event"}
    event = "e_" + tag(f"event {sent['event']}")[2:]
    if "delay" not in sent:
        events[log.size] = event
        log.imported(stated.pop("delivery"), at=at, **stated)
        if at % 3 == 0:
            add_receipt(log, "dev-a", delivery=sent["delivery"], forced=True)
        return
    ended = {name: stated.pop(name) for name in ("observed", "disclosure", "by")}
    delay, split, settlements, again = (
        stated.pop(name) for name in ("delay", "split", "settlements", "again")
    )
    events[log.size] = event
    receipt = stated.pop("receipt")
    attempted = log.attempt(stated.pop("delivery"), at=max(at, log.recorded_at), **stated)
    if split:
        pad(log, 256)
    for number in range(settlements):
        log.settle(attempted, attempted.recorded_at + delay, **(ended if number == 0 else ended | again))
    confirm(log, attempted, receipt)


def confirm(log: Log, attempted: Any, how: str | None) -> None:
    """A receipt for an attempt, right or wrong in some way."""
    if how is None:
        return
    developer = "dev-b" if how == "other" else attempted.developer
    wrong: dict[str, Any] = {
        "tags": {"account": tag("eve")},
        "signature": {"signature": "1" * 128},
        "leaf": {"promised_leaf": "2" * 64},
        "place": {"promised_seq": attempted.seq - 1},
        "half": {"promised_leaf": None},
        "thief": {"signer": "thief"},
    }.get(how, {})
    if how == "plain":
        add_receipt(log, developer, delivery=attempted.delivery, forced=True)
    else:
        add_receipt(log, developer, attempted, forced=True, **wrong)


GROUPS = st.sampled_from((1, 1, GROUP_ENTRIES))
"""The least group of entries that is read as columns: nearly all of them, or as it is by default nearly none."""


def reports_of(entries: list[bytes], group_entries: int) -> tuple[bytes, bytes]:
    """What both engines report, DuckDB in chunks as small as can be."""
    with patch.object(pool, "CHUNK_ENTRIES", 256):
        made = [
            report_bytes(verify_source(MemoryLog(entries), engine, with_index=False).report)
            for engine in (ScalarEngine(), DuckEngine(1, group_entries))
        ]
    return made[0], made[1]


@settings(max_examples=30)
@given(STEPS, DELIVERIES, LATENESS, MIXES, GROUPS, st.just([]) | sourced_logs.ACTS)
def test_duckdb_judges_every_random_history_as_the_scalar_rule_does(
    steps: Any, deliveries: Any, lateness: Any, mix: Any, group_entries: int, sources: Any
) -> None:
    scalar, duckdb = reports_of(encode_log(build(steps, deliveries, lateness, mix, sources)), group_entries)
    assert duckdb == scalar


FORGED = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(
            (
                "seq",
                "uid",
                "kind",
                "recorded_at",
                "at",
                "account",
                "delivery",
                "event",
                "grant",
                "endpoint",
                "developer",
                "app",
                "url",
                "scopes",
                "subjects",
                "received_by",
                "observed",
                "started_at",
                "decided_at_size",
                "send_before",
                "map_size",
                "via",
                "processor",
                "until",
                "expires_at",
                "previous_developer",
                "replay",
                "by",
                "disclosure",
                "promised_seq",
                "promised_leaf",
                "attempt",
                "key",
                "signature",
                "canary",
            )
        ),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=30)
@given(STEPS, DELIVERIES, LATENESS, MIXES, FORGED, GROUPS)
def test_engines_agree_and_survive_whatever_members_are_forged(
    steps: Any, deliveries: Any, lateness: Any, mix: Any, forged: Any, group_entries: int
) -> None:
    members = build(steps, deliveries, lateness, mix)
    for place, name, source in forged:
        values = [each[name] for each in members if name in each]
        if values:
            members[place % len(members)][name] = values[source % len(values)]
    scalar, duckdb = reports_of(encode_log(members), group_entries)
    assert duckdb == scalar


# --- The codec.


CODEC = MsgspecCodec()


@settings(max_examples=600)
@given(entry_members())
def test_the_quick_codec_encodes_what_the_core_encodes_and_refuses_the_rest(members: Any) -> None:
    assert outcome(CODEC.encode, members) == outcome(encode_entry, members)


def plain(entry: Any) -> dict[str, Any]:
    """The members of an entry of either sort, structs and dataclasses made equal."""
    names = getattr(entry, "__struct_fields__", None) or entry.__dataclass_fields__
    values = {name: getattr(entry, name) for name in names} | {"kind": entry.kind}
    return {name: plain_nested(value) for name, value in values.items() if value is not None}


def plain_nested(value: Any) -> Any:
    names = getattr(value, "__struct_fields__", None) or getattr(value, "__dataclass_fields__", None)
    return {name: getattr(value, name) for name in names} if names else value


@settings(max_examples=600)
@given(entry_members(), MANGLES)
def test_the_quick_codec_decodes_mangled_bytes_exactly_where_the_core_does(
    members: Any, mangles: Any
) -> None:
    try:
        data = canonical.encode(members)
    except FormatError:
        data = canonical.encode(GOOD | {"kind": "delivery.imported"})
    data = mangled(data, mangles)
    quick, slow = outcome(CODEC.decode, data), outcome(decode_entry, data)
    if slow == "refused":
        assert quick == "refused"
    else:
        assert plain(quick) == plain(slow.entry)


# --- Columns.


REGEXES = (ID_REGEX, UID_REGEX, TAG_REGEX, EVENT_TAG_REGEX, HASH_REGEX)
RIGHT = ("x", "0" * 64, "f" * 64, "a_" + "0" * 32, "e_" + "b" * 32, "a/b:c", "-._", "z" * 320)
WRONG = (
    "", "\n", "x\n", "\nx", "x\ny", "0" * 63, "0" * 65, "F" * 64, "a_" + "0" * 31, "a_" + "0" * 33, "b_" + "0" * 32,
    "_a" + "0" * 32, "a_" + "0" * 31 + "_", "a_" + "0" * 31 + "g", "a_" + "0" * 31 + "\n", "0" * 32 + "a_", "é",
    "\u0660" * 64, "x" * 321, "x y", 'x"', "a_" + "0" * 31 + "\u0660", "0" * 31 + "\n" + "a_" + "0" * 32, "?" * 64,
    "a?" + "0" * 32, "\ud800", "\uff10" * 64, "0" * 63 + "\n",
)  # fmt: skip


@pytest.mark.parametrize("regex", REGEXES)
@given(values=st.lists(st.sampled_from(RIGHT + WRONG) | st.text(max_size=70), min_size=1, max_size=6))
def test_a_column_passes_exactly_when_each_of_its_values_matches(regex: str, values: list[str]) -> None:
    match = re.compile(regex, re.ASCII).fullmatch
    assert column_check(Pattern(regex, ""))(values) == all(match(value) for value in values)


@pytest.mark.parametrize("regex", REGEXES)
def test_no_pair_of_values_passes_together_that_does_not_pass_alone(regex: str) -> None:
    check, match = column_check(Pattern(regex, "")), re.compile(regex, re.ASCII).fullmatch
    for left in RIGHT + WRONG:
        for right in RIGHT + WRONG:
            assert check([left, right]) == bool(match(left) and match(right)), (left, right)
