"""Retention policies: what is too old goes, whole people are only proposed, and holds are respected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.gateway.drafts import live_draft
from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.incidents.policies import CONTACTS, DEAD_LETTERS, DELETED_ACCOUNTS, EVENTS, NOTES
from ledger.ports.vault import Subject
from ledger.sequencer.draft import expect
from ledger.wiring.surroundings import SYSTEM_CLOCK
from tests.support.duties_world import INCIDENT, DutiesWorld
from tests.support.service_world import ServiceWorld, payload

ADA, GRACE = "operator:ada", "operator:grace"
DAY_MS = 86_400_000
BODIES = "bodies that wait or could be replayed"


class LateClock:
    """The system's clock, later by as much as a test says."""

    def __init__(self) -> None:
        self.later_ms = 0

    def now_ms(self) -> int:
        return SYSTEM_CLOCK.now_ms() + self.later_ms


@pytest.fixture
def clock() -> LateClock:
    return LateClock()


@pytest.fixture
def world(tmp_path: Path, clock: LateClock) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        made.service.clock = made.service.ledger.clock = clock
        yield made


def set_policy(world: ServiceWorld, policy: str, days: int) -> None:
    world.service.incidents.policies.set(policy, None, days * DAY_MS, ADA)


def delete(world: ServiceWorld, account_id: str) -> Subject:
    subject = world.new_account(account_id)
    expect(
        world.service.ledger.sequencer.append(live_draft("account.deleted", ADA, {"account": subject.tag}))
    )
    return subject


def hold_event(world: ServiceWorld, account_id: str) -> Subject:
    app = world.new_app(f"App {account_id}")
    subject = world.new_account(account_id)
    world.subscribe(app, world.new_webhook(app, path=f"/hooks/{account_id}"), subject)
    event = payload("direct_message_events")
    event["for_user_id"] = account_id
    (taken,) = world.service.intake.accept([OfferedEvent(event)])
    assert isinstance(taken, Accepted), taken
    return subject


def test_without_a_policy_nothing_happens(world: ServiceWorld, clock: LateClock) -> None:
    delete(world, "1001")
    clock.later_ms = 10_000 * DAY_MS
    assert world.service.privacy.retention.run() == {}


def test_accounts_deleted_longer_ago_are_proposed_and_a_person_has_to_approve(
    world: ServiceWorld, clock: LateClock
) -> None:
    old = delete(world, "1001")
    clock.later_ms = 30 * DAY_MS
    young = delete(world, "1002")
    set_policy(world, DELETED_ACCOUNTS, 7)
    assert world.service.privacy.retention.run() == {DELETED_ACCOUNTS: 1}
    (proposed,) = world.service.privacy.erasures.load_all(("requested",))
    assert (proposed.account, proposed.basis, proposed.policy) == (old.tag, "retention", DELETED_ACCOUNTS)
    assert set(world.service.vault.account_of([old.tag, young.tag])) == {old.tag, young.tag}
    done = world.service.privacy.erasures.approve(proposed.erasure, approved_by=GRACE)
    store = world.service.ledger.store
    entry = json.loads(next(iter(store.fetch_range(done.seq, done.seq + 1))).data)
    shown = (entry["basis"], entry["policy"], entry["actor"], entry["approved_by"])
    assert shown == ("retention", DELETED_ACCOUNTS, "system:retention", GRACE)


def test_what_was_decided_about_is_not_proposed_again(world: ServiceWorld, clock: LateClock) -> None:
    for number in ("1001", "1002"):
        delete(world, number)
    clock.later_ms = 30 * DAY_MS
    set_policy(world, DELETED_ACCOUNTS, 7)
    assert world.service.privacy.retention.run() == {DELETED_ACCOUNTS: 2}
    first, second = world.service.privacy.erasures.load_all(("requested",))
    world.service.privacy.erasures.withdraw(first.erasure, withdrawn_by=ADA)
    world.service.privacy.erasures.approve(second.erasure, approved_by=GRACE)
    assert world.service.privacy.retention.run() == {DELETED_ACCOUNTS: 0}


