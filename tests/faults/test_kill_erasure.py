"""SIGKILL at each step of an erasure, then another process: what the log says is destroyed is, and nothing half."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.core.export_filter import Filter
from ledger.exports.parts import Question
from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.verifying import Asked, run_verification
from ledger.wiring.service import Service, open_service
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ServiceWorld, payload

ROOT = Path(__file__).resolve().parents[2]
PERSON = "3001969357"
REQUESTER = "operator:ada"

BEFORE = [
    ("erasure.grants_ended", 1),
    # The second append is that of the deletion and the erasure; the first one ends the grant.
    ("append.judged", 2),
    ("store.append.guarded", 2),
    ("store.append.inserted", 2),
]
"""Nothing says yet that the person is erased."""
BEHIND = [
    ("store.append.committed", 2),
    ("append.durable", 2),
    ("erasure.appended", 1),
    ("erasure.cleared", 1),
    ("erasure.marked", 1),
    ("erasure.key_destroyed", 1),
    ("erasure.purged", 1),
    ("erasure.copies_removed", 1),
    ("erasure.noted", 1),
    ("erasure.cleaned", 1),
]
"""The log says that the person is erased."""


@dataclass
class Prepared:
    """A ledger with a person who has a grant, a body that waits, a bag that says who it is and an open request."""

    directory: Path
    environment: dict[str, str]
    erasure: str
    tag: str
    needle: bytes

    def at(self, directory: Path) -> Prepared:
        """A copy of it in ``directory``."""
        shutil.copytree(self.directory, directory)
        moved = {
            name: value.replace(str(self.directory), str(directory))
            for name, value in self.environment.items()
        }
        return Prepared(directory, moved, self.erasure, self.tag, self.needle)

    def open(self) -> Service:
        return open_service(load_settings(self.environment), load_service_settings(self.environment))


def prepare(directory: Path, database: str | None = None) -> Prepared:
    with ServiceWorld(directory, database=database) as world:
        app = world.new_app()
        person = world.new_account(PERSON)
        world.subscribe(app, world.new_webhook(app), person)
        event = payload("direct_message_events")
        event["for_user_id"] = PERSON
        (taken,) = world.service.intake.accept([OfferedEvent(event)])
        assert isinstance(taken, Accepted), taken
        erasure = world.service.privacy.erasures.request(
            person, basis="request", requested_by=REQUESTER, words="forget me"
        )
        world.service.ledger.sealer.seal()
        wanted = Filter(accounts=(person.tag,))
        asked = Question("A regulator", "case-1", "Art. 58", wanted, REQUESTER, (), "identities")
        world.service.exports.create(asked)
        needle = _row_of(world, person.tag)
        return Prepared(directory, world.environment, erasure.erasure, person.tag, needle)


def _row_of(world: ServiceWorld, tag: str) -> bytes:
    with world.service.ledger.engine.connect() as connection:
        query = text("SELECT sealed FROM vault_subjects WHERE tag = :tag")
        return bytes(connection.execute(query, {"tag": tag}).scalar_one())


@dataclass
class Zygote:
    """What forks a process for each request."""

    process: subprocess.Popen[str]

    def live(self, prepared: Prepared, *, erasure: str = "", step: str = "", nth: int = 1) -> int:
        assert self.process.stdin is not None, "it has a pipe"
        assert self.process.stdout is not None, "it has a pipe"
        asked = {"environment": prepared.environment, "erasure": erasure, "step": step, "nth": nth}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().removeprefix("exit "))


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.erase_child"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Zygote(process)
    assert process.stdin is not None, "it has a pipe"
    process.stdin.close()
    process.wait(10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("made") / "ledger")


def check_erased(prepared: Prepared) -> None:
    with prepared.open() as service:
        assert service.privacy.erasures.load(prepared.erasure).state == "clean"
        assert not service.vault.account_of([prepared.tag])
        assert service.vault.erased_among([PERSON]) == {PERSON}
        assert set(service.privacy.book.count(prepared.tag).values()) == {0}
        store = service.ledger.store
        found = [row.data for row in store.fetch_range(0, store.size()) if b'"subject.erased"' in row.data]
        assert len(found) == 1
        service.ledger.sealer.seal()
    asked = Asked(engine="scalar", remember=False)
    report = run_verification(load_settings(prepared.environment), asked, lambda *_: None).report
    assert report.exit_status == 0, report.findings


def files_holding(prepared: Prepared) -> set[str]:
    """The files that hold the person's vault row or say in clear who it is."""
    return {
        path.name
        for path in prepared.directory.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in (prepared.needle, PERSON.encode()))
    }


def check_files(prepared: Prepared) -> None:
    assert files_holding(prepared) == set()


def test_before_anything_happens_the_files_say_who_it_is(made: Prepared) -> None:
    assert files_holding(made) == {"ledger.db", "openings.jsonl"}


@pytest.mark.parametrize(("step", "nth"), BEFORE)
def test_killed_before_the_entry_the_request_is_open_and_approving_again_erases(
    zygote: Zygote, made: Prepared, tmp_path: Path, step: str, nth: int
) -> None:
    prepared = made.at(tmp_path / "ledger")
    assert zygote.live(prepared, erasure=made.erasure, step=step, nth=nth) == -signal.SIGKILL
    assert zygote.live(prepared) == 0
    with prepared.open() as service:
        assert service.privacy.erasures.load(made.erasure).state == "requested"
        assert service.vault.account_of([made.tag])
    assert zygote.live(prepared, erasure=made.erasure) == 0
    check_erased(prepared)
    check_files(prepared)


@pytest.mark.parametrize(("step", "nth"), BEHIND)
def test_killed_behind_the_entry_the_next_start_destroys_what_it_says(
    zygote: Zygote, made: Prepared, tmp_path: Path, step: str, nth: int
) -> None:
    prepared = made.at(tmp_path / "ledger")
    assert zygote.live(prepared, erasure=made.erasure, step=step, nth=nth) == -signal.SIGKILL
    assert zygote.live(prepared) == 0
    check_erased(prepared)
    check_files(prepared)


@pytest.mark.parametrize("step", ["erasure.appended", "erasure.key_destroyed"])
def test_killed_behind_the_entry_on_a_server(
    zygote: Zygote, tmp_path: Path, step: str, postgresql_server: PostgresqlServer
) -> None:
    with postgresql_server.database(with_tables=False) as name:
        prepared = prepare(tmp_path / "ledger", postgresql_server.url(name))
        assert zygote.live(prepared, erasure=prepared.erasure, step=step) == -signal.SIGKILL
        assert zygote.live(prepared) == 0
        check_erased(prepared)
