"""How things are measured: wall and processor time, peak memory of a process tree, and this machine's SHA-256 limit."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEBIBYTE = 1 << 20
SAMPLE_SECONDS = 0.2


@dataclass(slots=True)
class Measured:
    """One measurement: ``seconds`` of wall time, ``cpu_seconds`` of this process, ``peak_mib`` of it and its children."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure the block."""
    result = Measured()
    done = threading.Event()
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(done, peak), daemon=True)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield result
    finally:
        result.seconds = time.perf_counter() - wall
        result.cpu_seconds = time.process_time() - cpu
        done.set()
        watcher.join()
        result.peak_mib = peak[0] // MEBIBYTE


def _watch(done: threading.Event, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], _tree_bytes(os.getpid()))
        if done.wait(SAMPLE_SECONDS):
            return


def _tree_bytes(pid: int) -> int:
    """Memory that a process and its descendants hold for themselves: anonymous pages, not mapped files."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                total = int(line.split()[1]) * 1024
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(_tree_bytes(int(child)) for child in children.read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # It ended while it was looked at.
    return total


def sha256_limit(entry_bytes: int) -> float:
    """Entries a second that one processor can hash, leaf and node, and nothing else: no verifier in Python is faster."""
    entry, node = b"\x00" * (entry_bytes + 1), b"\x01" * 65
    sha256, count = hashlib.sha256, 50_000
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(count):
            sha256(entry).digest()
            sha256(node).digest()
        best = max(best, count / (time.perf_counter() - started))
    return best


def machine() -> dict[str, Any]:
    """The machine, for the table's head."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = os.getloadavg()[0]
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / (1 << 30)),
        "python": platform.python_version(),
        "load_before": round(load, 2),
    }
