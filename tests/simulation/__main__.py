"""Play one seed again and tell what happened, or many and tell which break something.

``python -m tests.simulation --seed N [--count M]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.simulation.play import STEPS, Player


def play(seed: int, steps: int) -> tuple[Player, str]:
    """The player of ``seed``, and what it found broken, or nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        player = Player(Path(scratch) / "place", seed)
        try:
            player.run(steps)
        except AssertionError as broken:
            player.say(f"BROKEN: {broken}")
            return player, str(broken)
    return player, ""


def main() -> int:
    """Play; 0 where everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="the one to play, or the first of many")
    parser.add_argument("--count", type=int, help="how many; each that breaks something is told in a line")
    parser.add_argument("--steps", type=int, default=STEPS)
    asked = parser.parse_args()
    if asked.count is None:
        player, broken = play(asked.seed, asked.steps)
        sys.stdout.write("\n".join(player.trace) + "\n")
        return int(bool(broken))
    arrived = faults = bad = 0
    for seed in range(asked.seed, asked.seed + asked.count):
        player, broken = play(seed, asked.steps)
        arrived += len(player.place.network.arrived)
        faults += len(player.place.faults.happened)
        bad += bool(broken)
        if broken:
            sys.stdout.write(f"seed {seed}: {broken.splitlines()[0]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{asked.count} seeds: {arrived} bodies arrived, {faults} faults, {bad} broken\n")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
