"""Small reenactments that were played: each once in a run of the tests, however many processes and files ask for it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.reenactment.reenact import Asked, reenact

CASES = [
    Asked(1, "small", "ip+path"),
    Asked(2, "small", "ip+path"),
    Asked(42, "small", "ip+path"),
    Asked(1, "small", "ip"),
    Asked(1, "small", "reused-connection"),
    Asked(1, "small", "none"),
]
Played = Callable[[Asked], tuple[Path, dict[str, Any]]]


def ignore(doing: str, done: int, total: int) -> None:
    """Show no progress."""


def name_of(asked: Asked) -> str:
    return f"{asked.fault}-{asked.seed}"


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Each case is played once, however many processes run these tests."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "played"
    shared.mkdir(exist_ok=True)

    def play(asked: Asked) -> tuple[Path, dict[str, Any]]:
        directory = shared / name_of(asked)
        with (shared / f"{name_of(asked)}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (directory / "report.html").exists():
                reenact(asked, directory, ignore)
        return directory, json.loads((directory / "report.json").read_text())

    return play