def test_a_held_account_is_not_proposed_and_its_bodies_stay(world: ServiceWorld, clock: LateClock) -> None:
    deleted, active = delete(world, "1001"), hold_event(world, "1002")
    for subject in (deleted, active):
        world.service.privacy.holds.place(placed_by=ADA, account=subject.tag)
    for policy in (DELETED_ACCOUNTS, EVENTS, DEAD_LETTERS):
        set_policy(world, policy, 1)
    clock.later_ms = 30 * DAY_MS
    assert not any(world.service.privacy.retention.run().values())
    assert world.service.privacy.book.count(active.tag)[BODIES] == 1
    for hold, _ in world.service.privacy.holds.load_all():
        world.service.privacy.holds.lift(hold.hold, lifted_by=ADA)
    done = world.service.privacy.retention.run()
    assert (done[DELETED_ACCOUNTS], done[EVENTS]) == (1, 1)
    assert world.service.privacy.book.count(active.tag)[BODIES] == 0


def test_dead_letters_go_with_bodies_that_nothing_else_waits_for(
    world: ServiceWorld, clock: LateClock
) -> None:
    dead, waiting = hold_event(world, "1001"), hold_event(world, "1002")
    with world.service.ledger.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE service_parcels SET state = 'dead' WHERE account = ?", (dead.tag,))
        connection.commit()
    set_policy(world, DEAD_LETTERS, 1)
    assert world.service.privacy.retention.run() == {DEAD_LETTERS: 0}
    clock.later_ms = 2 * DAY_MS
    assert world.service.privacy.retention.run() == {DEAD_LETTERS: 1}
    assert world.service.privacy.book.count(dead.tag)[BODIES] == 0
    assert world.service.privacy.book.count(waiting.tag)[BODIES] == 1


def test_addresses_of_deleted_accounts_go_and_those_of_others_stay(
    world: ServiceWorld, clock: LateClock
) -> None:
    deleted, active = delete(world, "1001"), world.new_account("1002")
    with world.service.ledger.engine.connect() as connection:
        for subject in (deleted, active):
            connection.exec_driver_sql(
                "INSERT INTO service_contacts (account, medium, sealed, updated_at_ms) VALUES (?, 'email', x'00', 0)",
                (subject.tag,),
            )
        connection.commit()
    set_policy(world, CONTACTS, 1)
    set_policy(world, NOTES, 1)
    clock.later_ms = 2 * DAY_MS
    assert world.service.privacy.retention.run() == {CONTACTS: 1, NOTES: 0}
    counts = [world.service.privacy.book.count(one.tag)["addresses"] for one in (deleted, active)]
    assert counts == [0, 1]


def note_attempt(world: ServiceWorld, subject: Subject) -> None:
    """A note of the account's one delivery, of long ago."""
    with world.service.ledger.engine.connect() as connection:
        connection.exec_driver_sql(
            "INSERT INTO service_notes (delivery, attempt, webhook, app, event_type, at_ms, outcome) "
            "SELECT delivery, 1, webhook, app, 'direct_message_events', 0, 'delivered' FROM service_parcels "
            "WHERE account = ?",
            (subject.tag,),
        )
        connection.commit()


def test_notes_of_a_held_accounts_deliveries_stay(world: ServiceWorld, clock: LateClock) -> None:
    held, other = hold_event(world, "1001"), hold_event(world, "1002")
    for subject in (held, other):
        note_attempt(world, subject)
    world.service.privacy.holds.place(placed_by=ADA, account=held.tag)
    set_policy(world, NOTES, 1)
    clock.later_ms = 2 * DAY_MS
    assert world.service.privacy.retention.run() == {NOTES: 1}
    counts = [world.service.privacy.book.count(one.tag)["notes of attempts"] for one in (held, other)]
    assert counts == [1, 0]


def test_who_was_found_since_is_held_before_anything_goes(tmp_path: Path) -> None:
    with DutiesWorld(tmp_path) as duties:
        privacy = duties.service.privacy
        privacy.holds.place(placed_by=ADA, incident=INCIDENT, hold="h-inc")
        duties.misdeliver(["d-9"], subjects=["5550009"])
        duties.assess()
        later = duties.service.vault.find(["5550009"])["5550009"]
        duties.service.duties.contacts.set_email(later, "late@home.example")
        expect(
            duties.service.ledger.sequencer.append(live_draft("account.deleted", ADA, {"account": later.tag}))
        )
        set_policy(duties.world, CONTACTS, 1)
        duties.clock.later_ms = 2 * DAY_MS
        # From the command line: no loop has come by.
        assert privacy.retention.run() == {CONTACTS: 0}
        assert privacy.book.count(later.tag)["addresses"] == 1
