"""Obligations through a real service: opened over what the index proves, answered, ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.core.merkle import check_inclusion, hash_leaf
from ledger.errors import RejectedError, UsageError
from ledger.incidents.policies import DAY_MS, HOUR_MS
from ledger.ports.obligations import Obligation
from tests.support.duties_world import (
    GRANTING,
    INCIDENT,
    OPERATOR,
    OTHERS,
    DutiesWorld,
    put_assessment,
)
from tests.support.service_world import HOOK

DEVELOPER = "developer:key"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DutiesWorld]:
    with DutiesWorld(tmp_path) as made:
        yield made


def open_one(world: DutiesWorld) -> Obligation:
    (opened,) = world.duties.obligations.open(INCIDENT, actor=OPERATOR)
    assert opened.is_new
    return opened.obligation


def test_one_obligation_is_opened_for_each_wrong_recipient_and_found_again(world: DutiesWorld) -> None:
    made = open_one(world)
    assert (made.developer, made.deliveries, made.state) == (world.developer, 4, "OPENED")
    (again,) = world.duties.obligations.open(INCIDENT, actor="operator:other")
    assert (again.obligation, again.is_new, again.unlisted) == (made, False, 0)
    (entry,) = world.entries("obligation.opened")
    assert (entry.developer, entry.list_root, entry.deliveries) == (made.developer, made.list_root, 4)
    assert entry.acknowledge_by == made.acknowledge_by_ms == made.opened_at_ms + DAY_MS


def test_the_list_holds_exactly_the_deliveries_and_names_nobody(world: DutiesWorld) -> None:
    made = open_one(world)
    lines = world.duties.obligations.load_lines(made.obligation)
    assert [line.delivery for line in lines] == ["d-0", "d-1", "d-2", "d-3"]
    text = "".join(line.line for line in lines)
    assert not any(tag in text for tag in [*world.people, GRANTING, *OTHERS])


def test_a_line_is_proven_to_be_on_the_list(world: DutiesWorld) -> None:
    made = open_one(world)
    proof = world.duties.obligations.prove_line(made.obligation, 2)
    leaf = hash_leaf(proof.line.encode())
    hashes = [bytes.fromhex(one) for one in proof.hashes]
    check_inclusion(hashes, 2, 4, leaf, bytes.fromhex(made.list_root))
    assert '"delivery":"d-2"' in proof.line


def test_a_later_assessment_opens_an_obligation_over_what_is_new(world: DutiesWorld) -> None:
    open_one(world)
    world.misdeliver(["d-9"])
    revision = world.assess()
    found = world.duties.obligations.open(INCIDENT, revision, actor=OPERATOR)
    assert [(one.obligation.deliveries, one.is_new, one.unlisted) for one in found] == [(1, True, 0)]
    lines = world.duties.obligations.load_lines(found[0].obligation.obligation)
    assert [line.delivery for line in lines] == ["d-9"]
    (told,) = world.service.incidents.document(INCIDENT)["recipients"]
    assert [one["deliveries"] for one in told["obligations"]] == [4, 1]
    assert told["deletion"] == "OPENED, OPENED"


def test_wrong_deliveries_that_are_on_no_list_are_counted_from_the_index(world: DutiesWorld) -> None:
    world.misdeliver(["d-9"])
    revision = world.assess("d-0", "d-9")
    (opened,) = world.duties.obligations.open(INCIDENT, revision, actor=OPERATOR)
    assert (opened.obligation.deliveries, opened.unlisted) == (3, 2)


def test_what_the_index_does_not_have_is_on_no_list(world: DutiesWorld) -> None:
    world.misdeliver(["d-9"], observed={"host": "a.example", "port": 443, "path": HOOK})
    exposed = world.incidents.deliveries(INCIDENT, 1)
    forged = [replace(exposed[0], delivery="d-9")]
    revision = put_assessment(world.service, world.incidents, forged, world.clock.now_ms())
    with pytest.raises(UsageError, match="1 deliveries of the incident are not in the index"):
        world.duties.obligations.open(INCIDENT, revision, actor=OPERATOR)
    assert world.entries("obligation.opened") == []


def test_nothing_is_opened_without_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DutiesWorld, "set_policies", lambda self: None)
    with DutiesWorld(tmp_path) as world, pytest.raises(UsageError, match="policy defaults"):
        world.duties.obligations.open(INCIDENT, actor=OPERATOR)


def test_an_unknown_incident_is_refused(world: DutiesWorld) -> None:
    with pytest.raises(UsageError, match="no assessed incident"):
        world.duties.obligations.open("i-9", actor=OPERATOR)
    with pytest.raises(UsageError, match="no assessed incident"):
        world.duties.obligations.open(INCIDENT, 2, actor=OPERATOR)


def test_a_developer_acknowledges_once_and_reports(world: DutiesWorld) -> None:
    desk = world.duties.obligations
    made = desk.acknowledge(open_one(world), DEVELOPER, "we are on it")
    assert (made.state, made.version) == ("ACKNOWLEDGED", 2)
    assert desk.acknowledge(made, DEVELOPER) == made
    made = desk.report(made, DEVELOPER, "half of it is gone")
    assert (made.state, made.reported_at_ms) == ("IN_PROGRESS", None)
    made = desk.report(made, DEVELOPER, is_done=True)
    assert made.reported_at_ms is not None
    assert [one["text"] for one in desk.open_remarks(made.obligation)] == [
        "we are on it",
        "half of it is gone",
    ]
    kinds = ("obligation.notified", "obligation.acknowledged", "obligation.in_progress")
    assert [entry.kind for entry in world.entries(*kinds)] == [*kinds, "obligation.in_progress"]


def test_words_stand_in_no_entry(world: DutiesWorld) -> None:
    desk = world.duties.obligations
    desk.acknowledge(open_one(world), DEVELOPER, "our officer is Jane")
    store = world.service.ledger.store
    data = b"".join(row.data for row in store.fetch_range(0, store.size()))
    assert b"Jane" not in data
    (entry,) = world.entries("obligation.acknowledged")
    assert len(entry.text) == 64


def test_whoever_is_told_by_two_at_once_was_told_once(world: DutiesWorld) -> None:
    desk = world.duties.obligations
    older = open_one(world)
    told = desk.note_notified(older, DEVELOPER)
    assert desk.note_notified(older, "system:obligations") == told
    assert len(world.entries("obligation.notified")) == 1


@pytest.mark.parametrize("step", ["load", "put_lines"])
def test_two_who_open_at_once_open_the_same_one(
    world: DutiesWorld, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    desk, kept = world.duties.obligations, world.duties._obligations
    real = getattr(kept, step)
    others: list[str] = []

    def overtaken(*arguments: Any) -> Any:
        """Somebody else opens it at this moment, and we go on a second later."""
        found = real(*arguments)
        if not others:
            others.append("operator:other")
            desk.open(INCIDENT, actor="operator:other")
            world.clock.later_ms = 1_000
        return found

    monkeypatch.setattr(kept, step, overtaken)
    (opened,) = desk.open(INCIDENT, actor=OPERATOR)
    (entry,) = world.entries("obligation.opened")
    assert (entry.actor, opened.is_new) == ("operator:other", False)
    assert opened.obligation.acknowledge_by_ms == entry.acknowledge_by
    assert len(desk.load_lines(opened.obligation.obligation)) == 4


def test_whoever_acts_on_an_older_look_is_told(world: DutiesWorld) -> None:
    desk = world.duties.obligations
    older = open_one(world)
    desk.hold(older, placed(world), OPERATOR)
    with pytest.raises(RejectedError, match="at the same moment"):
        desk.acknowledge(older, DEVELOPER)


def test_waiving_takes_two(world: DutiesWorld) -> None:
    desk, made = world.duties.obligations, open_one(world)
    with pytest.raises(RejectedError, match="second person"):
        desk.waive(made, OPERATOR, OPERATOR, "never mind")
    made = desk.waive(made, OPERATOR, "operator:second", "the developer does not exist any more")
    assert made.state == "WAIVED"
    (entry,) = world.entries("obligation.waived")
    assert (entry.actor, entry.approved_by) == (OPERATOR, "operator:second")
    with pytest.raises(RejectedError, match="WAIVED"):
        desk.hold(made, placed(world), OPERATOR)


def test_a_hold_stops_the_deadlines_for_as_long_as_it_lasts(world: DutiesWorld) -> None:
    desk, escalation = world.duties.obligations, world.duties.escalation
    made = desk.hold(open_one(world), placed(world), OPERATOR)
    world.clock.later_ms = 30 * DAY_MS
    assert escalation.run_once() == 0
    made = desk.resume(made, OPERATOR)
    assert (made.state, made.held_total_ms // DAY_MS) == ("OPENED", 30)
    assert escalation.run_once() == 0
    world.clock.later_ms += 2 * DAY_MS
    assert escalation.run_once() == 1


def placed(world: DutiesWorld, **changed: Any) -> str:
    """A legal hold on the incident, or on what is said; its id."""
    on = changed or {"incident": INCIDENT, "hold": "h-1"}
    return world.service.privacy.holds.place(placed_by=OPERATOR, **on).hold


def test_a_hold_that_nobody_has_placed_holds_nothing(world: DutiesWorld) -> None:
    desk, made = world.duties.obligations, open_one(world)
    with pytest.raises(RejectedError, match="hold place --incident"):
        desk.hold(made, "h-made-up", OPERATOR)
    lifted = placed(world)
    world.service.privacy.holds.lift(lifted, lifted_by=OPERATOR)
    with pytest.raises(RejectedError, match="that stands"):
        desk.hold(made, lifted, OPERATOR)
    now_ms = world.clock.now_ms()
    other = replace(world.incidents.load(INCIDENT) or pytest.fail("it is there"), incident="i-2")
    world.service.registry.apply(
        [world.incidents.put_incident(replace(other, opened_at_ms=now_ms, revision=0))]
    )
    with pytest.raises(RejectedError, match="lies on the incident i-2"):
        desk.hold(made, placed(world, incident="i-2"), OPERATOR)
    on_account = placed(world, account=world.people[0])
    assert desk.hold(made, on_account, OPERATOR).state == "HELD"


@pytest.mark.parametrize("way", ["lifted", "run out"])
def test_an_obligation_goes_on_by_itself_when_its_hold_has_ended(world: DutiesWorld, way: str) -> None:
    desk, made = world.duties.obligations, open_one(world)
    until_ms = world.clock.now_ms() + 3 * DAY_MS if way == "run out" else None
    hold = placed(world, incident=INCIDENT, until_ms=until_ms)
    desk.hold(made, hold, OPERATOR)
    world.clock.later_ms = 2 * DAY_MS
    world.duties.watch_once()
    assert desk.load(made.obligation).state == "HELD"
    world.clock.later_ms = 3 * DAY_MS
    if way == "lifted":
        world.service.privacy.holds.lift(hold, lifted_by=OPERATOR)
    # Nobody looked for days: the deadlines are later by what the hold lasted, and not by what that took.
    world.clock.later_ms = 9 * DAY_MS
    world.duties.watch_once()
    found = desk.load(made.obligation)
    assert (found.held_total_ms // HOUR_MS, found.overdue) == (
        71 if way == "run out" else 72,
        ("acknowledge",),
    )
    assert [one.actor for one in world.entries("obligation.resumed")] == ["system:obligations"]


def test_attested_is_not_verified_and_only_verified_or_escalated_is_closed(world: DutiesWorld) -> None:
    made = open_one(world)
    with pytest.raises(RejectedError, match="closed follows VERIFIED, ESCALATED"):
        world.duties.escalation.close(made, OPERATOR)
    with pytest.raises(RejectedError, match="verified follows ATTESTED"):
        world.duties.obligations.verify(made, "auditor:test", "seen")
