"""Incidents from findings: one for each cause, frozen, assessed again when more is found (section 5.1)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.exposure import Period
from ledger.audit.exposure import assess as assess_exposure
from ledger.core.exposure import Circumstances
from ledger.core.frozen_findings import encode_line
from ledger.core.merkle import hash_leaf, root_of
from ledger.engines.codec import MsgspecCodec
from ledger.errors import UsageError
from ledger.incidents.words import sha256_hex
from ledger.ports.incidents import Incident
from tests.support.incident_world import BY, IncidentWorld, delivery, grant, parties
from tests.support.postgresql import PostgresqlServer

ANN, BOB, CAT = "1001", "1002", "1003"


def astray() -> list[dict[str, object]]:
    """Two people's messages reach dev-b, one person's after a revocation the right one, all else is in order."""
    records = [
        *parties("a", "b"),
        *(grant(number, account) for number, account in enumerate((ANN, BOB, CAT))),
        {"kind": "grant.revoked", "grant": "g-2", "at": "2017-05-20T00:00:00Z"},
        delivery(1, ANN, host="b"),
        delivery(2, ANN),
        delivery(3, BOB, host="b"),
        delivery(4, BOB, host="b"),
        delivery(5, CAT),
    ]
    return [dict(one) for one in records]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IncidentWorld]:
    with IncidentWorld(tmp_path, astray()) as made:
        yield made


def by_cause(world: IncidentWorld) -> dict[str, Incident]:
    return {one.cause: one for one in world.book.load_all()}


def test_one_cause_is_one_incident_however_many_findings_it_made(world: IncidentWorld) -> None:
    opened = world.desk.open_from_findings(world.evidence(), BY)
    assert sorted((one.incident.cause, one.incident.cause_of) for one in opened) == [
        ("grant_revoked", "g-2"),
        ("misrouting", None),
    ]
    assert all(one.is_new and one.is_assessed for one in opened)
    assert len(world.entries("incident.opened")) == len(world.entries("incident.assessed")) == 2


def test_what_would_be_opened_is_proposed_and_nothing_recorded(world: IncidentWorld) -> None:
    def proposed() -> list[tuple[str, int, bool]]:
        found = world.desk.propose(world.evidence())
        return [(one.cause.name, one.findings, one.incident is not None) for one in found]

    size = len(world.entries())
    assert proposed() == [("grant_revoked", 1, False), ("misrouting", 3, False)]
    assert len(world.entries()) == size
    world.desk.open_from_findings(world.evidence(), BY)
    assert proposed() == [("grant_revoked", 1, True), ("misrouting", 3, True)]
    world.desk.set_status(by_cause(world)["misrouting"].incident, "concluded", BY)
    assert proposed() == [("grant_revoked", 1, True)]


def test_the_same_findings_make_no_new_revision(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    size = len(world.entries())
    again = world.desk.open_from_findings(world.evidence(), BY)
    assert not any(one.is_new or one.is_assessed for one in again)
    assert len(world.entries()) == size


def test_a_revision_counts_people_once_and_copies_each(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    made = world.book.assessment(by_cause(world)["misrouting"].incident)
    assert made is not None
    counted = (made.accounts_definite, made.others_definite, made.people, made.deliveries, made.copies)
    assert counted == (2, 2, 4, 3, 3)
    assert made.active_accounts == 2
    assert made.breakdown["developers"] == {"dev-b": {"definite": 3, "possible": 0}}


def test_the_frozen_root_is_the_tree_over_the_kept_lines(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    name = by_cause(world)["misrouting"].incident
    lines = world.book.deliveries(name, 1)
    made = world.book.assessment(name)
    assert made is not None
    assert made.findings_root == root_of(hash_leaf(encode_line(line)) for line in lines).hex()
    entry = next(one for one in world.entries("incident.assessed") if one["incident"] == name)
    assert entry["findings_root"] == made.findings_root
    assert entry["query"] == sha256_hex(made.query)
    assert entry["people"] == made.people == len(world.book.people(name, 1))


def test_more_findings_make_another_revision_and_the_old_one_stays(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    name = by_cause(world)["misrouting"].incident
    before = world.book.deliveries(name, 1)
    world.add([delivery(9, CAT, host="b")])
    assert world.desk.assess(name, world.evidence(), BY)
    assert world.book.deliveries(name, 1) == before
    assert len(world.book.deliveries(name, 2)) == len(before) + 1
    assert [one.revision for one in world.book.assessments(name)] == [1, 2]


def test_a_revision_says_how_many_people_are_new_to_the_incident(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    name = by_cause(world)["misrouting"].incident
    world.add([delivery(9, CAT, host="b")])
    assert world.desk.assess(name, world.evidence(), BY)
    told = [one for one in world.entries("incident.assessed") if one["incident"] == name]
    assert [(one["people"], one["people_new"]) for one in told] == [(4, 4), (6, 2)]


def test_what_was_concluded_while_it_was_being_assessed_is_not_frozen_anew(
    world: IncidentWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    name = by_cause(world)["misrouting"].incident
    world.add([delivery(9, CAT, host="b")])
    evidence, stage = world.evidence(), world.book.stage_people

    def concluded(staging: int, people: Any) -> None:
        stage(staging, people)
        world.desk.set_status(name, "concluded", BY)

    monkeypatch.setattr(world.book, "stage_people", concluded)
    with pytest.raises(UsageError, match="an incident of its own"):
        world.desk.assess(name, evidence, BY)
    assert [one.revision for one in world.book.assessments(name)] == [1]
    with closing(sqlite3.connect(world.directory / "ledger.db")) as connection:
        (staged,) = connection.execute(
            "SELECT COUNT(*) FROM service_incident_deliveries WHERE staging NOT IN "
            "(SELECT staging FROM service_incident_assessments)"
        ).fetchone()
    assert staged == 0


def test_an_assessment_makes_what_was_suspected_assessed(world: IncidentWorld) -> None:
    world.desk.open("misrouting", None, BY)
    assert by_cause(world)["misrouting"].status == "suspected"
    world.desk.open_from_findings(world.evidence(), BY)
    assert by_cause(world)["misrouting"].status == "assessed"
    assert len(world.book.load_all()) == 2


def test_what_recurs_after_a_conclusion_is_an_incident_of_its_own(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    old = by_cause(world)["misrouting"]
    world.desk.set_status(old.incident, "concluded", BY)
    assert [one.incident.cause for one in world.desk.open_from_findings(world.evidence(), BY)] == [
        "grant_revoked"
    ]
    world.add([delivery(9, CAT, host="b")])
    world.desk.open_from_findings(world.evidence(), BY)
    new = world.book.load_of_cause("misrouting", None)[-1]
    assert new.incident != old.incident
    assert [one.delivery for one in world.book.deliveries(new.incident, 1)] == ["d-9"]
    with pytest.raises(UsageError, match="concluded"):
        world.desk.assess(old.incident, world.evidence(), BY)


def test_nobody_observed_means_possible_by_circumstances(tmp_path: Path) -> None:
    told = {"worker": "w-1", "resolved_ip": "203.0.113.7"}
    records = [
        *parties("a", "b"),
        grant(1, ANN),
        grant(2, BOB, "b"),
        grant(3, CAT),
        delivery(1, BOB, meant="b", **told),
        # A minute later the same worker delivers for dev-a to the same address and path: nobody saw where it went.
        delivery(2, ANN, host=None, started_at=1_496_325_660_000, **told),
        delivery(3, CAT, host="b"),
    ]
    with IncidentWorld(tmp_path, records) as world:
        evidence = world.evidence(circumstances=Circumstances())
        world.desk.open_from_findings(evidence, BY)
        (incident,) = world.book.load_of_cause("misrouting", None)
        made = world.book.assessment(incident.incident)
        exposure = assess_exposure(
            evidence.verified, evidence.source, MsgspecCodec(), Circumstances(), Period()
        ).to_json()
        assert made is not None
        assert made.accounts_definite == exposure["definite"]["accounts"]
        assert made.accounts_possible == exposure["possible"]["accounts"] == 1
        assert made.others_possible == exposure["possible"]["subjects"] == 1
        possible = world.book.deliveries(incident.incident, 1)[-1]
        assert (possible.evidence, possible.received_by, possible.candidates) == (
            "possible",
            None,
            ("dev-b",),
        )
        assert possible.developer == "dev-a"


def test_people_are_told_apart_by_their_part(world: IncidentWorld) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    people = world.book.people(by_cause(world)["misrouting"].incident, 1)
    assert sorted((one.is_granting, one.is_other, one.deliveries) for one in people) == [
        (False, True, 1), (False, True, 2), (True, False, 1), (True, False, 2),
    ]  # fmt: skip
    assert all(one.received_by == ("dev-b",) and one.private and one.is_definite for one in people)


def test_nothing_is_frozen_of_a_broken_log(world: IncidentWorld) -> None:
    with closing(sqlite3.connect(world.directory / "ledger.db")) as database, database:
        triggers = [
            row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ]
        for trigger in triggers:
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("DELETE FROM entries WHERE seq = 7")
    with pytest.raises(UsageError, match="broken"):
        world.desk.open_from_findings(world.evidence(), BY)
    assert world.book.load_all() == []


def test_an_incident_opened_by_hand_needs_a_known_cause(world: IncidentWorld) -> None:
    with pytest.raises(UsageError, match="there are: "):
        world.desk.open("bad_luck", None, BY)
    with pytest.raises(UsageError, match="whole fleet"):
        world.desk.open("misrouting", "app-a", BY)


def test_nothing_found_is_nothing_opened(tmp_path: Path) -> None:
    with IncidentWorld(tmp_path, [*parties("a"), grant(1, ANN), delivery(1, ANN)]) as world:
        assert world.desk.open_from_findings(world.evidence(), BY) == []
        assert world.entries("incident.opened") == []


def test_an_old_delivery_that_becomes_an_exposure_after_a_conclusion_is_the_next_incidents(
    tmp_path: Path,
) -> None:
    records = [
        *parties("a"),
        grant(1, ANN),
        delivery(1, ANN),
        delivery(2, ANN, started_at="2017-09-01T00:00:00Z"),
    ]
    revoked = {"kind": "grant.revoked", "grant": "g-1"}
    with IncidentWorld(tmp_path, [*records, {**revoked, "at": "2017-08-01T00:00:00Z"}]) as world:
        world.desk.open_from_findings(world.evidence(), BY)
        (old,) = world.book.load_of_cause("grant_revoked", "g-1")
        world.desk.set_status(old.incident, "concluded", BY)
        # The revocation was earlier than anybody had said: the first delivery is an exposure, too.
        world.add([{**revoked, "at": "2017-05-20T00:00:00Z"}])
        world.desk.open_from_findings(world.evidence(), BY)
        new = world.book.load_of_cause("grant_revoked", "g-1")[-1]
        assert [one.delivery for one in world.book.deliveries(old.incident, 1)] == ["d-2"]
        assert [one.delivery for one in world.book.deliveries(new.incident, 1)] == ["d-1"]
        made, before = world.book.assessment(new.incident), world.book.assessment(old.incident)
        assert made is not None
        assert before is not None
        assert before.findings_root in made.query


def test_two_that_open_at_once_open_each_incident_once(world: IncidentWorld) -> None:
    evidence = world.evidence()
    with world.open() as other:
        threads = [
            threading.Thread(target=desk.open_from_findings, args=(evidence, BY))
            for desk in (world.desk, other.incidents.desk)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(world.entries("incident.opened")) == len(world.entries("incident.assessed")) == 2
    for one in world.book.load_all():
        made = world.book.assessment(one.incident)
        assert made is not None
        assert made.findings == len(world.book.deliveries(one.incident, one.revision))


def test_on_postgresql_it_is_the_same(
    world: IncidentWorld, tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    world.desk.open_from_findings(world.evidence(), BY)
    directory = tmp_path / "server"
    directory.mkdir()
    with (
        postgresql_server.database(with_tables=False) as name,
        IncidentWorld(directory, astray(), postgresql_server.url(name)) as other,
    ):
        other.desk.open_from_findings(other.evidence(), BY)
        ours, theirs = by_cause(world), by_cause(other)
        assert ours.keys() == theirs.keys()
        for cause in ours:
            lines = other.book.deliveries(theirs[cause].incident, 1)
            expected = world.book.deliveries(ours[cause].incident, 1)
            assert [one.delivery for one in lines] == [one.delivery for one in expected]
            assert len(other.book.people(theirs[cause].incident, 1)) == len(
                world.book.people(ours[cause].incident, 1)
            )
