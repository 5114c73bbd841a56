"""What people record of incidents: each an entry with its words, once (section 5.1)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ledger.incidents.words import FIELDS, STATUSES, TEXT_CHARACTERS_MAX, opens
from tests.support.incident_world import BY, NOW_MS, IncidentWorld

EVE = "operator:eve"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IncidentWorld]:
    with IncidentWorld(tmp_path) as made:
        made.desk.open("reported", "dev-x", BY)
        yield made


@pytest.fixture
def name(world: IncidentWorld) -> str:
    return world.book.load_all()[0].incident


def test_the_same_words_again_change_nothing(world: IncidentWorld, name: str) -> None:
    assert world.desk.describe(name, "title", "one", EVE).created
    assert not world.desk.describe(name, "title", "one", EVE).created
    assert world.desk.describe(name, "title", "two", EVE).number == 2
    assert world.desk.describe(name, "title", "one", EVE).number == 3
    assert world.book.text(name, "title") == "one"
    assert len(world.entries("incident.described")) == 3


def test_words_open_their_commitment_and_other_words_do_not(world: IncidentWorld, name: str) -> None:
    world.desk.decide(name, "stop", "the fleet is off", EVE)
    (entry,) = world.entries("incident.decided")
    event = world.book.events(name)[-1]
    assert event.salt is not None
    assert opens(entry["text"], "the fleet is off", event.salt)
    assert not opens(entry["text"], "the fleet is on", event.salt)
    assert not opens(entry["text"], "the fleet is off", b"\0" * 32)


def test_two_who_describe_at_once_are_both_heard(world: IncidentWorld, name: str) -> None:
    with world.open() as other:
        threads = [
            threading.Thread(target=desk.describe, args=(name, "title", text, EVE))
            for desk, text in ((world.desk, "one"), (other.incidents.desk, "two"))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    uids = [entry["uid"] for entry in world.entries("incident.described")]
    assert uids == [f"incident.described/{name}/title/{number + 1}" for number in range(len(uids))]
    assert {event.text for event in world.book.events(name) if event.kind == "described"} == {"one", "two"}


def test_updates_are_numbered_from_one_without_a_gap(world: IncidentWorld, name: str) -> None:
    for text in ("first", "second", "second", "third"):
        world.desk.publish_update(name, text, EVE)
    assert [(one.number, one.text) for one in world.book.updates(name)] == [
        (1, "first"), (2, "second"), (3, "third"),
    ]  # fmt: skip


def test_a_moment_is_at_the_instant_that_was_claimed(world: IncidentWorld, name: str) -> None:
    world.desk.claim_moment(name, "triage", "ticket 1", EVE, at_ms=NOW_MS - 5)
    (entry,) = world.entries("incident.moment_claimed")
    assert entry["at"] == NOW_MS - 5
    assert not world.desk.claim_moment(name, "triage", "ticket 1", EVE, at_ms=NOW_MS - 5).created
    assert world.desk.claim_moment(name, "triage", "ticket 2", EVE, at_ms=NOW_MS - 5).created


def test_a_moment_that_has_not_come_yet_is_refused(world: IncidentWorld, name: str) -> None:
    with pytest.raises(UsageError, match="not come yet"):
        world.desk.claim_moment(name, "triage", "tomorrow", EVE, at_ms=NOW_MS + 1)
    with pytest.raises(UsageError, match="there are: first_report"):
        world.desk.claim_moment(name, "hunch", "tea leaves", EVE)


@pytest.mark.parametrize("text", ["", "   ", "x" * (TEXT_CHARACTERS_MAX + 1), "half \ud800"])
def test_words_that_are_none_are_refused_before_anything_is_recorded(
    world: IncidentWorld, name: str, text: str
) -> None:
    size = len(world.entries())
    with pytest.raises(UsageError):
        world.desk.describe(name, "title", text, EVE)
    with pytest.raises(UsageError):
        world.desk.publish_update(name, text, EVE)
    with pytest.raises(UsageError):
        world.desk.decide(name, "x", text, EVE)
    assert len(world.entries()) == size


@pytest.mark.parametrize(
    ("field", "text"), [("mood", "fine"), ("risk_level", "huge"), ("nature", "confidentiality,fun")]
)
def test_a_field_says_what_it_can_say(world: IncidentWorld, name: str, field: str, text: str) -> None:
    with pytest.raises(UsageError, match=r"there are|a risk is"):
        world.desk.describe(name, field, text, EVE)


def test_every_field_can_be_described(world: IncidentWorld, name: str) -> None:
    special = {"risk_level": "high", "nature": "confidentiality, integrity"}
    for field in FIELDS:
        assert world.desk.describe(name, field, special.get(field, "words"), EVE).created


def test_a_status_goes_forward_and_concluded_is_final(world: IncidentWorld, name: str) -> None:
    for status in STATUSES[1:]:
        assert world.desk.set_status(name, status, EVE).created
    assert not world.desk.set_status(name, "concluded", EVE).created
    with pytest.raises(UsageError, match="an incident of its own"):
        world.desk.set_status(name, "detected", EVE)


def test_what_was_halted_can_go_on_and_be_assessed_again(world: IncidentWorld, name: str) -> None:
    for status in ("halted", "assessed", "mitigated", "assessed"):
        world.desk.set_status(name, status, EVE)
    with pytest.raises(UsageError, match="can become halted"):
        world.desk.set_status(name, "suspected", EVE)


def test_an_authority_is_told_in_order(world: IncidentWorld, name: str) -> None:
    desk = world.desk
    with pytest.raises(UsageError, match="this is the first"):
        desk.note_authority_told(name, "gdpr", "follow_up", "ref", EVE)
    desk.note_authority_told(name, "gdpr", "first", "ref 1", EVE)
    with pytest.raises(UsageError, match="told before"):
        desk.note_authority_told(name, "gdpr", "first", "ref 2", EVE)
    desk.note_authority_told(name, "gdpr", "follow_up", "ref 2", EVE)
    desk.note_authority_told(name, "gdpr", "final", "ref 3", EVE)
    with pytest.raises(UsageError, match="final notification already"):
        desk.note_authority_told(name, "gdpr", "follow_up", "ref 4", EVE)
    assert not desk.note_authority_told(name, "gdpr", "final", "ref 3", EVE).created
    assert desk.note_authority_told(name, "california", "first", "ref 5", EVE).created


def test_an_incident_that_is_not_there_is_named_with_the_way_to_find_one(world: IncidentWorld) -> None:
    with pytest.raises(UsageError, match="grantledger incident list"):
        world.desk.describe("i-none", "title", "x", EVE)


def test_the_log_never_holds_the_words(world: IncidentWorld, name: str) -> None:
    secret = "Frau Ünlü rief an"
    world.desk.describe(name, "root_cause", secret, EVE)
    world.desk.claim_moment(name, "first_report", secret, EVE)
    world.desk.note_authority_told(name, "gdpr", "first", secret, EVE, reasons=secret)
    store = world.service.ledger.store
    assert not any(b"rief an" in row.data for row in store.fetch_range(0, store.size()))


def test_a_period_that_holds_everywhere_makes_a_notification_late_anywhere(
    world: IncidentWorld, name: str
) -> None:
    world.parts.policies.set("authority_notice", None, 1_000, BY)
    world.desk.claim_moment(name, "dpo_told", "by phone", EVE, at_ms=NOW_MS - 5_000)
    with pytest.raises(UsageError, match="--reasons"):
        world.desk.note_authority_told(name, "california", "first", "ref", EVE)
