"""A witness as a process that kills itself at a step, when it is asked for the second time: ``DIRECTORY PORT STEP``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import uvicorn

from ledger.witness.app import WitnessApp
from tests.support.witness_world import make_witness


def main(directory: Path, port: int, step: str) -> None:
    """Serve until the step is reached once more after the first checkpoint was cosigned."""
    moves = 0

    def reached(here: str) -> None:
        nonlocal moves
        moves += here == "witness.moving"
        if here == step and moves != 1:
            os.kill(os.getpid(), signal.SIGKILL)

    opened = make_witness(directory, reached=reached)
    uvicorn.run(
        WitnessApp(opened).application(), host="127.0.0.1", port=port, lifespan="off", log_config=None
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
