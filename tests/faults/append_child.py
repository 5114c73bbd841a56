"""A process that appends to the log in a directory and kills itself at a step: ``DIRECTORY STEP NTH``.

Prints the uid and leaf hash of each entry as it is acknowledged.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from ledger.sequencer.draft import Appended
from tests.support.log_world import grant, open_world, opening, settlement

BATCHES = 4


def main(directory: Path, step: str, nth: int) -> None:
    """Append the opening and then batches of settlements and grants, one batch at a time."""
    count = 0
    lock = threading.Lock()

    def reached(here: str) -> None:
        nonlocal count
        if here != step:
            return
        with lock:
            count += 1
            if count == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    world = open_world(directory, reached)
    batches = [opening()]
    batches += [
        [grant(number, f"h-{number}"), *(settlement(f"d-{number}-{i}") for i in range(300))]
        for number in range(BATCHES)
    ]
    for batch in batches:
        for item, outcome in zip(batch, world.sequencer.append_many(batch), strict=True):
            assert isinstance(outcome, Appended), outcome
            sys.stdout.write(f"{item.members['uid']} {outcome.leaf_hash.hex()}\n")
        sys.stdout.flush()
    world.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
