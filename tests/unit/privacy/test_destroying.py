"""What the entry says is made true: through failures, deliveries under way, and what comes in late."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, text

from ledger.core.export_filter import Filter
from ledger.errors import StoreError, UsageError
from ledger.exports.forgetting import ExportCopies
from ledger.exports.parts import Question
from ledger.exports.places import Places
from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.ports.privacy import Forgotten
from ledger.ports.vault import Subject
from ledger.privacy.destroying import BUSY, SWEPT_AFTER_MS
from ledger.store.cleaning import NOT_OWNER
from ledger.store.entries import SqlEntryStore
from ledger.wiring.ledger import Ledger
from ledger.wiring.service import Service, open_service
from ledger.wiring.surroundings import SYSTEM_CLOCK
from tests.support.duties_world import GRANTING, INCIDENT, DutiesWorld
from tests.support.postgresql import SERVICE_ROLE, PostgresqlServer
from tests.support.service_world import ServiceWorld, payload
from tests.support.smtp_server import FROM, MailWorld

ADA, GRACE = "operator:ada", "operator:grace"
PERSON = "3001969357"
BODIES = "bodies that wait or could be replayed"

STEPS = [
    ("erasure.grants_ended", 1),
    ("append.judged", 2),
    ("store.append.inserted", 2),
    ("store.append.committed", 2),
    ("append.durable", 2),
    ("append.acknowledging", 2),
    ("erasure.appended", 1),
    ("erasure.cleared", 1),
    ("erasure.marked", 1),
    ("erasure.key_destroyed", 1),
    ("erasure.purged", 1),
    ("erasure.copies_removed", 1),
    ("erasure.noted", 1),
    ("erasure.cleaned", 1),
]
"""Before and after each write; those of the store fail with the write done, or not done, and nobody told which."""


class Failing:
    """Raises when ``step`` is reached for the ``nth`` time after it was armed."""

    def __init__(self) -> None:
        self._step = ""
        self._left = 0

    def arm(self, step: str, nth: int) -> None:
        self._step, self._left = step, nth

    def reached(self, step: str) -> None:
        if step == self._step and self._left:
            self._left -= 1
            if not self._left:
                raise StoreError("the disk is gone")


class LateClock:
    """The system's clock, later by as much as a test says."""

    def __init__(self) -> None:
        self.later_ms = 0

    def now_ms(self) -> int:
        return SYSTEM_CLOCK.now_ms() + self.later_ms


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
def clock() -> LateClock:
    return LateClock()


@pytest.fixture
def world(tmp_path: Path, failing: Failing, clock: LateClock) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        ledger: Ledger = made.service.ledger
        ledger.store = SqlEntryStore(ledger.engine, failing.reached)
        ledger.reached = failing.reached
        made.service.clock = ledger.clock = clock
        yield made


def subscribed(world: ServiceWorld, account_id: str = PERSON) -> Subject:
    app = world.new_app(f"App {account_id}")
    subject = world.new_account(account_id)
    world.subscribe(app, world.new_webhook(app, path=f"/hooks/{account_id}"), subject)
    return subject


def offer(world: ServiceWorld, account_id: str = PERSON) -> None:
    offered = payload("direct_message_events")
    offered["for_user_id"] = account_id
    (taken,) = world.service.intake.accept([OfferedEvent(offered)])
    assert isinstance(taken, Accepted), taken


def ask(service: Service, subject: Subject) -> str:
    return service.privacy.erasures.request(subject, basis="request", requested_by=ADA).erasure


