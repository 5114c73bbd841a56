"""A database put back from a backup: what is appended is what was checked, and what the log tells is not done twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ledger.engines.codec import MsgspecCodec
from ledger.errors import ForkError, StoreError
from ledger.incidents.policies import DAY_MS
from ledger.ports import Block
from ledger.privacy.restoring import restore
from ledger.store.database_log import DatabaseLog
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.wiring.privacy import restore_from
from ledger.wiring.service import Service, open_service
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, OTHERS, DutiesWorld
from tests.support.service_world import ServiceWorld
from tests.support.smtp_server import FROM, MailWorld


def copy_database(source: Path, target: Path) -> str:
    """A backup of a live database, as SQLite makes one; its URL."""
    with sqlite3.connect(source) as live, sqlite3.connect(target) as copy:
        live.backup(copy)
    live.close()
    copy.close()
    return f"sqlite:///{target}"


@dataclass
class Changing:
    """A log that answers otherwise the second time that an entry is read: with another one in its place."""

    log: DatabaseLog
    seq: int
    reads: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def read_block(self, first: int, count: int) -> Block:
        block = self.log.read_block(first, count)
        if first <= self.seq < first + len(block.entries):
            self.reads += 1
            if self.reads > 1:
                block.entries[self.seq - first] = block.entries[self.seq - first].replace(b"a_", b"a_0")[:-1]
        return block


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        made.new_account("1001")
        yield made


def test_what_a_source_answers_the_second_time_is_held_against_what_was_checked(
    world: ServiceWorld, tmp_path: Path
) -> None:
    url = copy_database(tmp_path / "ledger.db", tmp_path / "backup.db")
    for number in range(2_000, 2_300):
        world.new_account(str(number))
    ledger = world.service.ledger
    ledger.sealer.seal()
    store = SqlEntryStore(open_engine(url))
    size = store.size()
    asked: dict[str, Any] = {
        "record": ledger.record,
        "codec": MsgspecCodec(),
        "origin": ledger.origin,
        "verifiers": [ledger.verifier],
        "on_progress": lambda *_: None,
    }
    source = DatabaseLog(ledger.settings.database_url)
    with pytest.raises(ForkError, match="answered otherwise from entry"):
        restore(store, Changing(source, size + 100), **asked)
    assert store.size() == size
    assert restore(store, source, **asked).size_after == ledger.store.size()
    assert [row.data for row in store.fetch_range(0, store.size())] == [
        row.data for row in ledger.store.fetch_range(0, store.size())
    ]


def test_a_restore_that_died_on_the_way_goes_on_where_it_ended(world: ServiceWorld, tmp_path: Path) -> None:
    url = copy_database(tmp_path / "ledger.db", tmp_path / "backup.db")
    for number in range(3_000, 3_600):
        world.new_account(str(number))
    ledger = world.service.ledger
    ledger.sealer.seal()
    store = SqlEntryStore(open_engine(url))
    source = DatabaseLog(ledger.settings.database_url)
    told: list[int] = []

    def die(done: int, _of: int) -> None:
        told.append(done)
        raise DyingError

    asked: dict[str, Any] = {"origin": ledger.origin, "verifiers": [ledger.verifier]}
    with pytest.raises(DyingError):
        restore(store, source, ledger.record, MsgspecCodec(), on_progress=die, **asked)
    assert [store.size()] == told
    assert store.size() < ledger.store.size()
    restore(store, source, ledger.record, MsgspecCodec(), on_progress=lambda *_: None, **asked)
    assert store.leaf_hashes(0, store.size()) == ledger.store.leaf_hashes(0, ledger.store.size())


class DyingError(Exception):
    """The process ends here."""


@dataclass
class Backed:
    """A ledger whose notices were sent and whose policy was shortened behind the backup, which is open as ``service``."""

    duties: DutiesWorld
    mail: MailWorld
    service: Service
    source: DatabaseLog

    def restore(self) -> None:
        restore_from(self.service, self.source, lambda *_: None)

    def told(self) -> list[str]:
        """Whom e-mail went to."""
        return sorted(recipient for recipient, _ in self.mail.mailbox.arrived)


@pytest.fixture
def backed(tmp_path: Path) -> Iterator[Backed]:
    with MailWorld(tmp_path / "mail") as mail:
        settings = {"smtp_url": mail.url, "mail_from": FROM}
        with DutiesWorld(tmp_path, settings=settings) as duties:
            for account_id in (GRANTING, *OTHERS):
                subject = duties.service.vault.find([account_id])[account_id]
                duties.duties.contacts.set_email(subject, f"u{account_id}@home.example")
            duties.duties.notices.queue(INCIDENT, actor=OPERATOR)
            duties.service.incidents.policies.set("retention.events", None, 90 * DAY_MS, OPERATOR)
            url = copy_database(tmp_path / "ledger.db", tmp_path / "backup.db")
            duties.duties.sender.run_once()
            tag = duties.people[0]
            (notice, *_) = duties.duties.notices.inbox(tag)
            duties.duties.notices.mark_read(tag, notice.notice.notice, f"account:{tag}")
            duties.service.incidents.policies.set("retention.events", None, 30 * DAY_MS, OPERATOR)
            duties.service.ledger.sealer.seal()
            source = DatabaseLog(duties.world.settings.database_url)
            put_back = replace(duties.world.settings, database_url=url, database_file=tmp_path / "backup.db")
            with open_service(put_back, duties.world.service_settings) as service:
                yield Backed(duties, mail, service, source)


def test_nobody_is_told_again_of_what_the_log_says_was_sent(backed: Backed) -> None:
    told = backed.told()
    assert len(told) == 3
    backed.restore()
    backed.service.duties.sender.run_once()
    assert backed.told() == told
    counts = {
        f"{one.medium} {one.state}": one.notices for one in backed.service.duties.notices.count(INCIDENT)
    }
    assert counts == {"email sent": 3, "inbox sent": 3}
    (notice, *_) = backed.service.duties.notices.inbox(backed.duties.people[0])
    assert notice.notice.read_at_ms is not None


def test_a_policy_that_was_set_since_counts_and_can_be_set_again(backed: Backed) -> None:
    backed.restore()
    policies = backed.service.incidents.policies
    assert policies.period_ms("retention.events") == 30 * DAY_MS
    assert not policies.set("retention.events", None, 30 * DAY_MS, OPERATOR)
    assert policies.set("retention.events", None, 20 * DAY_MS, OPERATOR)


def test_a_restore_that_died_before_the_rows_were_made_makes_them_when_it_is_run_again(
    backed: Backed,
) -> None:
    told = backed.told()
    rebuild = type(backed.service.privacy).rebuilding

    def die(_privacy: object) -> None:
        raise DyingError

    try:
        type(backed.service.privacy).rebuilding = property(die)  # type: ignore[assignment,method-assign]
        with pytest.raises(DyingError):
            backed.restore()
    finally:
        type(backed.service.privacy).rebuilding = rebuild  # type: ignore[method-assign]
    backed.restore()
    backed.service.duties.sender.run_once()
    assert backed.told() == told


def test_a_source_that_cannot_be_read_appends_nothing(world: ServiceWorld, tmp_path: Path) -> None:
    url = copy_database(tmp_path / "ledger.db", tmp_path / "backup.db")
    world.new_account("1002")
    ledger = world.service.ledger
    ledger.sealer.seal()
    store = SqlEntryStore(open_engine(url))
    size = store.size()
    (tmp_path / "broken.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError):
        restore(
            store,
            DatabaseLog(f"sqlite:///{tmp_path}/broken.db"),
            ledger.record,
            MsgspecCodec(),
            origin=ledger.origin,
            verifiers=[ledger.verifier],
            on_progress=lambda *_: None,
        )
    assert store.size() == size
