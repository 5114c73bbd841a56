"""A served ledger sends notices, tells developers and notes what is overdue by itself, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.incidents.policies import DAY_MS
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, DutiesWorld
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import wait_for
from tests.support.smtp_server import FROM, MailWorld


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, postgresql_server: PostgresqlServer) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
    else:
        with postgresql_server.database(with_tables=False) as name:
            yield postgresql_server.url(name)


def test_what_is_queued_goes_out_and_what_is_late_is_noted(tmp_path: Path, database: str | None) -> None:
    with MailWorld(tmp_path) as mail:
        settings = {"smtp_url": mail.url, "mail_from": FROM, "follow_seconds": 0.0}
        with DutiesWorld(tmp_path, settings=settings, database=database) as world:
            subject = world.service.vault.find([GRANTING])[GRANTING]
            world.duties.contacts.set_email(subject, "ann@a.example")
            world.world.serve(("api", "dispatch", "audit"))
            world.duties.notices.queue(INCIDENT, actor=OPERATOR)
            world.duties.obligations.open(INCIDENT, actor=OPERATOR)
            wait_for(lambda: mail.mailbox.arrived)
            wait_for(lambda: world.notices() == {"email sent": 1, "inbox sent": 3})
            wait_for(lambda: world.entries("obligation.notified"))
            world.clock.later_ms = 2 * DAY_MS
            wait_for(lambda: world.entries("obligation.overdue"))
            (found,) = world.duties.obligations.load_all()
            assert (found.state, found.overdue) == ("OVERDUE", ("acknowledge",))
        assert len(mail.mailbox.arrived) == 1