@pytest.mark.parametrize(("step", "nth"), STEPS)
def test_a_failure_at_any_step_is_told_and_the_same_call_again_erases(
    world: ServiceWorld, failing: Failing, step: str, nth: int
) -> None:
    subject = subscribed(world)
    offer(world)
    erasure = ask(world.service, subject)
    failing.arm(step, nth)
    try:
        world.service.privacy.erasures.approve(erasure, approved_by=GRACE)
    except StoreError:
        pass
    else:
        # The writer looked, and found that the write had happened, or made it again.
        assert step.startswith(("store.", "append."))
    done = world.service.privacy.erasures.approve(erasure, approved_by=GRACE)
    assert done.state == "clean"
    assert not world.service.vault.account_of([subject.tag])
    assert set(world.service.privacy.book.count(subject.tag).values()) == {0}
    store = world.service.ledger.store
    found = [row for row in store.fetch_range(0, store.size()) if b'"kind":"subject.erased"' in row.data]
    assert len(found) == 1
    assert world.verify().exit_status == 0


def test_a_delivery_under_way_is_called_off_before_its_first_byte(world: ServiceWorld) -> None:
    subject = subscribed(world)
    offer(world)
    erasure = ask(world.service, subject)
    reached = world.service.ledger.reached
    erased = threading.Event()

    def erase_at(step: str) -> None:
        reached(step)
        if step == "delivering.entered" and not erased.is_set():
            # The permit is in hand, and no byte has left.
            world.service.privacy.erasures.approve(erasure, approved_by=GRACE)
            erased.set()

    world.service.ledger.reached = erase_at
    dispatcher = world.service.dispatcher
    (leased,) = dispatcher.claim()
    dispatcher.step(leased)
    assert erased.is_set()
    assert world.arrivals.all == []
    assert not world.service.vault.account_of([subject.tag])
    store = world.service.ledger.store
    settled = [row.data for row in store.fetch_range(0, store.size()) if b'"delivery.settled"' in row.data]
    assert len(settled) == 1
    assert b'"disclosure":"none"' in settled[0]
    assert world.verify().exit_status == 0


def test_what_came_in_while_a_person_was_erased_is_swept_out_later(
    world: ServiceWorld, clock: LateClock
) -> None:
    subject = subscribed(world)
    offer(world)
    with world.service.ledger.engine.connect() as connection:
        kept = connection.execute(text("SELECT * FROM service_events")).mappings().one()
    erasure = ask(world.service, subject)
    assert world.service.privacy.erasures.approve(erasure, approved_by=GRACE).state == "clean"
    with world.service.ledger.engine.connect() as connection:
        # A call that had met the person before, and was slow.
        names = ", ".join(kept.keys())
        marks = ", ".join(f":{name}" for name in kept)
        connection.execute(text(f"INSERT INTO service_events ({names}) VALUES ({marks})"), dict(kept))
        connection.commit()
    assert world.service.privacy.destroyer.run_once() == 0
    assert world.service.privacy.book.count(subject.tag)[BODIES] == 1
    clock.later_ms = SWEPT_AFTER_MS + 1
    assert world.service.privacy.destroyer.run_once() == 1
    assert world.service.privacy.book.count(subject.tag)[BODIES] == 0
    assert world.service.privacy.erasures.load(erasure).state == "done"


def test_a_vault_that_knows_somebody_erased_forgets_at_the_next_start(world: ServiceWorld) -> None:
    subject = subscribed(world)
    with world.service.ledger.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM vault_subjects")).mappings().all()
    world.service.privacy.erasures.approve(ask(world.service, subject), approved_by=GRACE)
    with world.service.ledger.engine.connect() as connection:
        # As an older copy of the database has it: the person, and no mark.
        connection.execute(text("DELETE FROM vault_erased"))
        for one in row:
            values = ", ".join(f":{name}" for name in one)
            connection.execute(
                text(f"INSERT INTO vault_subjects VALUES ({values}) ON CONFLICT DO NOTHING"), dict(one)
            )
        connection.commit()
    assert world.service.vault.account_of([subject.tag])
    assert world.service.privacy.prepare() == 1
    assert not world.service.vault.account_of([subject.tag])
    assert world.service.vault.erased_among([PERSON]) == {PERSON}
    assert world.service.privacy.prepare() == 0


