"""SIGKILL of a sending process at each step of a notice, then another process: nobody is ever told twice."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.incidents.sending import LEASE_MS
from ledger.settings import load_settings
from ledger.verifying import Asked, run_verification
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, OTHERS, DutiesWorld
from tests.support.smtp_server import FROM, Mailbox, MailWorld

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = [f"u{one}@a.example" for one in (GRANTING, *OTHERS)]
LATER_MS = LEASE_MS + 10_000

STEPS = [
    # Taken, and nothing has left: nobody can tell that from the outside.
    ("notices.taken", 1, 0),
    ("notices.handed_over", 1, 1),
    ("notices.handed_over", 2, 2),
    ("notices.handed_over", 3, 3),
    ("append.judged", 1, 3),
    ("store.append.guarded", 1, 3),
    ("store.append.inserted", 1, 3),
    ("store.append.committed", 1, 3),
    ("append.durable", 1, 3),
    ("append.acknowledging", 1, 3),
    ("notices.recorded", 1, 3),
]
"""Step, which time it is reached, and how many messages have arrived by then."""

RECORDED = frozenset({"store.append.committed", "append.durable", "append.acknowledging", "notices.recorded"})


@dataclass
class Site:
    """A ledger with three e-mails that wait, in a directory of its own, and the server that they go to."""

    environment: Mapping[str, str]
    mail: MailWorld

    def send(self, step: str = "", nth: int = 1, later_ms: int = 0) -> int:
        """Send in a process of its own; its exit status, negative by a signal."""
        environment = {
            **os.environ,
            **self.environment,
            "PYTHONPATH": str(ROOT),
            "GRANTLEDGER_SMTP_URL": self.mail.url,
            "GRANTLEDGER_MAIL_FROM": FROM,
        }
        command = [sys.executable, "-m", "tests.faults.notices_child", step, str(nth), str(later_ms)]
        return subprocess.run(command, env=environment, cwd=ROOT, timeout=120, check=False).returncode

    def arrived(self) -> Counter[str]:
        return Counter(to for to, _ in self.mail.mailbox.arrived)

    def states(self) -> Counter[str]:
        with closing(sqlite3.connect(self.environment["GRANTLEDGER_DB"])) as connection:
            rows = connection.execute("SELECT state FROM service_incident_notices WHERE medium = 'email'")
            return Counter(row[0] for row in rows)

    def check(self) -> None:
        """The log is whole, and says of each notice once that it was sent."""
        with closing(sqlite3.connect(self.environment["GRANTLEDGER_DB"])) as connection:
            (sent,) = connection.execute(
                "SELECT COUNT(*) FROM entries WHERE uid LIKE 'notice.sent/%/email'"
            ).fetchone()
        assert sent == 3
        report = run_verification(
            load_settings(self.environment), Asked(engine="scalar", remember=False), lambda *_: None
        ).report
        assert [finding.code for finding in report.findings if finding.severity == "I"] == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    directory = tmp_path_factory.mktemp("made")
    with DutiesWorld(directory) as world:
        world.duties.notices.queue(INCIDENT, actor=OPERATOR)
        world.duties.sender.run_once()
        for account_id, address in zip((GRANTING, *OTHERS), ADDRESSES, strict=True):
            subject = world.service.vault.find([account_id])[account_id]
            world.duties.contacts.set_email(subject, address)
        world.duties.notices.queue(INCIDENT, actor=OPERATOR)
        world.service.ledger.sealer.seal()
        return directory, dict(world.world.environment)


@pytest.fixture
def site(made: tuple[Path, Mapping[str, str]], tmp_path: Path) -> Site:
    directory, environment = made
    shutil.copytree(directory, tmp_path / "site")
    moved = {
        name: value.replace(str(directory), str(tmp_path / "site")) for name, value in environment.items()
    }
    return Site(moved, MailWorld(tmp_path))


@pytest.fixture(autouse=True)
def _stopped(site: Site) -> object:
    yield
    site.mail.stop()


@pytest.mark.parametrize(("step", "nth", "arrived"), STEPS)
def test_nobody_is_told_twice_wherever_the_sender_dies(site: Site, step: str, nth: int, arrived: int) -> None:
    assert site.send(step, nth) == -signal.SIGKILL
    assert site.arrived() == Counter(ADDRESSES if arrived == 3 else site.arrived().keys())
    assert sum(site.arrived().values()) == arrived
    # While the lease runs nobody touches them; when it is over they are told of, and not sent.
    assert site.send() == 0
    assert sum(site.arrived().values()) == arrived
    assert site.send(later_ms=LATER_MS) == 0
    assert sum(site.arrived().values()) == arrived
    assert site.states() == (Counter(sent=3) if step in RECORDED else Counter(unconfirmed=3))
    site.check()


def test_nobody_is_told_twice_when_it_dies_in_the_middle_of_a_message(site: Site) -> None:
    victims: list[int] = []

    class Deadly(Mailbox):
        async def handle_DATA(self, server, session, envelope):  # type: ignore[no-untyped-def]  # noqa: N802
            said = await super().handle_DATA(server, session, envelope)
            if victims:
                os.kill(victims.pop(), signal.SIGKILL)
            return said

    site.mail.stop()
    site.mail.mailbox = Deadly()
    site.mail.start()
    environment = {
        **os.environ,
        **site.environment,
        "PYTHONPATH": str(ROOT),
        "GRANTLEDGER_SMTP_URL": site.mail.url,
        "GRANTLEDGER_MAIL_FROM": FROM,
    }
    command = [sys.executable, "-m", "tests.faults.notices_child", "", "1", "0"]
    with subprocess.Popen(command, env=environment, cwd=ROOT) as child:
        victims.append(child.pid)
    assert child.returncode == -signal.SIGKILL
    assert sum(site.arrived().values()) == 1
    assert site.send(later_ms=LATER_MS) == 0
    assert site.states() == Counter(unconfirmed=3)
    assert sum(site.arrived().values()) == 1
    site.check()


def test_what_waits_goes_out_once_when_nothing_dies(site: Site) -> None:
    assert site.send() == 0
    assert site.send(later_ms=LATER_MS) == 0
    assert site.arrived() == Counter(ADDRESSES)
    assert site.states() == Counter(sent=3)
    site.check()
