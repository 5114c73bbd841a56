"""Incidents whose writes fail, in both ways: made again, each call comes to what it would have come to at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from ledger.errors import StoreError
from ledger.incidents.incidents import Evidence, IncidentDesk
from ledger.ports.incidents import AffectedPerson, ExposedDelivery
from ledger.sequencer.draft import Outcome
from ledger.store.incidents import SqlIncidents
from tests.support.incident_world import BY, IncidentWorld, delivery, grant, parties

Kind = Literal["before", "after"]

HISTORY = [
    *parties("a", "b"),
    *(grant(number, str(1000 + number)) for number in range(3)),
    {"kind": "grant.revoked", "grant": "g-2", "at": "2017-05-20T00:00:00Z"},
    delivery(1, "1000", host="b"),
    delivery(2, "1001", host="b"),
    delivery(3, "1002"),
]


class Faults:
    """The ``nth`` write fails: before it happened, or after it did."""

    def __init__(self, nth: int = 0, kind: Kind = "before") -> None:
        self.nth, self.kind, self.count = nth, kind, 0

    def around(self, write: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count != self.nth:
            return write()
        if self.kind == "after":
            write()
        raise StoreError("failed on purpose")


class FaultyIncidents(SqlIncidents):
    """The store of incidents, with faults at its own writes."""

    faults: Faults

    def stage(self, incident: str, now_ms: int) -> int:
        made = self.faults.around(lambda: super(FaultyIncidents, self).stage(incident, now_ms))
        return int(made)

    def stage_deliveries(self, staging: int, exposed: Sequence[ExposedDelivery]) -> None:
        self.faults.around(lambda: super(FaultyIncidents, self).stage_deliveries(staging, exposed))

    def stage_people(self, staging: int, people: Iterable[AffectedPerson]) -> None:
        self.faults.around(lambda: super(FaultyIncidents, self).stage_people(staging, people))


class FaultySequencer:
    """The sequencer, with faults at its appends."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self.inner, self.faults = inner, faults

    def append_many(self, drafts: Sequence[Any], *, all_or_nothing: bool = False) -> list[Outcome]:
        found = self.faults.around(lambda: self.inner.append_many(drafts, all_or_nothing=all_or_nothing))
        return list(found)


def faulty_desk(world: IncidentWorld, faults: Faults) -> IncidentDesk:
    book = FaultyIncidents(world.service.ledger.engine)
    book.faults = faults
    sequencer: Any = FaultySequencer(world.service.ledger.sequencer, faults)
    return IncidentDesk(
        sequencer=sequencer,
        incidents=book,
        clocks=world.parts.clocks,
        codec=world.desk._codec,
        clock=world.clock,
        randomness=world.service.randomness,
    )


def until_done(call: Callable[[], object]) -> None:
    for _ in range(3):
        try:
            call()
            return
        except StoreError:
            pass
    pytest.fail("it never succeeds")


def state_of(world: IncidentWorld) -> dict[str, Any]:
    """What there is, without what is random or a time."""
    names = [one.incident for one in world.book.load_all()]
    return {
        "entries": sorted(entry["uid"] for entry in world.entries() if entry["kind"].startswith("incident.")),
        "incidents": [(one.cause, one.cause_of, one.status, one.revision) for one in world.book.load_all()],
        "events": [
            [(event.kind, event.name, event.text) for event in world.book.events(name)] for name in names
        ],
        "lines": [[one.delivery for one in world.book.deliveries(name, 1)] for name in names],
        "people": [[one.account for one in world.book.people(name, 1)] for name in names],
        "updates": [world.book.updates(name) for name in names],
    }


def open_all(desk: IncidentDesk, evidence: Evidence) -> None:
    desk.open_from_findings(evidence, BY)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two causes to find."""
    directory = tmp_path_factory.mktemp("prepared")
    with IncidentWorld(directory, HISTORY):
        return directory


@pytest.fixture(scope="module")
def opening_writes(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many writes opening two incidents takes."""
    directory = tmp_path_factory.mktemp("counted") / "ledger"
    shutil.copytree(prepared, directory)
    with IncidentWorld(directory) as world:
        faults = Faults()
        open_all(faulty_desk(world, faults), world.evidence())
        return faults.count


@pytest.mark.parametrize("kind", ["before", "after"])
def test_opening_from_findings_survives_a_fault_at_every_write(
    tmp_path: Path, prepared: Path, opening_writes: int, kind: Kind
) -> None:
    assert opening_writes == 10
    for nth in range(1, opening_writes + 1):
        directory = tmp_path / str(nth)
        shutil.copytree(prepared, directory)
        with IncidentWorld(directory) as world:
            evidence = world.evidence()
            desk = faulty_desk(world, Faults(nth, kind))
            until_done(lambda desk=desk, evidence=evidence: open_all(desk, evidence))  # type: ignore[misc]
            found = state_of(world)
            assert [one[2:] for one in found["incidents"]] == [("assessed", 1), ("assessed", 1)], nth
            assert sorted(len(lines) for lines in found["lines"]) == [1, 2], nth
            assert sorted(len(people) for people in found["people"]) == [2, 4], nth
            assert len(found["entries"]) == len(set(found["entries"])) == 8, nth


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize(
    "call",
    [
        lambda desk, name: desk.set_status(name, "halted", BY),
        lambda desk, name: desk.claim_moment(name, "triage", "ticket", BY),
        lambda desk, name: desk.describe(name, "title", "words", BY),
        lambda desk, name: desk.decide(name, "stop", "words", BY),
        lambda desk, name: desk.publish_update(name, "words", BY),
        lambda desk, name: desk.note_authority_told(name, "gdpr", "first", "words", BY),
    ],
)
def test_what_was_recorded_stands_once_whichever_way_its_write_failed(
    tmp_path: Path, call: Callable[[IncidentDesk, str], object], kind: Kind
) -> None:
    with IncidentWorld(tmp_path) as world:
        world.desk.open("reported", None, BY)
        name = world.book.load_all()[0].incident
        before = len(world.entries())
        desk = faulty_desk(world, Faults(1, kind))
        until_done(lambda: call(desk, name))
        assert len(world.entries()) == before + 1
        assert len(world.book.events(name)) == 3
        call(desk, name)
        assert len(world.entries()) == before + 1
