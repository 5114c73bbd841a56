"""Play one seed again and tell what happened: ``python -m tests.simulation --seed N``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.simulation.play import STEPS, Player


def main() -> int:
    """Play; 0 where everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        player = Player(Path(scratch) / "place", asked.seed)
        try:
            player.run(asked.steps)
        except AssertionError as broken:
            player.say(f"BROKEN: {broken}")
        sys.stdout.write("\n".join(player.trace) + "\n")
        return int(bool(player.trace) and "BROKEN" in player.trace[-1])


if __name__ == "__main__":
    sys.exit(main())
