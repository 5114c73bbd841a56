"""SIGKILL at each step of an append, then recovery: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.sequencer.draft import Appended
from tests.faults.append_child import BATCHES
from tests.support.log_world import check_world, grant, open_world, opening, settlement

ROOT = Path(__file__).resolve().parents[2]
DURABLE_STEPS = ["store.append.committed", "append.durable", "append.acknowledging"]
STEPS = ["append.judged", "store.append.guarded", "store.append.inserted", *DURABLE_STEPS]


def run_child(directory: Path, step: str, nth: int) -> tuple[int, dict[str, str]]:
    """Run the child until it dies; its exit status and what it acknowledged."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.append_child", str(directory), step, str(nth)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("step", STEPS)
def test_after_a_kill_every_acknowledged_entry_is_there_once_and_the_rest_can_be_repeated(
    tmp_path: Path, step: str, nth: int
) -> None:
    status, acknowledged = run_child(tmp_path, step, nth)
    assert status == -signal.SIGKILL
    before = check_world(tmp_path, acknowledged)
    whole = [len(opening())] + [301] * BATCHES
    batches_durable = nth if step in DURABLE_STEPS else nth - 1
    assert len(before) == sum(whole[:batches_durable]), "a batch is durable as a whole or not at all"

    world = open_world(tmp_path)
    everything = list(opening())
    for number in range(BATCHES):
        everything += [grant(number, f"h-{number}"), *(settlement(f"d-{number}-{i}") for i in range(300))]
    outcomes = world.sequencer.append_many(everything)
    world.close()
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    created = [outcome.created for outcome in outcomes if isinstance(outcome, Appended)]
    assert created == [False] * len(before) + [True] * (len(everything) - len(before))
    after = check_world(tmp_path, acknowledged)
    assert after[: len(before)] == before
    assert len(after) == len(everything)


def test_a_run_without_a_kill_acknowledges_everything(tmp_path: Path) -> None:
    status, acknowledged = run_child(tmp_path, "never", 1)
    assert status == 0
    assert len(check_world(tmp_path, acknowledged)) == len(acknowledged) == len(opening()) + 301 * BATCHES
