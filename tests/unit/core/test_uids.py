"""Default uids: equal to those of the published vectors, and independent of the order in which things are stated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.entries import KINDS
from ledger.core.uids import default_uid, id_member

VECTORS = Path(__file__).parents[2] / "conformance" / "vectors" / "entries"
ENTRIES: list[dict[str, Any]] = [
    json.loads(json.loads(path.read_bytes())["entry"]) for path in sorted(VECTORS.glob("*.json"))
]
GRANT: dict[str, Any] = {
    "kind": "grant.issued",
    "grant": "g-1",
    "account": "a_" + "0" * 32,
    "developer": "dev-a",
    "app": "app-a",
    "environment": "prod",
    "scopes": ["direct_messages", "posts"],
    "evidence": {"method": "oauth1a", "consent_text": "0" * 64},
    "at": 1,
}


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["uid"].partition("/")[0] for entry in ENTRIES])
def test_the_uid_is_that_of_the_published_entry(entry: dict[str, Any]) -> None:
    # Nothing in these entries was looked up, so that each states all of its own members.
    assert default_uid(entry["kind"], entry) == entry["uid"]


def test_the_vectors_are_there() -> None:
    assert len(ENTRIES) == 12


@given(st.permutations(sorted(GRANT)))
def test_the_order_of_members_does_not_matter(names: list[str]) -> None:
    assert default_uid("grant.issued", {name: GRANT[name] for name in names}) == default_uid(
        "grant.issued", GRANT
    )


@given(st.permutations(["direct_messages", "posts", "posts"]))
def test_lists_count_as_sets(scopes: list[str]) -> None:
    assert default_uid("grant.issued", GRANT | {"scopes": scopes}) == default_uid("grant.issued", GRANT)


@pytest.mark.parametrize("name", sorted(GRANT.keys() - {"kind"}))
def test_every_stated_member_counts(name: str) -> None:
    changed: dict[str, Any] = {name: [] if name == "scopes" else {} if name == "evidence" else "other"}
    assert default_uid("grant.issued", GRANT | changed) != default_uid("grant.issued", GRANT)


@pytest.mark.parametrize(
    ("kind", "added"),
    [
        (
            "grant.issued",
            {"actor": "account:x", "via": "api", "seq": 7, "prev": "00", "recorded_at": 3, "v": 1},
        ),
        ("grant.issued", {"uid": "mine"}),
        ("grant.issued", {"evidence": GRANT["evidence"] | {"request": "0" * 64}}),
        ("account.registered", {"identity": "0" * 64}),
    ],
)
def test_what_no_record_states_does_not_count(kind: str, added: dict[str, Any]) -> None:
    assert default_uid(kind, GRANT | added) == default_uid(kind, GRANT)


@pytest.mark.parametrize(
    ("kind", "members", "uid"),
    [
        ("delivery.attempted", {"delivery": "d-1", "attempt": 2}, "delivery.attempted/d-1/2"),
        ("delivery.imported", {"delivery": "d-1", "attempt": 1, "at": 5}, "delivery.imported/d-1/1"),
        (
            "delivery.settled",
            {"delivery": "d-1", "attempt": 1, "by": "rescuer"},
            "delivery.settled/d-1/1/rescuer",
        ),
    ],
)
def test_deliveries_are_named_by_their_attempt_alone(kind: str, members: dict[str, Any], uid: str) -> None:
    assert default_uid(kind, members) == uid


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_id_is_a_member_of_the_kind_or_the_kind_is_the_ledgers_own(kind: str) -> None:
    fields = KINDS[kind].__dataclass_fields__
    own = ("access.viewed", "index.sealed", "key.rotated", "ledger.opened")
    assert id_member(kind) in fields or kind in own


def test_a_declared_processor_is_named_by_the_developer() -> None:
    uid = default_uid("processor.declared", {"developer": "dev-a", "processor": "dev-b", "at": 1})
    assert uid.startswith("processor.declared/dev-a/")
