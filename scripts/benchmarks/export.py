"""An export with its proofs, as its commands make it, and its check with nothing but Python's standard library.

The log is made by an import of records; then ``export create``, ``approve`` and ``seal`` run as processes of their own over
all of it, and the contained ``verify.py`` checks the bag, alone with its interpreter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.logs import say
from benchmarks.measure import Measured, measured
from ledger.vault.recipients import create_recipient_key
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS

EXPORT = "x-bench"


def bench_export(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Export a whole log of about ``--entries`` entries, and check it offline."""
    entries, vkey = _make_log(scratch, options.entries)
    public = create_recipient_key(scratch / "recipient.key", SYSTEM_RANDOMNESS)
    asked = (
        "--for",
        "bench",
        "--case",
        "1",
        "--basis",
        "none",
        "--by",
        "operator:one",
        "--to",
        public,
        "--id",
        EXPORT,
    )
    created = _run(scratch, "create", *asked)
    approved = _run(scratch, "approve", EXPORT, "--by", "operator:two")
    sealed = _run(scratch, "seal", EXPORT, "--by", "operator:one")
    bag = scratch / "export.db.exports" / EXPORT
    script = str(bag / "data/verify/verify.py")
    with measured() as checked:
        done = subprocess.run(
            [sys.executable, "-I", "-S", script, str(bag), "--vkey", vkey],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.startswith("PROVEN\n"), done.stdout + done.stderr
    sealed_file = bag.with_name(f"{EXPORT}.sealed")
    opening = (
        "open",
        str(sealed_file),
        "--key",
        str(scratch / "recipient.key"),
        "--out",
        str(scratch / "opened"),
    )
    opened = _run(scratch, *opening, "--vkey", vkey)
    sizes = {path.name: path.stat().st_size for path in bag.rglob("*") if path.is_file()}
    return {
        "what": "export of a whole log with proofs, then its offline check",
        "entries": entries,
        "create_seconds": round(created.seconds, 1),
        "create_peak_mib": created.peak_mib,
        "approve_seconds": round(approved.seconds, 1),
        "approve_peak_mib": approved.peak_mib,
        "create_ms_per_entry": round(1000 * created.seconds / entries, 3),
        "seal_seconds": round(sealed.seconds, 1),
        "seal_peak_mib": sealed.peak_mib,
        "open_seconds": round(opened.seconds, 1),
        "open_peak_mib": opened.peak_mib,
        "offline_check_seconds": round(checked.seconds, 1),
        "offline_check_peak_mib": checked.peak_mib,
        "bag_mib": sum(sizes.values()) >> 20,
        "largest_files": ", ".join(f"{name} {size >> 20} MiB" for name, size in _largest(sizes)),
        "sealed_mib": sealed_file.stat().st_size >> 20,
    }


def _largest(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: -item[1])[:3]


def _make_log(scratch: Path, records: int) -> tuple[int, str]:
    from tests.support.records import make_lines

    say("importing records first (not measured) ...")
    file = scratch / "records.jsonl"
    file.write_bytes(make_lines(1, records))
    vkey = json.loads(_call(scratch, "init", "--origin", "ledger.example/bench", "--json"))["vkey"]
    _call(scratch, "import", str(file))
    _call(scratch, "seal")
    file.unlink()
    return int(json.loads(_call(scratch, "status", "--json"))["size"]), vkey


def _run(scratch: Path, *arguments: str) -> Measured:
    with measured() as result:
        _call(scratch, "export", *arguments)
    return result


def _call(scratch: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "ledger.cli", "--db", str(scratch / "export.db"), "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
