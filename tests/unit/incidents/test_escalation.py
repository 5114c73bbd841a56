"""Deadlines that passed, and steps that really stop deliveries at the gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from ledger.errors import RejectedError
from ledger.gateway.offered import OfferedEvent
from ledger.gateway.parties import standing_draft
from ledger.incidents.policies import DAY_MS
from ledger.ports.obligations import Obligation
from ledger.verifying import Asked, run_verification
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, DutiesWorld
from tests.support.following import follow, save_and_load, start_following
from tests.support.service_world import payload, wait_for


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DutiesWorld]:
    with DutiesWorld(tmp_path) as made:
        yield made


@pytest.fixture
def obligation(world: DutiesWorld) -> Obligation:
    (opened,) = world.duties.obligations.open(INCIDENT, actor=OPERATOR)
    return opened.obligation


def late(world: DutiesWorld, obligation: Obligation, days: int = 2) -> Obligation:
    world.clock.later_ms = days * DAY_MS
    world.duties.escalation.run_once()
    return world.duties.obligations.load(obligation.obligation)


def tell_authority(world: DutiesWorld) -> None:
    world.service.incidents.desk.note_authority_told(INCIDENT, "gdpr", "first", "reference 7", OPERATOR)


def offer(world: DutiesWorld) -> None:
    """An event of the account, which dispatching then has to decide about."""
    body = {"for_user_id": GRANTING, "follow_events": payload("follow_events")["follow_events"]}
    text = json.dumps(body)
    world.service.intake.accept([OfferedEvent(json.loads(text), text.encode())])


def test_a_deadline_that_passed_while_nobody_ran_is_found(world: DutiesWorld, obligation: Obligation) -> None:
    made = late(world, obligation, days=30)
    assert (made.state, made.overdue) == ("OVERDUE", ("acknowledge", "delete", "attest"))
    codes = [entry.code for entry in world.entries("finding.recorded")]
    assert codes == ["DELETION_ACK_OVERDUE", "DELETION_OVERDUE", "DELETION_OVERDUE"]
    assert [entry.code for entry in world.entries("obligation.overdue")] == codes
    assert world.duties.escalation.run_once() == 0


def test_nothing_is_overdue_in_time(world: DutiesWorld, obligation: Obligation) -> None:
    assert world.duties.escalation.run_once() == 0
    assert world.entries("finding.recorded") == []


def test_steps_are_taken_in_order_and_each_is_an_entry(world: DutiesWorld, obligation: Obligation) -> None:
    escalation = world.duties.escalation
    with pytest.raises(RejectedError, match="escalated follows"):
        escalation.escalate(obligation, OPERATOR)
    made = late(world, obligation)
    with pytest.raises(RejectedError, match="remind comes before suspend_app"):
        escalation.escalate(made, OPERATOR, "suspend_app")
    for _ in range(3):
        made = escalation.escalate(made, OPERATOR)
    with pytest.raises(RejectedError, match="incident told"):
        escalation.escalate(made, OPERATOR)
    tell_authority(world)
    made = escalation.escalate(made, OPERATOR)
    assert escalation.escalate(made, OPERATOR, "remind") == made
    with pytest.raises(RejectedError, match="all steps"):
        escalation.escalate(made, OPERATOR)
    steps = [entry.step for entry in world.entries("obligation.escalated")]
    assert steps == ["remind", "suspend_deliveries", "suspend_app", "tell_authority"]


def test_suspending_stops_what_is_for_the_developer_and_nobody_else(
    world: DutiesWorld, obligation: Obligation
) -> None:
    world.world.subscribe(world.wrong, world.hook_wrong, world.account)
    world.service.dispatcher  # noqa: B018 - built now
    made = late(world, obligation)
    escalation = world.duties.escalation
    made = escalation.escalate(made, OPERATOR)
    before = len(world.world.arrivals.at("b.example"))
    made = escalation.escalate(made, OPERATOR, "suspend_deliveries")
    (suspended,) = world.entries("developer.suspended")
    assert suspended.developer == world.developer
    offer(world)
    stop = Event()
    from threading import Thread

    thread = Thread(target=world.service.dispatcher.run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: world.entries("delivery.refused") and world.entries("delivery.settled"))
    finally:
        stop.set()
        world.service.something_new.set()
        thread.join()
    (refused,) = world.entries("delivery.refused")
    assert (refused.developer, refused.reason) == (world.developer, "APP_OR_DEVELOPER_SUSPENDED")
    assert len(world.world.arrivals.at("b.example")) == before
    assert {one.developer for one in world.entries("delivery.settled")} == {world.right.app.developer}


def test_an_app_stays_off_until_it_is_reinstated_on_purpose(
    world: DutiesWorld, obligation: Obligation
) -> None:
    made = late(world, obligation)
    for _ in range(3):
        made = world.duties.escalation.escalate(made, OPERATOR)
    assert [entry.app for entry in world.entries("app.suspended")] == [world.wrong.app.app]
    closed = world.duties.escalation.close(made, OPERATOR, "they have shown us", reinstate=True)
    assert closed.state == "CLOSED"
    assert [entry.developer for entry in world.entries("developer.reinstated")] == [world.developer]
    assert [entry.app for entry in world.entries("app.reinstated")] == [world.wrong.app.app]


def test_what_was_suspended_for_another_reason_stays_so(world: DutiesWorld, obligation: Obligation) -> None:
    suspend = world.service.ledger.sequencer.append
    suspend(standing_draft("app.suspended", world.wrong.app.app, OPERATOR, "spam"))
    made = late(world, obligation)
    for _ in range(3):
        made = world.duties.escalation.escalate(made, OPERATOR)
    suspend(standing_draft("developer.suspended", world.developer, OPERATOR, "unpaid"))
    world.duties.escalation.close(made, OPERATOR, reinstate=True)
    assert world.entries("developer.reinstated", "app.reinstated") == []


def test_what_an_open_obligation_has_stopped_stays_stopped_until_that_one_is_closed(
    world: DutiesWorld, obligation: Obligation
) -> None:
    world.misdeliver(["d-9"])
    (other,) = world.duties.obligations.open(INCIDENT, world.assess(), actor=OPERATOR)
    both = [late(world, obligation), late(world, other.obligation)]
    for _ in range(2):
        both = [world.duties.escalation.escalate(one, OPERATOR) for one in both]
    world.duties.escalation.close(both[0], OPERATOR, reinstate=True)
    assert world.entries("developer.reinstated") == []
    world.duties.escalation.close(both[1], OPERATOR, reinstate=True)
    assert [entry.developer for entry in world.entries("developer.reinstated")] == [world.developer]


def test_closing_alone_reinstates_nobody(world: DutiesWorld, obligation: Obligation) -> None:
    made = late(world, obligation)
    for _ in range(2):
        made = world.duties.escalation.escalate(made, OPERATOR)
    world.duties.escalation.close(made, OPERATOR)
    assert world.entries("developer.reinstated", "app.reinstated") == []


def test_a_developer_is_told_by_its_webhook_and_then_it_is_notified(
    world: DutiesWorld, obligation: Obligation
) -> None:
    assert world.duties.developer_notices.run_once() == 1
    assert world.duties.developer_notices.run_once() == 0
    (arrival,) = [one for one in world.world.arrivals.at("b.example") if b"deletion_obligation" in one.body]
    told = arrival.payload()["deletion_obligation"]
    assert (told["obligation"], told["deliveries"]) == (obligation.obligation, 4)
    assert arrival.is_signed
    assert world.duties.obligations.load(obligation.obligation).state == "NOTIFIED"
    assert [one for one in world.world.arrivals.at("a.example") if b"deletion" in one.body] == []


@pytest.mark.parametrize("engine", ["scalar", "duckdb"])
def test_whoever_verifies_finds_a_developer_late_though_nobody_noted_it(
    world: DutiesWorld, obligation: Obligation, engine: str
) -> None:
    world.clock.later_ms = 8 * DAY_MS
    # Any later entry tells what time it is; the loop that should have noted it never ran.
    world.duties.attestations.set_key(world.right.app.developer, "a" * 64, OPERATOR)
    assert world.entries("finding.recorded") == []
    world.service.ledger.sealer.seal()
    asked = Asked(engine=engine, remember=False, processes=1)
    report = run_verification(world.world.settings, asked, lambda *_: None).report
    found = [one for one in report.findings if one.code.startswith("DELETION_")]
    assert [(one.code, one.severity, (one.details or {})["developer"]) for one in found] == [
        ("DELETION_ACK_OVERDUE", "P", world.developer),
        ("DELETION_OVERDUE", "P", world.developer),
    ]
    assert (found[0].details or {})["obligation"] == obligation.obligation


def test_whoever_follows_the_log_finds_it_too_and_after_it_was_put_away(
    world: DutiesWorld, obligation: Obligation, tmp_path: Path
) -> None:
    world.clock.later_ms = 2 * DAY_MS
    world.duties.attestations.set_key(world.right.app.developer, "a" * 64, OPERATOR)
    store = world.service.ledger.store
    data = [row.data for row in store.fetch_range(0, store.size())]
    follower = start_following()
    follow(follower, data)
    (key,) = [one for one in follower.findings() if one.startswith(f"missed:{obligation.obligation}")]
    kept = tmp_path / "kept"
    kept.mkdir()
    again = save_and_load(follower, data, kept)
    again.judge()
    assert again.findings()[key] == follower.findings()[key]
    follower.growth.close()
    again.growth.close()


def test_the_shipped_verifier_knows_every_entry(world: DutiesWorld, obligation: Obligation) -> None:
    made = late(world, obligation)
    tell_authority(world)
    for _ in range(4):
        made = world.duties.escalation.escalate(made, OPERATOR)
    report = world.world.verify()
    assert {finding.code for finding in report.findings if finding.severity == "I"} == set()
