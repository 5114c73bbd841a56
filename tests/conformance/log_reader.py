"""Runs ``build/tlog-reader``: a reader of published logs on Go's own checksum-database code, none of it ours."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

READER = Path(__file__).resolve().parents[2] / "build" / "tlog-reader"
READ_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader said: its line on standard output, or why it did not accept the log."""

    accepted: bool
    line: str
    reason: str


def read_published(directory: Path, vkey: str, old_checkpoint: Path | None = None) -> Reading:
    """Have the independent reader verify every tile and entry in ``directory`` under ``vkey``.

    With ``old_checkpoint`` also that the log extends it. AssertionError when the reader was never built.
    """
    assert READER.exists(), (
        "build/tlog-reader is not there: run scripts/test, which installs what it needs (Debian's golang-go and "
        "golang-golang-x-mod-dev, see scripts/lib/go_reader.sh) and builds it"
    )
    arguments = [
        str(READER),
        str(directory),
        vkey,
        *([] if old_checkpoint is None else [str(old_checkpoint)]),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=READ_WITHIN_S, check=False)
    assert done.returncode in (0, 1), f"the reader broke ({done.returncode}): {done.stderr}"
    return Reading(done.returncode == 0, done.stdout.strip(), done.stderr.strip())