def test_a_service_role_destroys_the_rows_and_says_that_the_owner_has_to_rewrite_the_tables(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    with (
        postgresql_server.database(with_tables=True) as name,
        ServiceWorld(tmp_path, database=postgresql_server.url(name)) as world,
    ):
        subject = subscribed(world)
        erasure = ask(world.service, subject)
        served = replace(world.settings, database_url=postgresql_server.url(name, SERVICE_ROLE))
        with open_service(served, world.service_settings) as service:
            done = service.privacy.erasures.approve(erasure, approved_by=GRACE)
            assert (done.state, done.left) == ("erased", NOT_OWNER)
            assert not service.vault.account_of([subject.tag])
        world.service.privacy.destroyer.run_once()
        assert world.service.privacy.erasures.load(erasure).state == "clean"


def export_of(world: ServiceWorld, subject: Subject) -> str:
    """A bag that says in clear who ``subject`` is, which nobody has approved yet."""
    world.service.ledger.sealer.seal()
    wanted = Filter(accounts=(subject.tag,))
    question = Question("A regulator", "case-1", "Art. 58", wanted, ADA, (), "identities")
    return world.service.exports.create(question).export


def test_a_bag_that_somebody_works_on_is_waited_for(world: ServiceWorld) -> None:
    subject = subscribed(world)
    export = export_of(world, subject)
    erasure = ask(world.service, subject)
    bag = world.service.exports.bag_of(export)
    with Places(bag.parent).turn(export):
        done = world.service.privacy.erasures.approve(erasure, approved_by=GRACE)
        assert (done.state, done.left) == ("erasing", BUSY)
        assert bag.exists()
    assert world.service.privacy.destroyer.run_once() > 0
    assert not bag.exists()
    assert world.service.privacy.erasures.load(erasure).state == "clean"


def test_what_a_killed_run_left_of_a_bag_goes_and_a_run_under_way_is_waited_for(world: ServiceWorld) -> None:
    subject = subscribed(world)
    export = export_of(world, subject)
    bag = world.service.exports.bag_of(export)
    making = bag.with_name(f".{export}-2.making")
    bag.rename(making)
    copies = ExportCopies(Places(bag.parent))
    with flock_of(bag.with_name(f".{export}-2.lock")):
        assert copies.forget([subject.tag]) == Forgotten(0, is_busy=True)
        assert making.exists()
    assert copies.forget([subject.tag]) == Forgotten(0, is_busy=False)
    assert not making.exists()


@contextmanager
def flock_of(path: Path) -> Iterator[None]:
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def test_an_export_whose_bag_was_removed_says_so_when_it_is_approved(world: ServiceWorld) -> None:
    subject = subscribed(world)
    export = export_of(world, subject)
    world.service.privacy.erasures.approve(ask(world.service, subject), approved_by=GRACE)
    with pytest.raises(UsageError, match="no directory with an export in it"):
        world.service.exports.approve(export, GRACE)


def test_a_bag_that_was_put_back_from_a_backup_goes_at_the_next_start_and_others_stay(
    world: ServiceWorld, tmp_path: Path
) -> None:
    subject, other = subscribed(world), subscribed(world, "8800")
    bag, of_other = (world.service.exports.bag_of(export_of(world, whose)) for whose in (subject, other))
    shutil.copytree(bag, tmp_path / "backup")
    world.service.privacy.erasures.approve(ask(world.service, subject), approved_by=GRACE)
    shutil.copytree(tmp_path / "backup", bag)
    assert world.service.privacy.prepare() == 0
    assert (bag.exists(), of_other.exists()) == (False, True)


def test_a_bag_that_cannot_be_read_is_told_and_not_passed_by(world: ServiceWorld) -> None:
    subject = subscribed(world)
    bag = world.service.exports.bag_of(export_of(world, subject))
    (bag / "data/openings/openings.jsonl").write_text("{\n")
    with pytest.raises(StoreError, match="grantledger erase clean"):
        ExportCopies(Places(bag.parent)).forget([subject.tag])


def test_what_a_replay_cannot_finish_is_finished_later(world: ServiceWorld, clock: LateClock) -> None:
    subject = subscribed(world)
    erasure = ask(world.service, subject)
    engine = world.service.ledger.engine
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM vault_subjects")).mappings().one()
    world.service.privacy.erasures.approve(erasure, approved_by=GRACE)
    with engine.connect() as connection:
        # As an older copy of the database has it: the person, and not even the request.
        connection.execute(text("DELETE FROM vault_erased"))
        connection.execute(text("DELETE FROM privacy_erasures"))
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO vault_subjects VALUES ({values})"), dict(row))
        connection.commit()
    # Waiting for the reader would be in vain.
    event.listen(engine, "checkout", lambda driver, *_: driver.execute("PRAGMA busy_timeout = 50"))
    with sqlite3.connect(world.directory / "ledger.db", isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM vault_subjects").fetchone()
        assert world.service.privacy.prepare() == 1
        (adopted,) = world.service.privacy.erasures.load_all(("erased",))
        reader.execute("ROLLBACK")
    reader.close()
    assert (adopted.account, adopted.requested_by, adopted.decided_by) == (subject.tag, ADA, GRACE)
    world.service.privacy.destroyer.run_once()
    assert world.service.privacy.erasures.load(adopted.erasure).state == "clean"
    clock.later_ms = SWEPT_AFTER_MS + 1_000
    world.service.privacy.destroyer.run_once()
    assert world.service.privacy.erasures.load(adopted.erasure).state == "done"


def test_a_notice_that_is_on_its_way_is_recorded_and_leaves_no_row(tmp_path: Path) -> None:
    with MailWorld(tmp_path / "mail") as mail:
        settings = {"smtp_url": mail.url, "mail_from": FROM}
        with DutiesWorld(tmp_path, settings=settings) as duties:
            service = duties.service
            subject = service.vault.find([GRANTING])[GRANTING]
            duties.duties.contacts.set_email(subject, "evelyn@home.example")
            duties.duties.notices.queue(INCIDENT, actor=ADA)
            erasure = ask(service, subject)

            def erase_at(step: str) -> None:
                if step == "notices.handed_over":
                    service.privacy.erasures.approve(erasure, approved_by=GRACE)

            service.ledger.reached = erase_at
            duties.duties.sender.run_once()
            assert [one.account for one in duties.entries("notice.sent") if one.medium == "email"] == [
                subject.tag
            ]
            assert len(mail.mailbox.to("evelyn@home.example")) == 1
            assert set(service.privacy.erasures.plan(subject.tag).destroyed.values()) == {0}
            duties.duties.notices.queue(INCIDENT, actor=ADA)
            duties.duties.sender.run_once()
            assert len(mail.mailbox.arrived) == 1
            assert set(service.privacy.erasures.plan(subject.tag).destroyed.values()) == {0}


def test_a_notice_that_waits_is_not_sent_to_an_erased_person(tmp_path: Path) -> None:
    with MailWorld(tmp_path / "mail") as mail:
        settings = {"smtp_url": mail.url, "mail_from": FROM}
        with DutiesWorld(tmp_path, settings=settings) as duties:
            service = duties.service
            subject = service.vault.find([GRANTING])[GRANTING]
            duties.duties.contacts.set_email(subject, "evelyn@home.example")
            duties.duties.notices.queue(INCIDENT, actor=ADA)
            erasure = ask(service, subject)

            def erase_at(step: str) -> None:
                # Taken by the sender, and its address not opened yet.
                if step == "notices.taken":
                    service.privacy.erasures.approve(erasure, approved_by=GRACE)

            service.ledger.reached = erase_at
            duties.duties.sender.run_once()
            assert mail.mailbox.arrived == []
            told = [one.medium for one in duties.entries("notice.given_up") if one.account == subject.tag]
            assert "email" in told
