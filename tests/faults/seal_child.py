"""A process that seals the log in a directory and kills itself at a step: ``DIRECTORY STEP CHUNK_ENTRIES``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ledger.sequencer import log_index
from tests.support.log_world import open_world


def main(directory: Path, step: str, chunk_entries: int) -> None:
    """Seal once; an index that has far to go is stored after each ``chunk_entries``."""
    log_index.CHUNK_ENTRIES = chunk_entries

    def reached(here: str) -> None:
        if here == step:
            os.kill(os.getpid(), signal.SIGKILL)

    world = open_world(directory, reached)
    world.sealer.seal()
    world.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
