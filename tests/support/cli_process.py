"""The command line as its users run it: a process of its own, in a directory of its own, with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.cli_nursery import nursery

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 120


@dataclass(frozen=True, slots=True)
class Done:
    """What a finished command left: its exit status, and what it said on both ways."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.out.decode()

    def json(self) -> dict[str, Any]:
        """The one JSON object on the one line of standard output."""
        assert self.out.count(b"\n") == 1, f"not one line: {self.out!r}, {self.err}"
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True, slots=True)
class Workplace:
    """A directory in which commands run; nothing of the caller's settings reaches them.

    Commands that are waited for are forked off a process that has the modules already, where ``starts_python`` is not asked
    for.
    """

    directory: Path
    starts_python: bool = False

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of a command, with ``settings`` on top."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {**kept, "HOME": str(self.directory), "PYTHONPATH": str(ROOT), **settings}

    def run(self, *arguments: str, stdin: bytes = b"", settings: Mapping[str, str] | None = None) -> Done:
        """Run ``grantledger`` with ``arguments`` and wait for it."""
        environment = self.environment(**(settings or {}))
        if self.starts_python:
            done = subprocess.run(
                command(*arguments),
                cwd=self.directory,
                env=environment,
                input=stdin,
                capture_output=True,
                timeout=SECONDS_MAX,
                check=False,
            )
            status, out, said = done.returncode, done.stdout, done.stderr
        else:
            status, out, said = nursery().run(arguments, self.directory, environment, stdin, SECONDS_MAX)
        error = said.decode()
        assert "Traceback" not in error, error
        return Done(status, out, error)

    def good(self, *arguments: str, stdin: bytes = b"") -> Done:
        """Run a command that must succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.status == 0, done.err
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command whose standard input, output and error are pipes of the caller's."""
        # What ignores SIGINT, as a script in the background does, hands that down to its children.
        listened = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(
                command(*arguments),
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        finally:
            signal.signal(signal.SIGINT, listened)


def command(*arguments: str) -> list[str]:
    """The words that run ``grantledger`` with ``arguments`` in this environment."""
    return [sys.executable, "-m", "ledger.cli", *arguments]
