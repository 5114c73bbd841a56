"""Notices through a real service and a real SMTP server: to exactly the people affected, once each and medium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.core.standard_webhooks import is_signed, parse_secret
from ledger.errors import RejectedError, StoreError, UsageError
from ledger.incidents.attestations import Claim
from ledger.incidents.sending import RETRY_WAITS_MS
from ledger.transport.mail import SmtpServer, parse_mail_url
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, OTHERS, DutiesWorld
from tests.support.smtp_server import FROM, MailWorld
from tests.unit.incidents.attesting import register, signed


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailWorld]:
    with MailWorld(tmp_path) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, mail: MailWorld) -> Iterator[DutiesWorld]:
    settings = {"smtp_url": mail.url, "mail_from": FROM}
    with DutiesWorld(tmp_path, settings=settings) as made:
        yield made


def address(world: DutiesWorld, account_id: str, text: str) -> None:
    subject = world.service.vault.find([account_id])[account_id]
    world.duties.contacts.set_email(subject, text)


def address_all(world: DutiesWorld) -> None:
    for account_id in (GRANTING, *OTHERS):
        address(world, account_id, f"u{account_id}@a.example")


def test_everybody_affected_is_queued_once_and_nobody_else(world: DutiesWorld) -> None:
    world.world.new_account("4242")
    address(world, "5550001", "bob@a.example")
    queued = world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert (queued.people, queued.queued, queued.known, queued.erased) == (3, 4, 0, 0)
    entries = world.entries("notice.queued")
    assert sorted({entry.account for entry in entries}) == world.people
    assert sorted(entry.medium for entry in entries) == ["email", "inbox", "inbox", "inbox"]
    again = world.duties.notices.queue(INCIDENT, actor="operator:other")
    assert (again.queued, again.known) == (0, 4)
    assert len(world.entries("notice.queued")) == 4


def test_a_later_revision_tells_those_who_are_new_and_retells_the_others(world: DutiesWorld) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.misdeliver(["d-9"], subjects=["5550009"])
    world.assess()
    queued = world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert (queued.people, queued.queued) == (4, 1)
    tag = world.service.vault.find([GRANTING])[GRANTING].tag
    world.duties.sender.run_once()
    (told,) = world.duties.notices.inbox(tag)
    assert told.notice.revision == 2
    assert "5 times" in told.text


def test_a_notice_says_what_when_to_whom_and_what_became_of_it(world: DutiesWorld, mail: MailWorld) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    (message,) = mail.mailbox.to(f"u{OTHERS[0]}@a.example")
    text = str(message.get_content())
    assert "direct messages that you wrote or received" in text
    assert "4 times" in text
    assert "To whom: OtherDesk Ltd." in text
    assert "OtherDesk Ltd has not been asked to delete it yet." in text
    assert "You have not allowed any of this" in text
    (mine,) = mail.mailbox.to(f"u{GRANTING}@a.example")
    assert "Of your account this went to somebody" in str(mine.get_content())
    assert world.notices() == {"email sent": 3, "inbox sent": 3}


def test_the_inbox_follows_what_the_developer_says_since(world: DutiesWorld) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    tag = world.people[0]
    register(world)
    (opened,) = world.duties.obligations.open(INCIDENT, actor=OPERATOR)
    assert "has not answered yet" in world.duties.notices.inbox(tag)[0].text
    world.duties.attestations.take(opened.obligation, signed(opened.obligation), "developer:key")
    assert "Nobody has verified that yet." in world.duties.notices.inbox(tag)[0].text


def test_the_template_of_what_was_sent_is_in_the_log(world: DutiesWorld) -> None:
    import hashlib
    from importlib.resources import files

    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    (template,) = {entry.template for entry in world.entries("notice.queued")}
    source = (files("ledger.incidents") / "templates" / "inbox.txt").read_bytes()
    assert template == hashlib.sha256(source).hexdigest()


def test_no_address_is_in_log_or_database(world: DutiesWorld, mail: MailWorld, tmp_path: Path) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    assert len(mail.mailbox.arrived) == 3
    for path in tmp_path.glob("ledger.db*"):
        assert b"@a.example" not in path.read_bytes(), path


def test_reading_is_noted_once_and_only_for_ones_own(world: DutiesWorld) -> None:
    desk = world.duties.notices
    desk.queue(INCIDENT, actor=OPERATOR)
    tag, other = world.people[:2]
    world.duties.sender.run_once()
    (told,) = desk.inbox(tag)
    with pytest.raises(RejectedError):
        desk.mark_read(other, told.notice.notice, f"account:{other}")
    first = desk.mark_read(tag, told.notice.notice, f"account:{tag}")
    world.clock.later_ms = 5_000
    assert desk.mark_read(tag, told.notice.notice, f"account:{tag}") == first
    assert [entry.account for entry in world.entries("notice.read")] == [tag]
    assert sum(one.read for one in desk.count(INCIDENT)) == 1


def test_nothing_is_in_an_inbox_before_its_entry_says_so(world: DutiesWorld) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert world.duties.notices.inbox(world.people[0]) == []
    assert world.duties.sender.run_once().sent == 3
    assert len(world.entries("notice.sent")) == 3
    assert world.duties.sender.run_once().sent == 0


def test_a_server_that_is_away_is_tried_again_later_and_then_everybody_has_it_once(
    world: DutiesWorld, mail: MailWorld
) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    mail.stop()
    assert world.duties.sender.run_once().failed == 1
    assert world.notices() == {"email waiting": 3, "inbox sent": 3}
    mail.start()
    world.clock.later_ms = RETRY_WAITS_MS[0] + 1_000
    assert world.duties.sender.run_once().sent == 3
    assert sorted(to for to, _ in mail.mailbox.arrived) == sorted(
        f"u{one}@a.example" for one in (GRANTING, *OTHERS)
    )
    (failed,) = world.entries("notice.failed")
    assert (failed.reason, failed.attempt) == ("smtp.unreached", 1)


def test_what_is_refused_for_good_is_given_up_at_once(world: DutiesWorld, mail: MailWorld) -> None:
    address(world, GRANTING, "ann@a.example")
    mail.mailbox.refuse = {"ann@a.example": "550 who?"}
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert world.duties.sender.run_once().given_up == 1
    (entry,) = world.entries("notice.given_up")
    assert (entry.reason, entry.attempt) == ("smtp.550", 1)
    assert world.duties.sender.run_once().given_up == 0


def test_waits_grow_and_end(world: DutiesWorld, mail: MailWorld) -> None:
    address(world, GRANTING, "ann@a.example")
    mail.mailbox.answer = "451 later"
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    for wait_ms in RETRY_WAITS_MS:
        assert world.duties.sender.run_once().failed == 1
        assert world.duties.sender.run_once().failed == 0
        world.clock.later_ms += wait_ms + 1_000
    assert world.duties.sender.run_once().given_up == 1
    assert len(world.entries("notice.failed")) == len(RETRY_WAITS_MS)
    assert mail.mailbox.arrived == []


def test_what_the_server_took_without_an_answer_is_never_sent_again(
    world: DutiesWorld, mail: MailWorld
) -> None:
    address(world, GRANTING, "ann@a.example")
    mail.mailbox.is_cutting = True
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert world.duties.sender.run_once().unconfirmed == 1
    mail.mailbox.is_cutting = False
    world.clock.later_ms = 86_400_000
    assert world.duties.sender.run_once().sent == 0
    assert len(mail.mailbox.arrived) == 1
    (entry,) = [one for one in world.entries("notice.sent") if one.medium == "email"]
    assert entry.reason == "unconfirmed"


def test_what_was_sent_and_not_recorded_is_never_sent_again(
    world: DutiesWorld, mail: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)

    def fail(*_: object, **__: object) -> None:
        raise StoreError("failed on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(world.service.ledger.sequencer, "append_many", fail)
        with pytest.raises(StoreError):
            world.duties.sender.run_once()
    assert len(mail.mailbox.arrived) == 3
    assert world.notices() == {"email sending": 3, "inbox sent": 3}
    world.duties.sender.run_once()
    assert len(mail.mailbox.arrived) == 3
    assert world.notices() == {"email sent": 3, "inbox sent": 3}


def test_without_a_mail_server_mail_waits_and_inboxes_do_not(tmp_path: Path) -> None:
    with DutiesWorld(tmp_path) as world:
        address_all(world)
        world.duties.notices.queue(INCIDENT, actor=OPERATOR)
        world.duties.sender.run_once()
        assert world.notices() == {"email waiting": 3, "inbox sent": 3}


def test_somebody_who_was_erased_is_not_told_and_is_counted(world: DutiesWorld, mail: MailWorld) -> None:
    address_all(world)
    world.service.vault.erase([world.service.vault.find([OTHERS[0]])[OTHERS[0]].tag])
    queued = world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert (queued.erased, queued.queued) == (1, 4)


def test_somebody_who_is_erased_after_queuing_gets_nothing(world: DutiesWorld, mail: MailWorld) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.service.vault.erase([world.service.vault.find([OTHERS[0]])[OTHERS[0]].tag])
    world.duties.sender.run_once()
    assert mail.mailbox.to(f"u{OTHERS[0]}@a.example") == []
    assert world.notices()["email given_up"] == 1


def test_a_business_is_told_by_a_signed_webhook_that_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DutiesWorld(tmp_path) as world:
        subject = world.service.vault.find([GRANTING])[GRANTING]
        secret = world.duties.contacts.set_webhook(subject, "https://c.example/incidents")
        world.duties.notices.queue(INCIDENT, actor=OPERATOR)
        # The receiver knows no secret of ours yet, and says so.
        assert world.duties.sender.run_once().failed == 1
        assert [entry.reason for entry in world.entries("notice.failed")] == ["http.403"]
        monkeypatch.setattr(world.world.receiver, "_secret_of", lambda *_: secret)
        world.clock.later_ms = RETRY_WAITS_MS[0] + 1_000
        assert world.duties.sender.run_once().sent == 1
        arrived = world.world.arrivals.at("c.example")
        assert len({one.delivery for one in arrived}) == 1
        headers = arrived[-1].headers
        assert is_signed(
            parse_secret(secret),
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            arrived[-1].body,
            headers["webhook-signature"],
        )
        told = json.loads(arrived[-1].body)["incident_notice"]
        assert told["details"]["deliveries"] == 4
        assert world.duties.sender.run_once().sent == 0


def test_an_unknown_or_unassessed_incident_is_refused(world: DutiesWorld) -> None:
    with pytest.raises(UsageError, match="no incident"):
        world.duties.notices.queue("i-9", actor=OPERATOR)
    with pytest.raises(UsageError, match="no revision 7"):
        world.duties.notices.queue(INCIDENT, 7, actor=OPERATOR)


@pytest.mark.parametrize("text", ["", "a@b\nc", "a b@c.example", "no", "ä@b.example", "a@-b.example"])
def test_an_address_that_is_none_is_refused(world: DutiesWorld, text: str) -> None:
    with pytest.raises(RejectedError):
        address(world, GRANTING, text)
    subject = world.service.vault.find([GRANTING])[GRANTING]
    with pytest.raises(RejectedError):
        world.duties.contacts.set_webhook(subject, "http://10.0.0.1/x")


def test_the_mail_settings_of_the_service_are_used(world: DutiesWorld, mail: MailWorld) -> None:
    settings = parse_mail_url(mail.url, FROM)
    assert SmtpServer(settings, world.clock).connect() is not None
    assert world.service.settings.mail_from == FROM


def change_rows(world: DutiesWorld, statement: str) -> None:
    """What a backup that was put back, or somebody with the database, does to rows beside the log."""
    with world.service.ledger.engine.begin() as connection:
        connection.execute(text(statement))


def test_a_server_that_wants_nothing_from_us_costs_nobody_the_notice(
    world: DutiesWorld, mail: MailWorld
) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    mail.mailbox.refuse_sender = "550 5.7.1 this sender is not allowed"
    done = world.duties.sender.run_once()
    assert (done.failed, done.given_up) == (1, 0)
    mail.mailbox.refuse_sender = ""
    world.clock.later_ms = RETRY_WAITS_MS[0] + 1_000
    assert world.duties.sender.run_once().sent == 3


def test_a_server_that_is_away_is_left_alone_for_a_while_by_all(world: DutiesWorld, mail: MailWorld) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    mail.stop()
    assert [world.duties.sender.run_once().failed for _ in range(5)] == [1, 0, 0, 0, 0]
    assert len(world.entries("notice.failed")) == 1


def test_an_address_that_was_altered_stops_nobody_elses_mail(world: DutiesWorld, mail: MailWorld) -> None:
    address_all(world)
    tag = world.service.vault.find([GRANTING])[GRANTING].tag
    change_rows(world, f"UPDATE service_contacts SET sealed = x'00' WHERE account = '{tag}'")
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    done = world.duties.sender.run_once()
    assert (done.sent, done.failed) == (5, 1)
    assert sorted(to for to, _ in mail.mailbox.arrived) == [f"u{one}@a.example" for one in OTHERS]
    assert [entry.reason for entry in world.entries("notice.failed")] == ["address_unusable"]


@pytest.mark.parametrize(
    "rows",
    [
        "UPDATE service_incident_notices SET state = 'waiting', attempt = 0, sent_at_ms = NULL",
        "UPDATE service_incident_notices SET state = 'sending', lease_until_ms = 1, sent_at_ms = NULL",
        "DELETE FROM service_incident_notices",
    ],
)
def test_rows_of_a_backup_tell_nobody_twice_and_are_put_right_by_the_log(
    world: DutiesWorld, mail: MailWorld, rows: str
) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    size = world.service.ledger.store.size()
    change_rows(world, rows)
    assert world.duties.notices.queue(INCIDENT, actor=OPERATOR).queued == 0
    done = world.duties.sender.run_once()
    assert (done.sent, done.unconfirmed, len(mail.mailbox.arrived)) == (0, 0, 3)
    assert world.notices() == {"email sent": 3, "inbox sent": 3}
    assert world.duties.notices.inbox(world.people[0])[0].notice.sent_at_ms is not None
    assert world.service.ledger.store.size() == size


def test_what_was_sent_and_could_not_be_recorded_twice_is_recorded_in_the_end(
    world: DutiesWorld, mail: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)

    def fail(*_: object, **__: object) -> None:
        raise StoreError("failed on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(world.service.ledger.sequencer, "append_many", fail)
        for _ in range(2):
            with pytest.raises(StoreError):
                world.duties.sender.run_once()
    world.duties.sender.run_once()
    assert (len(mail.mailbox.arrived), world.notices()["email sent"]) == (3, 3)


def erase(world: DutiesWorld, account_id: str) -> str:
    """Erase somebody as it is done: asked for, approved by a second person; the tag."""
    subject = world.service.vault.find([account_id])[account_id]
    erasures = world.service.privacy.erasures
    asked = erasures.request(subject, basis="request", requested_by="operator:ada")
    erasures.approve(asked.erasure, approved_by="operator:grace", with_files=False)
    return subject.tag


def given_up(world: DutiesWorld) -> list[tuple[str, str, str]]:
    return [(one.account, one.medium, one.reason) for one in world.entries("notice.given_up")]


def test_of_somebody_who_was_erased_before_the_log_says_that_nobody_can_be_told(world: DutiesWorld) -> None:
    tag = erase(world, OTHERS[0])
    for _ in range(2):
        assert world.duties.notices.queue(INCIDENT, actor=OPERATOR).erased == 1
    world.duties.sender.run_once()
    assert given_up(world) == [(tag, "inbox", "erased")]


def test_what_was_queued_to_somebody_who_was_erased_since_has_its_end_in_the_log(world: DutiesWorld) -> None:
    address_all(world)
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    tag = erase(world, OTHERS[0])
    assert world.duties.sender.run_once().given_up == 2
    assert given_up(world) == [(tag, "inbox", "erased"), (tag, "email", "erased")]
    assert world.duties.sender.run_once().given_up == 0
    assert world.duties.notices.queue(INCIDENT, actor=OPERATOR).queued == 0


def test_somebody_who_was_told_and_then_erased_was_told(world: DutiesWorld) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    erase(world, OTHERS[0])
    world.duties.sender.run_once()
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    assert given_up(world) == []


def test_nobody_whom_the_log_does_not_erase_counts_as_erased(world: DutiesWorld) -> None:
    world.service.vault.erase([world.service.vault.find([OTHERS[0]])[OTHERS[0]].tag])
    assert world.duties.notices.queue(INCIDENT, actor=OPERATOR).erased == 1
    assert given_up(world) == []


def test_people_read_what_a_developer_has_signed_of_it(world: DutiesWorld) -> None:
    world.duties.notices.queue(INCIDENT, actor=OPERATOR)
    world.duties.sender.run_once()
    register(world)
    (opened,) = world.duties.obligations.open(INCIDENT, actor=OPERATOR)
    claims = (Claim(0, 2, "deleted"), Claim(3, 3, "forwarded", ("Acme",)))
    world.duties.attestations.take(
        opened.obligation, signed(opened.obligation, claims=claims), "developer:key"
    )
    (told,) = world.duties.notices.inbox(world.people[0])
    assert "(of 4 deliveries to it: 3 deleted, 1 passed on to others)" in told.text
