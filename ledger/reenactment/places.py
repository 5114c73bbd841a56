"""The directory of a reenactment: what lies where in it, and when it may be replaced.

A directory is claimed with a marker file before anything else is written. One that is not empty and has no marker is
somebody else's and is left alone; of one that has it, the files of the reenactment before are removed, by name, and
whatever else lies there stays.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ledger.errors import StoreError, UsageError
from ledger.settings import Settings, load_settings

MARKER = "reenactment.json"
LEDGERS = ("ledger", "unobserved", "gated", "incident", "service")
_FILES = (
    "records.jsonl",
    "unobserved.jsonl",
    "ground-truth.jsonl",
    "service-truth.jsonl",
    "service.log",
    "service-ca.pem",
    "findings.jsonl",
    "art33.json",
    "art33.html",
    "incident.vkey",
    "export",
    "report.json",
    "report.html",
    "public",
    "state",
)
_OF_SQLITE = ("", "-wal", "-shm", "-journal")
_DATABASE_SUFFIXES = (
    *_OF_SQLITE,
    *(f".index{suffix}" for suffix in _OF_SQLITE),
    ".keys",
    ".checkpoint",
    ".exports",
)
_CHECKPOINT_SUFFIXES = (".lock", ".swap", ".new")


@dataclass(frozen=True, slots=True)
class Places:
    """Paths in ``directory``."""

    directory: Path

    def file(self, name: str) -> Path:
        """The file or directory ``name``, one of the reenactment's own."""
        assert name in _FILES, f"{name} would not be removed by the next reenactment"
        return self.directory / name

    def settings(self, ledger: str) -> Settings:
        """The settings of one of :data:`LEDGERS`: everything of it, and what ``verify`` remembers, lies here."""
        assert ledger in LEDGERS, f"{ledger} would not be removed by the next reenactment"
        settings = load_settings({}, str(self.directory.absolute() / f"{ledger}.db"))
        return replace(settings, state_directory=self.directory / "state")

    def service_environment(self, database: str | None) -> dict[str, str]:
        """What a process of the service has to be told, so that its keys, its record and all but ``database`` lie here.

        ``database`` is the URL of a database of a server; None: ``service.db``.
        """
        home = self.directory.absolute()
        return {
            "GRANTLEDGER_DB": database or str(home / "service.db"),
            "GRANTLEDGER_KEY_FILE": str(home / "service.db.keys" / "operator.key"),
            "GRANTLEDGER_LOG_KEY_FILE": str(home / "service.db.keys" / "log.key"),
            "GRANTLEDGER_CHECKPOINT_FILE": str(home / "service.db.checkpoint"),
            "GRANTLEDGER_STATE_DIR": str(home / "state"),
            "GRANTLEDGER_TRUSTED_CA": str(home / "service-ca.pem"),
        }


def claim(directory: Path, what: Mapping[str, Any]) -> Places:
    """Make ``directory`` ready for a reenactment that ``what`` describes; one that lies there is removed.

    Raises UsageError for a directory that holds something else, StoreError when it cannot be written.
    """
    marker = directory / MARKER
    try:
        if directory.exists() and not directory.is_dir():
            raise UsageError(f"{directory} is not a directory: name another one with --out")
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            if not _is_marker(marker):
                raise UsageError(
                    f"{directory} is not empty and holds no reenactment, so nothing in it is touched: "
                    "name another directory with --out, or empty this one"
                )
            _remove_former(directory)
        marker.write_text(json.dumps({"reenactment": 1, **what}) + "\n", "ascii")
    except OSError as error:
        raise StoreError(
            f"the reenactment cannot be written to {directory}: {error.strerror or error}"
        ) from error
    return Places(directory)


def _is_marker(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("reenactment") == 1


def _remove_former(directory: Path) -> None:
    names = list(_FILES)
    for ledger in LEDGERS:
        names += [f"{ledger}.db{suffix}" for suffix in _DATABASE_SUFFIXES]
        names += [f"{ledger}.db.checkpoint{suffix}" for suffix in _CHECKPOINT_SUFFIXES]
    for name in names:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
