"""A process that seals a ledger under a witness policy and kills itself at a step: ``STEP``, the rest in its environment."""

from __future__ import annotations

import os
import signal
import sys

from ledger.settings import load_settings
from ledger.wiring import open_ledger


def main(step: str) -> None:
    """Seal once."""

    def reached(here: str) -> None:
        if here == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_ledger(load_settings(os.environ)) as ledger:
        ledger.sealer._reached = reached
        ledger.sealer.seal()


if __name__ == "__main__":
    main(sys.argv[1])
