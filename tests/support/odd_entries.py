"""Hypothesis strategies for entries that are good but for a few members, bytes that are mangled, and entries all alike.

What a fast way of reading entries may get wrong: a value of another type, a byte more or less, another entry's bytes in
the middle, a number at the edge of what a column holds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from ledger.core import canonical
from ledger.core.entries import KINDS, Entry
from ledger.core.entries.codec import rules_of
from ledger.errors import FormatError
from tests.support.builders import tag

IDS = st.sampled_from(["x", "a.b-c_D", "0" * 64, "0" * 65, "", "x y", "x\n", "ü", 'x"', "x\\", "x/y", "x:y"])
TAGS = st.sampled_from(
    [tag("ann"), tag("bob"), tag("ann").upper(), "a_" + "0" * 31, "a_" + "0" * 33, "e_" + "0" * 32]
)
ODD = st.one_of(
    IDS,
    TAGS,
    st.integers(-1, 3),
    st.sampled_from(
        [2**53 - 1, 2**53, -(2**53), True, False, None, 1.0, 1e300, [], {}, "0" * 64, "f" * 64, "F" * 64]
    ),
    st.sampled_from([tag("ann") + ":dev-a", "x:y:z", ":", "y" * 400, 10**14, 10**15 - 1, 10**15]),
    st.lists(TAGS, max_size=3),
    st.dictionaries(st.sampled_from(["host", "port", "developer", "zzz"]), IDS | st.integers(), max_size=3),
    st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner, max_size=2), max_leaves=5),
)
GOOD: dict[str, Any] = {
    "v": 1, "seq": 5, "prev": "0" * 64, "uid": "x/1", "recorded_at": 7, "at": 6, "actor": "test:x", "via": "file",
    "delivery": "d-1", "attempt": 1, "event": "e_" + "0" * 32, "event_type": "posts", "private": False,
    "channel": "push", "account": tag("ann"), "subjects": sorted([tag("bob"), tag("cat")]), "developer": "dev-a",
    "app": "app-a", "environment": "prod", "endpoint": "wh-a", "grant": "g", "grant_version": 1,
    "decided_at_size": 5, "send_before": 8, "payload": "0" * 64, "body_bytes": 256, "by": "transport",
    "started_at": 7, "disclosure": "confirmed", "reason": "r", "replay": "r", "from_at": 1, "to_at": 2,
    "scopes": ["likes", "posts"], "subscription": "s", "processor": "dev-b", "url": "https://a.example/",
    "identity": "1" * 64, "origin": "o", "vkey": "v", "previous_vkey": "w", "rule_set": "rules-1", "map_fn": 1,
    "map_size": 3, "map_root": "2" * 64, "evidence": {"method": "click"}, "observed": {"host": "h", "port": 443},
    "received_by": {"developer": "dev-a", "app": "app-a", "environment": "prod", "endpoint": "wh-a"},
    "status": 200, "expires_at": 9, "addresses": ["192.0.2.1"], "latency_ms": 3, "spki_sha256": "3" * 64,
    "host": "a.example", "received_at": 8, "promised_seq": 4, "promised_leaf": "4" * 64, "promise": "5" * 128,
    "key": "6" * 64, "signature": "7" * 128, "purpose": "receipts", "proxy": "egress-1", "sni": "a.example", "names": 1,
    "connections": 2, "bytes_up": 512, "bytes_down": 64, "canary": "c-1", "commitment": "8" * 64, "marker": "9" * 64,
    "salt": "a" * 64, "seen_in": "report", "seen_by": "dev-b", "evidence_given": "b" * 64,
    "code": "NO_GRANT", "severity": "X", "tree_size": 9, "incident": "i-1", "obligation": "o-1", "cause": "misrouted",
    "revision": 1, "root": "c" * 64, "rule_set_sha256": "d" * 64, "query": "e" * 64, "findings": 3,
    "findings_root": "f" * 64, "window_from": 1, "window_to": 2, "accounts_definite": 1, "accounts_possible": 2,
    "others_definite": 3, "others_possible": 4, "deliveries": 5, "copies": 6, "active_accounts": 7,
    "incident_status": "halted", "moment": "triage", "field": "title", "text": "0" * 64, "decision": "d-1",
    "number": 1, "text_sha256": "1" * 64, "jurisdiction": "gdpr", "notification": "first", "document": "2" * 64,
    "notice": "n-1", "medium": "inbox", "list_root": "3" * 64, "acknowledge_by": 7, "delete_by": 8, "attest_by": 9,
    "attestation": "4" * 64, "step": "remind", "export": "x-1", "manifest": "5" * 64, "request": "6" * 64,
    "requested_by": "auditor:x", "file_sha256": "7" * 64, "file_bytes": 8, "recipients": ["8" * 64], "policy": "p-1",
    "period_ms": 5, "hold": "h-1",
}  # fmt: skip


@st.composite
def entry_members(draw: st.DrawFn) -> dict[str, Any]:
    """Members of some kind, good but for a few of them."""
    kind = draw(st.sampled_from([*sorted(KINDS), "grant.blessed", "x", "", "weather.noted"]))
    names = {"kind"} | set(getattr(KINDS.get(kind, Entry), "__dataclass_fields__", ()))
    members = {name: GOOD[name] for name in sorted(names) if name in GOOD} | {"kind": kind}
    for name in draw(st.lists(st.sampled_from([*sorted(members), "mood", "zz top", "ü", "a"]), max_size=2)):
        if draw(st.booleans()):
            members[name] = draw(ODD)
        else:
            members.pop(name, None)
    return members


MANGLES = st.lists(
    st.tuples(
        st.integers(0, 2_000),
        st.sampled_from([b"", b" ", b"\n", b"\\u0061", b"0", b".0", b"e1", b"-", b'"', b",", b"}", b"{", b"\xc3\xbc",
                         b"\x7f", b"\x00", b"null", b"true", b"a", b"A"]),
        st.booleans(),
    ),
    max_size=2,
)  # fmt: skip


def mangled(data: bytes, mangles: Sequence[tuple[int, bytes, bool]]) -> bytes:
    """``data`` with pieces put in at places, or in place of as many bytes."""
    for place, piece, is_inserted in mangles:
        place %= len(data) + 1
        data = data[:place] + piece + data[place + (0 if is_inserted else max(1, len(piece))) :]
    return data


def outcome(function: Callable[[Any], Any], argument: Any) -> Any:
    """What ``function`` gives, or that it refuses."""
    try:
        return function(argument)
    except FormatError:
        return "refused"


# --- Entries alike.


_TEXTS: dict[str, Sequence[Any]] = {
    "uid": ["x/1", "x/2", "A:-", "longer/uid"],
    "actor": ["test:x", "gate:y", "test:x-longer"],
    "via": ["file", "gate", "api"],
    "developer": ["dev-a", "dev-b", "dev-c", "dev-long"],
    "previous_developer": ["dev-a", "dev-c"],
    "processor": ["dev-a", "dev-b"],
    "endpoint": ["wh-a", "wh-b"],
    "delivery": ["d-1", "d-2", "d.3", "d-10"],
    "private": [False, True],
    "by": ["transport", "rescuer"],
    "disclosure": ["confirmed", "possible", "none"],
    "status": [200, 404, 599],
    "resolved_ip": ["192.0.2.1", "192.0.2.7"],
    "ticket": ["t", "}", "x},{y"],
    "observed": [{"host": "h", "port": 443}, {"host": "i", "port": 999}, {"path": "/},{x"}, {}],
    "received_by": [
        {"developer": name, "app": "app-a", "environment": "prod", "endpoint": "wh-a"}
        for name in ("dev-a", "dev-b")
    ],
    "scopes": [["likes", "posts"], ["likes", "tests"], ["all"]],
    "event": ["e_" + digit * 32 for digit in "0af"],
    "account": [tag("ann"), tag("bob")],
}
_NUMBERS = frozenset({
    "seq", "recorded_at", "at", "attempt", "grant_version", "decided_at_size", "send_before", "body_bytes", "started_at",
    "ended_at", "expires_at", "until", "from_at", "to_at", "latency_ms", "map_size", "map_fn",
})  # fmt: skip


def sound_members(kind: str, dice: random.Random, digits_max: int = 16) -> dict[str, Any]:
    """Members of ``kind`` as some entry may have them; numbers of up to ``digits_max`` digits."""
    members: dict[str, Any] = {"kind": kind, "v": 1}
    for rule in rules_of(KINDS[kind]):
        name = rule.name
        if name in members or (rule.optional and dice.random() < 0.2):
            continue
        if name in _NUMBERS:
            edges = [number for number in (10, 99, 10**14, 10**15 - 1, 2**53 - 1) if number < 10**digits_max]
            members[name] = dice.randint(1, 9) if dice.random() < 0.7 else dice.choice(edges)
        elif name == "subjects":
            members[name] = sorted(_tag(dice) for _ in range(dice.choice((0, 1, 1, 3))))
        elif name in _TEXTS:
            members[name] = dice.choice(_TEXTS[name])
        elif name in GOOD:
            members[name] = GOOD[name]
    return members


def _tag(dice: random.Random) -> str:
    return f"a_{dice.getrandbits(128):032x}"


def alike(members: Mapping[str, Any], dice: random.Random) -> dict[str, Any]:
    """Other members of an entry that is as long, and in nearly all cases laid out the same."""
    other = dict(members)
    for name, value in members.items():
        if name in _NUMBERS:
            digits = len(str(value))
            other[name] = min(dice.randint(max(1, 10 ** (digits - 1)), 10**digits - 1), 2**53 - 1)
        elif name == "subjects":
            other[name] = sorted(_tag(dice) for _ in value)
        elif name in _TEXTS:
            length = len(json.dumps(value))
            as_long = [each for each in _TEXTS[name] if len(json.dumps(each)) == length]
            other[name] = dice.choice([value, *as_long])
    return other


def forged(members: Mapping[str, Any], dice: random.Random) -> dict[str, Any]:
    """``members`` with one value that is wrong, or nearly so, and no longer or shorter than a right one."""
    other = dict(members)
    name = "subjects" if members.get("subjects") and dice.random() < 0.2 else dice.choice(sorted(members))
    value = members[name]
    if name == "subjects" and value:
        other[name] = dice.choice((value[::-1], [value[0]] * len(value), [*value[1:], value[0].upper()]))
    elif isinstance(value, str) and value:
        place = dice.randrange(len(value))
        other[name] = value[:place] + dice.choice(" /:Ag-") + value[place + 1 :]
    elif isinstance(value, int) and value < 10:
        other[name] = 0
    return other


@st.composite
def entries_alike(draw: st.DrawFn) -> list[bytes]:
    """Entries of one kind and most of one layout, some forged, some made of two, some mangled."""
    dice = draw(st.randoms(use_true_random=False))
    base = sound_members(draw(st.sampled_from(sorted(KINDS))), dice)
    made = [alike(base, dice) for _ in range(draw(st.integers(1, 6)))]
    made += [forged(dice.choice(made), dice) for _ in range(draw(st.integers(0, 4)))]
    entries = [canonical.encode(members) for members in made]
    for _ in range(draw(st.integers(0, 3))):
        left, right = dice.choice(entries), dice.choice(entries)
        place = dice.randrange(len(left))
        if dice.random() < 0.3:
            entries.append(left[:place] + right[place:])
        else:
            # Digits mostly stay digits: a leading zero is made that way, and nothing else is broken.
            digits = (
                b"0099-.e " if left[place : place + 1].isdigit() else b'"{}[],:\\ \x00\x7f\xff09afgAZ_-./'
            )
            entries.append(left[:place] + bytes([dice.choice(digits)]) + left[place + 1 :])
    place = dice.randrange(len(entries))
    entries[place] = mangled(entries[place], draw(MANGLES))
    dice.shuffle(entries)
    return entries
