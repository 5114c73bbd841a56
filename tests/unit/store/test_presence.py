"""Whether another process sends for the log, on both databases, with real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ledger.store.presence import open_presence

CHILD = """
import sys
from ledger.store.presence import open_presence
presence = open_presence(sys.argv[1])
presence.enter()
print(presence.is_alone(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/ledger.db"


@contextmanager
def another(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that sends, until it is killed at the end of the block."""
    command = [sys.executable, "-c", CHILD, url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_only_process_that_sends_is_alone_however_often_it_asks(url: str) -> None:
    with closing(open_presence(url)) as presence:
        presence.enter()
        presence.enter()
        assert [presence.is_alone() for _ in range(3)] == [True, True, True]


def test_neither_of_two_processes_is_alone(url: str) -> None:
    with closing(open_presence(url)) as presence:
        presence.enter()
        assert presence.is_alone()
        with another(url) as process:
            assert said(process) == "False"
            assert not presence.is_alone()


def test_after_the_other_process_was_killed_this_one_is_alone_again(url: str) -> None:
    with closing(open_presence(url)) as presence:
        presence.enter()
        with another(url) as process:
            said(process)
        for _ in range(1_000):
            # The database's server notices the end of a connection when it next looks.
            if presence.is_alone():
                return
        raise AssertionError("it is never alone again")


def test_whoever_has_not_said_that_it_sends_is_not_alone(url: str) -> None:
    with closing(open_presence(url)) as presence:
        assert not presence.is_alone()
        presence.enter()
        presence.close()
        assert not presence.is_alone()
