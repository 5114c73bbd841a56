"""What every :class:`ledger.ports.incidents.Incidents` does, whatever database is below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from ledger.errors import RejectedError
from ledger.ports import Change
from ledger.ports.incidents import (
    AffectedPerson,
    Assessment,
    Event,
    ExposedDelivery,
    Incident,
    Policy,
    PublicUpdate,
)
from ledger.store.engine import begin_write, open_engine
from ledger.store.finding_sets import ABANDONED_MS, BATCH_ROWS
from ledger.store.incidents import SqlIncidents

NOW_MS = 1_536_537_600_000
HEX = "ab" * 32
WORDS = "Größer als „üblich“, 99 %; \U0001f600\nzweite Zeile"


def tag(number: int) -> str:
    return f"a_{number:032x}"


def incident(name: str = "i-1", **changes: object) -> Incident:
    made = Incident(name, "misrouting", None, 0, "detected", 0, NOW_MS, NOW_MS)
    return replace(made, **changes)  # type: ignore[arg-type]


def exposed(position: int, **changes: object) -> ExposedDelivery:
    made = ExposedDelivery(
        position, f"d-{position}", 1, "WRONG_DEVELOPER", "UNAUTHORIZED", "definite", tag(position % 7),
        (tag(position % 7), tag(100)), "dev-a", "dev-b", (), "app-a", "wh-1", "direct_message_events", True,
        NOW_MS + position, (position, position + 1),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def person(number: int, **changes: object) -> AffectedPerson:
    made = AffectedPerson(
        tag(number), True, True, False, 3, NOW_MS, NOW_MS + 5, ("dev-b",), ("direct_message_events",), True
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def assessment(revision: int = 1, **changes: object) -> Assessment:
    made = Assessment(
        "i-1", revision, 100, HEX, "rules-1", HEX, '{"cause":"misrouting"}', 3, HEX, NOW_MS, NOW_MS + 5, 1, 2, 3, 4,
        10, 5, 6, 50, {"developers": {"dev-b": {"definite": 3, "possible": 0}}}, NOW_MS,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def event(number: int, **changes: object) -> Event:
    made = Event(
        "i-1",
        "described",
        f"u/{number}",
        "title",
        "operator:eve",
        NOW_MS,
        NOW_MS,
        WORDS,
        b"s" * 32,
        None,
        None,
        None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Kept(SqlIncidents):
    """The store under test, with changes made at once, as the log's transaction would."""

    def apply(self, *changes: Change) -> None:
        with begin_write(self._engine, "testing") as connection:
            for change in changes:
                connection.execute(change.statement, dict(change.values))

    def freeze(self, lines: list[ExposedDelivery], people: list[AffectedPerson], revision: int = 1) -> int:
        staging = self.stage("i-1", NOW_MS)
        self.stage_deliveries(staging, lines)
        self.stage_people(staging, people)
        self.apply(
            self.put_assessment(assessment(revision), staging), self.put_revision("i-1", revision, NOW_MS)
        )
        return staging


