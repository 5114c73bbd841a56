"""Missed deadlines become findings once, by the service and by whoever verifies (section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.incidents.clock_book import ClockBook
from ledger.verifying import Asked, run_verification
from tests.support.following import follow, save_and_load, start_following
from tests.support.incident_world import BY, NOW_MS, IncidentWorld, delivery, grant, parties

HOUR = 3_600_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IncidentWorld]:
    records = [*parties("a", "b"), grant(1, "1001"), delivery(1, "1001", host="b")]
    with IncidentWorld(tmp_path, records) as made:
        made.parts.policies.set("authority_notice", "gdpr", 72 * HOUR, BY)
        made.desk.open_from_findings(made.evidence(), BY)
        yield made


def codes(world: IncidentWorld, engine: str = "scalar") -> list[str]:
    asked = Asked(engine=engine, with_index=False, remember=False, processes=1)
    report = run_verification(world.settings, asked, lambda *_: None).report
    return [one.code for one in report.findings if one.severity == "P" and one.code != "UNTICKETED"]


def test_a_missed_deadline_is_recorded_once(world: IncidentWorld) -> None:
    assert world.parts.watch.run_once() == 0
    world.clock.ms += 73 * HOUR
    assert world.parts.watch.run_once() == 1
    assert world.parts.watch.run_once() == 0
    (finding,) = world.entries("finding.recorded")
    assert (finding["code"], finding["severity"]) == ("AUTHORITY_NOTICE_OVERDUE", "P")
    assert finding["incident"] == world.book.load_all()[0].incident


def test_a_deadline_that_passed_while_nobody_ran_is_found_at_the_next_start(world: IncidentWorld) -> None:
    world.service.close()
    world.clock.ms += 73 * HOUR
    world.service = world.open()
    assert world.parts.watch.run_once() == 1
    world.restart()
    world.clock.ms += HOUR
    assert world.parts.watch.run_once() == 0
    assert len(world.entries("finding.recorded")) == 1


def test_two_processes_that_look_at_once_record_it_once(world: IncidentWorld) -> None:
    world.clock.ms += 73 * HOUR
    with world.open() as other:
        assert world.parts.watch.run_once() + other.incidents.watch.run_once() == 1
    assert len(world.entries("finding.recorded")) == 1


@pytest.mark.parametrize("engine", ["scalar", "duckdb"])
def test_a_verifier_finds_the_same_from_the_entries_alone(world: IncidentWorld, engine: str) -> None:
    assert codes(world, engine) == []
    world.clock.ms += 73 * HOUR
    world.parts.watch.run_once()
    assert codes(world, engine) == ["AUTHORITY_NOTICE_OVERDUE"]


def test_a_verifier_finds_it_whether_or_not_the_service_recorded_it(world: IncidentWorld) -> None:
    world.clock.ms += 73 * HOUR
    world.desk.publish_update(world.book.load_all()[0].incident, "something later", BY)
    assert world.entries("finding.recorded") == []
    assert codes(world) == ["AUTHORITY_NOTICE_OVERDUE"]


def test_an_authority_told_in_time_leaves_nothing_to_find(world: IncidentWorld) -> None:
    name = world.book.load_all()[0].incident
    world.clock.ms += HOUR
    world.desk.note_authority_told(name, "gdpr", "first", "reference 7", BY)
    world.clock.ms += 99 * HOUR
    assert world.parts.watch.run_once() == 0
    assert codes(world) == []


@pytest.mark.parametrize("when", ["before the incident", "before anybody was told"])
def test_somebody_who_was_erased_is_owed_nothing_and_everybody_else_is(tmp_path: Path, when: str) -> None:
    records = [*parties("a", "b"), grant(1, "1001"), delivery(1, "1001", host="b")]
    with IncidentWorld(tmp_path, records) as world:
        world.parts.policies.set("people_notice", "california", 30 * 24 * HOUR, BY)

        def erase() -> None:
            subject = world.service.vault.find(["91001"])["91001"]
            asked = world.service.privacy.erasures.request(subject, basis="request", requested_by=BY)
            world.service.privacy.erasures.approve(
                asked.erasure, approved_by="operator:grace", with_files=False
            )

        if when == "before the incident":
            erase()
        world.desk.open_from_findings(world.evidence(), BY)
        name = world.book.load_all()[0].incident
        queued = world.service.duties.notices.queue(name, actor=BY)
        if when == "before anybody was told":
            erase()
        assert queued.people == 2
        assert [one.done_at_ms for one in world.parts.clocks.deadlines(name)] == [None]
        world.service.duties.sender.run_once()
        (deadline,) = world.parts.clocks.deadlines(name)
        assert deadline.done_at_ms is not None
        world.clock.ms += 31 * 24 * HOUR
        assert world.parts.watch.run_once() == 0
        assert codes(world) == []


def test_a_book_that_was_opened_before_the_first_incident_sees_it(tmp_path: Path) -> None:
    with IncidentWorld(tmp_path) as world:
        book: ClockBook = world.parts.clocks
        world.parts.policies.set("authority_notice", "gdpr", HOUR, BY)
        assert book.overdue(NOW_MS) == []
        world.desk.open("reported", None, BY)
        name = world.book.load_all()[0].incident
        world.desk.claim_moment(name, "dpo_told", "told by phone", BY, at_ms=NOW_MS - 9 * HOUR)
        assert [one.incident for one in book.overdue(NOW_MS)] == [name]


def test_a_follower_of_the_log_finds_it_too_and_after_it_was_put_away(
    world: IncidentWorld, tmp_path: Path
) -> None:
    store = world.service.ledger.store
    world.clock.ms += 73 * HOUR
    world.parts.watch.run_once()
    data = [row.data for row in store.fetch_range(0, store.size())]
    follower = start_following()
    follow(follower, data[:-1])
    assert [one for one in follower.findings() if one.startswith("missed:")] == []
    follow(follower, data)
    (key,) = [one for one in follower.findings() if one.startswith("missed:")]
    assert follower.take_changed()[key] == follower.findings()[key]
    kept = tmp_path / "kept"
    kept.mkdir()
    again = save_and_load(follower, data, kept)
    again.judge()
    assert again.findings()[key] == follower.findings()[key]
    follower.growth.close()
    again.growth.close()
