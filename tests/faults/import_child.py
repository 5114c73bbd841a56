"""A process that imports a file into the ledger at a path and kills itself: ``DATABASE FILE RECORDS``.

It dies when so many records are told to be in, with a second process preparing the rest, whose id it prints before.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from ledger.ingest.importer import Progress
from ledger.ingest.preparing_process import _Helper
from ledger.ingest.sources import FileSource
from ledger.settings import load_settings
from ledger.wiring import open_ledger

START_SECONDS = 60.0


@contextmanager
def wait_for_help() -> Iterator[None]:
    """Let an import wait until its second process has started, however little is left to do."""
    is_ready = _Helper.is_ready
    with patch.object(_Helper, "is_ready", lambda helper: is_ready(helper, START_SECONDS)):
        yield


def main(database: str, file: Path, records: int) -> None:
    """Import until then."""

    def die(progress: Progress) -> None:
        if progress.records >= records:
            (helper,) = multiprocessing.active_children()
            sys.stdout.write(f"{helper.pid}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    with wait_for_help(), open_ledger(load_settings({}, database)) as ledger:
        ledger.import_from(FileSource(file), on_progress=die)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