class IncidentsSuite:
    """The contract; subclasses give ``url``."""

    @pytest.fixture
    def engine(self, url: str) -> Iterator[Engine]:
        opened = open_engine(url)
        yield opened
        opened.dispose()

    @pytest.fixture
    def kept(self, engine: Engine) -> Kept:
        return Kept(engine)

    def test_an_incident_is_read_back_whole(self, kept: Kept) -> None:
        other = incident("i-2", cause="grant_revoked", cause_of="g-1", from_entry=7, opened_at_ms=NOW_MS + 1)
        kept.apply(kept.put_incident(incident()), kept.put_incident(other))
        assert kept.load("i-1") == incident()
        assert kept.load_all() == [incident(), other]
        assert kept.load("i-3") is None

    def test_an_incident_that_is_there_stays_as_it_is(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        kept.apply(kept.put_incident(incident(status="concluded")))
        assert kept.load("i-1") == incident()

    def test_incidents_of_a_cause_come_by_age_those_of_the_fleet_apart(self, kept: Kept) -> None:
        late = incident("i-0", opened_at_ms=NOW_MS + 9)
        kept.apply(*map(kept.put_incident, (late, incident(), incident("i-5", cause_of="g-1"))))
        assert [one.incident for one in kept.load_of_cause("misrouting", None)] == ["i-1", "i-0"]
        assert [one.incident for one in kept.load_of_cause("misrouting", "g-1")] == ["i-5"]

    def test_a_status_is_the_last_one_set(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        kept.apply(kept.put_status("i-1", "halted", NOW_MS + 3))
        assert kept.load("i-1") == incident(status="halted", updated_at_ms=NOW_MS + 3)

    def test_a_revision_never_goes_back(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        kept.apply(kept.put_revision("i-1", 2, NOW_MS))
        kept.apply(kept.put_revision("i-1", 1, NOW_MS))
        found = kept.load("i-1")
        assert found is not None
        assert found.revision == 2

    def test_events_come_in_the_order_of_recording_each_once(self, kept: Kept) -> None:
        kept.apply(kept.put_event(event(2)), kept.put_event(event(1, reasons=WORDS, reasons_salt=b"\0")))
        kept.apply(kept.put_event(event(2, text="another")))
        assert kept.events("i-1") == [event(2), event(1, reasons=WORDS, reasons_salt=b"\0")]
        assert kept.events("i-2") == []

    def test_a_field_says_what_was_said_last(self, kept: Kept) -> None:
        kept.apply(kept.put_event(event(1)), kept.put_event(event(2, text="later")))
        kept.apply(kept.put_event(event(3, kind="decided", text="a decision of that name")))
        assert kept.text("i-1", "title") == "later"
        assert kept.text("i-1", "root_cause") is None

    def test_words_that_no_database_can_keep_are_refused_when_they_are_brought(self, kept: Kept) -> None:
        with pytest.raises(RejectedError):
            kept.put_event(event(1, text="a\0b"))

    def test_updates_come_by_number(self, kept: Kept) -> None:
        made = [PublicUpdate(number, WORDS, HEX, NOW_MS) for number in (1, 2)]
        kept.apply(*(kept.put_update("i-1", one) for one in reversed(made)))
        kept.apply(kept.put_update("i-1", PublicUpdate(2, "changed", HEX, NOW_MS)))
        assert kept.updates("i-1") == made

    def test_a_frozen_set_is_read_back_whole_in_pages(self, kept: Kept) -> None:
        lines = [exposed(position) for position in range(25)]
        lines[3] = exposed(
            3, delivery=None, attempt=None, verdict=None, account=None, subjects=(), developer=None,
            received_by=None, candidates=("dev-b", "dev-c"), app=None, endpoint=None, event_type=None, private=None,
            evidence="possible",
        )  # fmt: skip
        kept.apply(kept.put_incident(incident()))
        kept.freeze(lines, [person(2), person(1, is_definite=False, is_other=True, private=False)])
        first = kept.deliveries("i-1", 1, limit=10)
        assert [*first, *kept.deliveries("i-1", 1, after=first[-1].position, limit=100)] == lines
        assert kept.people("i-1", 1, limit=1) == [person(1, is_definite=False, is_other=True, private=False)]
        assert kept.people("i-1", 1, after=tag(1)) == [person(2)]
        assert kept.person("i-1", 1, tag(2)) == person(2)
        assert kept.person("i-1", 1, tag(3)) is None
        assert kept.assessment("i-1") == assessment()

    def test_more_lines_than_a_batch_are_all_there(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        kept.freeze([exposed(position) for position in range(BATCH_ROWS + 3)], [])
        assert kept.receivers("i-1", 1) == [("dev-b", BATCH_ROWS + 3)]

    def test_deliveries_can_be_those_of_one_receiver(self, kept: Kept) -> None:
        lines = [exposed(position, received_by=f"dev-{position % 3}") for position in range(9)]
        kept.apply(kept.put_incident(incident()))
        kept.freeze(lines, [])
        found = kept.deliveries("i-1", 1, received_by="dev-1", after=1)
        assert [one.position for one in found] == [4, 7]
        assert kept.receivers("i-1", 1) == [("dev-0", 3), ("dev-1", 3), ("dev-2", 3)]

    def test_nobody_sees_a_set_before_it_is_frozen(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        staging = kept.stage("i-1", NOW_MS)
        kept.stage_deliveries(staging, [exposed(0)])
        kept.stage_people(staging, [person(1)])
        assert kept.deliveries("i-1", 1) == []
        assert kept.people("i-1", 1) == []
        assert kept.incidents_of(tag(1)) == []
        assert kept.assessment("i-1") is None

    def test_a_later_revision_leaves_the_earlier_one_as_it_was(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        kept.freeze([exposed(0)], [person(1)])
        kept.freeze([exposed(0), exposed(1)], [person(1), person(2)], revision=2)
        assert kept.deliveries("i-1", 1) == [exposed(0)]
        assert kept.deliveries("i-1", 2) == [exposed(0), exposed(1)]
        assert [one.revision for one in kept.assessments("i-1")] == [1, 2]
        assert kept.assessment("i-1", 1) == assessment()

    def test_the_incidents_of_a_person_are_those_whose_last_revision_affects_it(self, kept: Kept) -> None:
        kept.apply(kept.put_incident(incident()))
        kept.freeze([exposed(0)], [person(1), person(2)])
        kept.freeze([exposed(0)], [person(2, deliveries=9)], revision=2)
        assert kept.incidents_of(tag(1)) == []
        assert kept.incidents_of(tag(2)) == [("i-1", person(2, deliveries=9))]

    def test_a_discarded_set_leaves_nothing_and_a_frozen_one_cannot_be_discarded(
        self, kept: Kept, engine: Engine
    ) -> None:
        kept.apply(kept.put_incident(incident()))
        frozen = kept.freeze([exposed(0)], [person(1)])
        staged = kept.stage("i-1", NOW_MS)
        kept.stage_deliveries(staged, [exposed(position) for position in range(30)])
        kept.stage_people(staged, [person(1)])
        kept.discard(staged)
        kept.discard(frozen)
        assert self.count(engine, "service_incident_deliveries") == 1
        assert self.count(engine, "service_incident_people") == 1
        assert kept.deliveries("i-1", 1) == [exposed(0)]

    def test_what_was_abandoned_goes_when_somebody_stages_later_and_not_before(
        self, kept: Kept, engine: Engine
    ) -> None:
        staged = kept.stage("i-1", NOW_MS)
        kept.stage_deliveries(staged, [exposed(0)])
        kept.stage("i-1", NOW_MS + ABANDONED_MS)
        assert self.count(engine, "service_incident_deliveries") == 1
        kept.stage("i-1", NOW_MS + ABANDONED_MS + 1)
        assert self.count(engine, "service_incident_deliveries") == 0

    def test_policies_come_in_the_order_of_recording(self, kept: Kept) -> None:
        made = [Policy("authority_notice", "gdpr", hours, NOW_MS, f"u/{hours}") for hours in (72, 24)]
        kept.apply(*map(kept.put_policy, made))
        kept.apply(kept.put_policy(made[0]))
        assert kept.policies() == made

    @staticmethod
    def count(engine: Engine, table: str) -> int:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one())
