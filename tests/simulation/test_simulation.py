"""Seeds of the simulation: whatever fails and whoever dies, nothing is sent that may not be, and nothing is lost.

A seed that fails here tells what happened: ``python -m tests.simulation --seed N``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import mutants
from tests.simulation.network import SimulatedTransport
from tests.simulation.play import Player
from tests.simulation.truth import Broken
from tests.simulation.world import MakeTransport

SEEDS = 100
SEEDS_A_TEST = 10
MUTANT_SEEDS = 60

Patch = Callable[[type, str, Any], None]


def play(directory: Path, seed: int, make_transport: MakeTransport = SimulatedTransport) -> Player:
    player = Player(directory / f"seed-{seed}", seed, make_transport)
    try:
        player.run()
    except Broken as broken:
        told = "\n".join(player.trace)
        raise Broken(f"seed {seed}: {broken}\n{told}") from broken
    return player


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_whatever_fails_nothing_is_sent_that_may_not_be_and_nothing_is_lost(
    tmp_path: Path, first: int
) -> None:
    arrived = faults = 0
    for seed in range(first, first + SEEDS_A_TEST):
        player = play(tmp_path, seed)
        arrived += len(player.place.network.arrived)
        faults += len(player.place.faults.happened)
    assert arrived > SEEDS_A_TEST, "something was delivered"
    assert faults > SEEDS_A_TEST, "something failed"


def test_a_seed_that_is_played_again_goes_the_same_way(tmp_path: Path) -> None:
    first, second = (play(tmp_path / name, 7) for name in ("first", "second"))
    assert first.trace == second.trace


def find_mutant(
    directory: Path, make_transport: MakeTransport = SimulatedTransport, first_seed: int = 0
) -> str:
    """What the first seed that finds the mutant says of it, from ``first_seed`` on and round; empty where none does."""
    for seed in (*range(first_seed, MUTANT_SEEDS), *range(first_seed)):
        try:
            play(directory, seed, make_transport)
        except Broken as broken:
            return str(broken).partition("\n")[0]
    return ""


@pytest.mark.parametrize(
    ("transport", "finding"),
    [
        (mutants.HeedlessTransport, "a byte left although"),
        (mutants.AddressTransport, "a byte left although"),
    ],
)
def test_a_transport_that_breaks_a_rule_is_found(
    tmp_path: Path, transport: MakeTransport, finding: str
) -> None:
    assert finding in find_mutant(tmp_path, transport)


@pytest.mark.parametrize(
    ("mutate", "finding", "first_seed"),
    [
        # The seed is where looking begins: the first one that finds the mutant as the code stands, to save time.
        (mutants.reuse_permits, "arrived, and the log says that nothing did", 17),
        (mutants.skip_attempts, "there is no attempt in the log before the byte", 0),
        (mutants.sign_by_address, "does not know the key that signed", 0),
        (mutants.forget_settlements, "", 0),
        (mutants.restrict_when_durable, "the verifier finds", 11),
        (mutants.share_instants, "the verifier finds", 13),
        (mutants.trust_the_clock, "the permit lasted for longer than a second", 40),
    ],
)
def test_a_dispatcher_that_breaks_a_rule_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[Patch], None],
    finding: str,
    first_seed: int,
) -> None:
    mutate(monkeypatch.setattr)
    found = find_mutant(tmp_path, first_seed=first_seed)
    assert found
    assert finding in found
