"""SIGKILL in the middle of a long import: its second process ends too, and running it again completes it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from ledger.ingest.preparing_process import RECORDS_BEFORE_HELP
from ledger.ingest.sources import FileSource
from ledger.settings import load_settings
from ledger.wiring import create_ledger, open_ledger
from tests.faults.import_child import wait_for_help
from tests.support.records import make_lines

ROOT = Path(__file__).resolve().parents[2]
RECORDS = RECORDS_BEFORE_HELP + 4_000
END_SECONDS = 20.0


def has_ended(pid: int) -> bool:
    """Whether a process that is nobody's child here is gone, or only waits to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_killed_import_leaves_no_process_and_is_completed_by_running_it_again(tmp_path: Path) -> None:
    settings = load_settings({}, str(tmp_path / "ledger.db"))
    create_ledger(settings, "ledger.example/killed")
    file = tmp_path / "records.jsonl"
    file.write_bytes(make_lines(1, RECORDS, accounts=50))
    killed = subprocess.run(
        [
            sys.executable,
            *("-m", "tests.faults.import_child", settings.database_url, str(file)),
            str(RECORDS_BEFORE_HELP + 1_000),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    deadline = time.monotonic() + END_SECONDS
    while not has_ended(int(killed.stdout)):
        assert time.monotonic() < deadline, "the second process outlives the first"
        time.sleep(0.05)
    with wait_for_help(), open_ledger(settings) as ledger:
        report = ledger.import_from(FileSource(file))
        assert report.records == RECORDS == report.created + report.duplicates
        assert report.duplicates >= RECORDS_BEFORE_HELP + 1_000
        # Once more with a rehearsal, which has a second process of its own.
        strict = ledger.import_from(FileSource(file), strict=True)
        assert (strict.duplicates, strict.accounts_registered, strict.appended) == (RECORDS, 0, True)
        assert ledger.store.size() == 1 + RECORDS + 50
