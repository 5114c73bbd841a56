"""The draft for an authority: filled from entries and words, or listed as missing (section 5.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import UsageError
from ledger.incidents.art33 import load_mapping, make_draft
from ledger.incidents.words import FIELDS
from ledger.reporting.incident_report import render_art33, render_incident
from tests.support.incident_world import BY, NOW_MS, IncidentWorld, delivery, grant, parties

HOUR = 3_600_000
TWICE = {"id": "a", "section": "", "label": "", "path": "x", "needed_for": [], "hint": ""}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IncidentWorld]:
    records = [*parties("a", "b"), grant(1, "1001"), delivery(1, "1001", host="b"), delivery(2, "1001")]
    with IncidentWorld(tmp_path, records) as made:
        made.parts.policies.set("authority_notice", "gdpr", 72 * HOUR, BY)
        made.desk.open_from_findings(made.evidence(), BY)
        yield made


@pytest.fixture
def name(world: IncidentWorld) -> str:
    return world.book.load_all()[0].incident


def draft_of(world: IncidentWorld, name: str, kind: str = "first") -> dict[str, Any]:
    return make_draft(world.parts.document(name), "gdpr", kind, world.clock.now_ms())


def values(draft: dict[str, Any]) -> dict[str, Any]:
    return {one["id"]: one["value"] for one in draft["fields"]}


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {one["id"] for one in rows}


def describe_all(world: IncidentWorld, name: str) -> None:
    special = {"risk_level": "high", "nature": "confidentiality"}
    for field in FIELDS:
        world.desk.describe(name, field, special.get(field, f"words of {field}"), BY)


def test_every_field_of_the_form_is_filled_or_listed(world: IncidentWorld, name: str) -> None:
    draft = draft_of(world, name)
    known = {one.id for one in load_mapping() if one.when is None}
    assert ids(draft["fields"]) | ids(draft["missing"]) | ids(draft["to_follow"]) == known
    assert not ids(draft["fields"]) & (ids(draft["missing"]) | ids(draft["to_follow"]))


def test_what_entries_say_is_filled_without_anybody_writing(world: IncidentWorld, name: str) -> None:
    filled = values(draft_of(world, name))
    assert filled["cause"] == "misrouting"
    assert filled["people_number"] == {
        "min": 1, "max": 2, "confirmed": {"accounts": 1, "others": 1}, "possible": {"accounts": 0, "others": 0},
    }  # fmt: skip
    assert filled["aware_at"] == "2018-09-10T00:00:00.000Z"
    assert filled["due_at"] == "2018-09-13T00:00:00.000Z"
    assert [one["category"] for one in filled["data_categories"]] == ["direct_messages"]
    assert [one["developer"] for one in values(draft_of(world, name))["recipients"]] == ["dev-b"]


def test_what_nobody_has_said_is_missing_with_the_command_that_says_it(
    world: IncidentWorld, name: str
) -> None:
    draft = draft_of(world, name)
    assert not draft["is_complete"]
    hints = {one["id"]: one["hint"] for one in draft["missing"]}
    assert hints["controller"] == f"grantledger incident describe {name} controller TEXT"


def test_a_first_notification_leaves_to_follow_what_a_final_one_needs(
    world: IncidentWorld, name: str
) -> None:
    assert "root_cause" in ids(draft_of(world, name)["to_follow"])
    assert "root_cause" in ids(draft_of(world, name, "final")["missing"])


def test_when_the_authority_was_notified_is_what_was_recorded_and_nothing_else(
    world: IncidentWorld, name: str
) -> None:
    assert "notified_at" in ids(draft_of(world, name)["to_follow"])
    assert "notified_at" in ids(draft_of(world, name, "follow_up")["missing"])
    world.desk.note_authority_told(name, "gdpr", "first", "ref", BY)
    world.clock.ms += HOUR
    assert values(draft_of(world, name, "follow_up"))["notified_at"] == "2018-09-10T00:00:00.000Z"


def test_it_was_detected_when_the_first_sign_of_it_was_seen(world: IncidentWorld, name: str) -> None:
    assert values(draft_of(world, name))["detected_at"] == "2018-09-10T00:00:00.000Z"
    world.desk.claim_moment(name, "first_report", "a call", BY, at_ms=NOW_MS - 24 * HOUR)
    assert values(draft_of(world, name))["detected_at"] == "2018-09-09T00:00:00.000Z"


def test_what_is_drafted_is_what_is_due_where_nobody_says_what(world: IncidentWorld, name: str) -> None:
    def due() -> str:
        return str(make_draft(world.parts.document(name), "gdpr", None, NOW_MS)["notification"])

    assert due() == "first"
    world.desk.note_authority_told(name, "california", "first", "ref", BY)
    assert due() == "first"
    world.desk.note_authority_told(name, "gdpr", "first", "ref", BY)
    assert due() == "follow_up"
    world.desk.set_status(name, "concluded", BY)
    assert due() == "final"


def test_a_filled_form_is_a_document_that_can_be_kept(world: IncidentWorld, name: str) -> None:
    text = json.dumps(draft_of(world, name), indent=2) + "x" * 20_000
    assert world.desk.note_authority_told(name, "gdpr", "first", text, BY).created
    with pytest.raises(UsageError, match="1,000,000 are allowed"):
        world.desk.note_authority_told(name, "gdpr", "follow_up", "x" * 1_000_001, BY)


def test_described_in_full_nothing_is_missing(world: IncidentWorld, name: str) -> None:
    describe_all(world, name)
    assert draft_of(world, name)["is_complete"]
    world.desk.note_authority_told(name, "gdpr", "first", "ref", BY)
    final = draft_of(world, name, "final")
    assert ids(final["missing"]) == {"notices"}
    assert values(final)["earlier"][0]["document"] == "ref"


def test_reasons_for_delay_are_asked_for_when_it_is_late_and_only_then(
    world: IncidentWorld, name: str
) -> None:
    in_time = draft_of(world, name)
    assert "reasons_for_delay" not in ids(in_time["missing"]) | ids(in_time["to_follow"])
    world.clock.ms += 73 * HOUR
    late = draft_of(world, name)
    assert late["is_late"]
    assert "reasons_for_delay" in ids(late["missing"])
    with pytest.raises(UsageError, match="--reasons"):
        world.desk.note_authority_told(name, "gdpr", "first", "ref", BY)
    world.desk.describe(name, "reasons_for_delay", "nobody was there", BY)
    assert world.desk.note_authority_told(name, "gdpr", "first", "ref", BY).created
    (entry,) = world.entries("incident.authority_notified")
    assert "reasons_for_delay" in entry
    assert values(draft_of(world, name, "follow_up"))["reasons_for_delay"] == "nobody was there"


def test_a_notification_dated_back_into_time_needs_no_reasons(world: IncidentWorld, name: str) -> None:
    world.clock.ms += 73 * HOUR
    written = world.desk.note_authority_told(name, "gdpr", "first", "ref", BY, at_ms=NOW_MS + HOUR)
    assert written.created
    assert not draft_of(world, name)["is_late"]


def test_another_form_is_another_file(world: IncidentWorld, name: str) -> None:
    form = {"form": "x", "version": 1, "fields": [
        {"id": "q1", "section": "A", "label": "What", "path": "cause", "needed_for": ["first"], "hint": ""},
        {"id": "q2", "section": "A", "label": "Who", "path": "texts.dpo.text", "needed_for": ["first"], "hint": "say"},
    ]}  # fmt: skip
    mapping = load_mapping(json.dumps(form))
    draft = make_draft(world.parts.document(name), "gdpr", "first", NOW_MS, mapping)
    assert values(draft) == {"q1": "misrouting"}
    assert ids(draft["missing"]) == {"q2"}


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        '{"fields": [{"id": "a"}]}',
        '{"fields": [{"id":"a","section":"","label":"","path":"x","needed_for":["never"],"hint":""}]}',
        json.dumps({"fields": [TWICE, TWICE]}),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="mapping"):
        load_mapping(text)


def test_every_text_of_the_form_can_be_described(world: IncidentWorld) -> None:
    named = {one.path.split(".")[1] for one in load_mapping() if one.path.startswith("texts.")}
    assert named <= FIELDS.keys()


def test_pages_show_it_and_let_no_words_become_markup(world: IncidentWorld, name: str) -> None:
    world.desk.describe(name, "title", "<script>alert(1)</script>", BY)
    describe = world.desk.describe(name, "controller", "<b>us</b> & co", BY)
    assert describe.created
    world.desk.note_authority_told(name, "gdpr", "first", "ref", BY)
    world.desk.publish_update(name, "all is well", BY)
    world.desk.decide(name, "stop", "off", BY)
    for page in (render_incident(world.parts.document(name)), render_art33(draft_of(world, name))):
        assert "<script>alert(1)" not in page
        assert "<b>us</b>" not in page
    assert "dev-b" in render_incident(world.parts.document(name))


def test_an_incident_that_was_never_assessed_has_its_pages_too(tmp_path: Path) -> None:
    with IncidentWorld(tmp_path) as world:
        world.desk.open("reported", None, BY)
        name = world.book.load_all()[0].incident
        assert "Nothing was assessed yet" in render_incident(world.parts.document(name))
        draft = draft_of(world, name)
        assert {"window_from", "people_number", "aware_at"} <= ids(draft["missing"])
