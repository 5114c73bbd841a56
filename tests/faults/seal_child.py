"""A process that seals the log in a directory and kills itself at a step: ``DIRECTORY STEP``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.support.log_world import open_world


def main(directory: Path, step: str) -> None:
    """Seal once."""

    def reached(here: str) -> None:
        if here == step:
            os.kill(os.getpid(), signal.SIGKILL)

    world = open_world(directory, reached)
    world.sealer.seal()
    world.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
