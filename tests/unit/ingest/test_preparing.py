"""Batches of drafts: what reading accepted is an entry's, and groups keep order, lines and rejects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.engines.codec import MsgspecCodec
from ledger.errors import RejectedError, StoreError
from ledger.ingest.drafts import Drafter
from ledger.ingest.preparing import Prepared, in_groups
from ledger.ingest.records import RecordReader
from ledger.ingest.sources import Reject
from ledger.ports import Subject
from ledger.sequencer.draft import Draft
from ledger.vault.commitments import SubjectCommitments
from tests.support.record_samples import SAMPLES

CODEC = MsgspecCodec()
READER = RecordReader(at_required=True)
DRAFTER = Drafter(SubjectCommitments(), actor="operator:import", live=False)

TEXTS = st.sampled_from(
    [
        "x",
        "x-9.A",
        "x" * 64,
        "x" * 65,
        "ab" * 32,
        "AB" * 32,
        "a_" + "0" * 32,
        "",
        "a b",
        "a/b",
        "a\n",
        "é",
        '"',
    ]
)
NUMBERS = st.sampled_from([0, 1, 99, 100, 443, 599, 600, 65_535, 65_536, 2**53 - 1, 2**53, -1, True, 1.0])
INNER = ("host", "port", "path", "sni", "peer_ip", "spki_sha256", "signing_app", "worker")
ALTERATIONS = (
    *(
        {name: "x"}
        for name in ("uid", "ticket", "channel", "reason", "worker", "app", "environment", "account")
    ),
    *({name: 1} for name in ("latency_ms", "status", "until", "ended_at", "expires_at")),
    {"evidence": {"method": "oauth1a", "request": 'OAuth sig="x"', "consent_text": "00" * 32}},
    {"evidence": {"method": "form"}},
    {"observed": {"worker": "w3"}},
    {"addresses": ["b", "a", "b"]},
)


def values_like(value: object) -> st.SearchStrategy[Any]:
    """Good and bad values of the type of ``value``, which may be nested."""
    if isinstance(value, list):
        return st.lists(TEXTS, max_size=3)
    if isinstance(value, dict):
        return st.dictionaries(st.sampled_from(INNER), TEXTS | NUMBERS, max_size=3)
    return TEXTS if isinstance(value, str) else NUMBERS


@st.composite
def altered_records(draw: st.DrawFn) -> dict[str, Any]:
    """A good record of any kind with another value in a member or two, inner ones too."""
    record: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    if draw(st.booleans()):
        name = draw(st.sampled_from([name for name in record if name != "kind"]))
        record[name] = draw(values_like(record[name]))
    if draw(st.booleans()):
        record |= draw(st.sampled_from(ALTERATIONS))
    if "observed" in record and draw(st.booleans()):
        inner = draw(st.sampled_from(INNER))
        record["observed"] = {**record["observed"], inner: draw(values_like(1 if inner == "port" else "x"))}
    return record


class Everybody(dict[str, Subject]):
    """A subject for any id."""

    def __missing__(self, account_id: str) -> Subject:
        return Subject("a_" + account_id.encode().hex().ljust(32, "0")[:32], bytes(32))


@given(altered_records(), st.booleans())
def test_whatever_reading_accepts_is_well_typed_as_an_entry(record: dict[str, Any], as_row: bool) -> None:
    try:
        read = READER.read(record if as_row else json.dumps(record).encode())
    except RejectedError:
        return
    draft = DRAFTER.draft(read, Everybody())
    assert draft.is_checked
    assert CODEC.check_stated(draft.members)


def test_a_registration_that_the_import_adds_is_well_typed() -> None:
    draft = DRAFTER.registration("783214", Subject("a_" + "0" * 32, bytes(32)))
    assert draft.is_checked
    assert CODEC.check_stated(draft.members)


def batch_of(lines: list[int], rejected: list[int], bytes_done: int = 0) -> Prepared:
    return Prepared(
        [Draft({"line": line}) for line in lines],
        lines,
        [Reject(line, "bad") for line in rejected],
        bytes_done,
    )


@given(
    st.lists(st.lists(st.sampled_from(["draft", "reject", "registered draft"]), max_size=9), max_size=6),
    st.integers(1, 5),
)
def test_groups_hold_all_drafts_and_rejects_in_order_and_none_too_many(
    batches: list[list[str]], drafts_max: int
) -> None:
    number, made = 0, []
    for kinds in batches:
        lines: list[int] = []
        rejected = []
        for kind in kinds:
            number += 1
            if kind == "reject":
                rejected.append(number)
            else:
                lines += [0, number] if kind.startswith("registered") else [number]
        made.append(batch_of(lines, rejected, number))
    all_lines = [line for batch in made for line in batch.lines]
    all_rejects = [reject for batch in made for reject in batch.rejects]
    groups = list(in_groups(made, drafts_max))
    assert [line for group in groups for line in group.lines] == all_lines
    assert [draft.members["line"] for group in groups for draft in group.drafts] == all_lines
    assert [reject for group in groups for reject in group.rejects] == all_rejects
    assert all(len(group.drafts) <= drafts_max for group in groups)


def test_a_reject_is_told_with_the_group_of_the_lines_around_it() -> None:
    groups = list(in_groups([batch_of([1, 3, 4, 6], [2, 5, 7])], 2))
    assert [[reject.line for reject in group.rejects] for group in groups] == [[2], [5, 7]]


def test_what_a_failing_source_gave_before_is_in_a_group() -> None:
    def batches() -> Iterator[Prepared]:
        yield batch_of([1, 2, 3], [])
        raise StoreError("torn")

    groups = in_groups(batches(), 2)
    assert [next(groups).lines, next(groups).lines] == [[1, 2], [3]]
    with pytest.raises(StoreError, match="torn"):
        next(groups)
