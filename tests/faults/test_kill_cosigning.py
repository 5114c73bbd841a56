"""SIGKILL around the witnesses' cosignatures, then the same seal again: one history, published with its quorum."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.note import parse_note
from ledger.errors import QuorumError
from tests.support.service_world import ORIGIN, ServiceWorld
from tests.support.witness_world import ServedWitness, make_witness

ROOT = Path(__file__).resolve().parents[2]
STEPS = ["seal.signed", "seal.recorded", "seal.cosigned", "seal.published"]


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[ServedWitness]:
    with ServedWitness(make_witness(tmp_path / "w1")) as served:
        yield served


@pytest.fixture
def world(tmp_path: Path, witness: ServedWitness) -> Iterator[ServiceWorld]:
    """A ledger that was sealed under the policy of one witness, and has grown since."""
    policy = tmp_path / "policy"
    policy.write_text(f"{witness.line('w1')}quorum w1\n")
    with ServiceWorld(tmp_path / "ledger", environment={"GRANTLEDGER_WITNESS_POLICY": str(policy)}) as made:
        witness.opened.book.add_key(made.service.ledger.vkey, 0)
        made.service.ledger.sealer.seal()
        made.new_account("1")
        yield made


def kill_at(world: ServiceWorld, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.cosigning_child", step],
        cwd=ROOT,
        env={**os.environ, **world.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def published_text(world: ServiceWorld) -> str:
    """What is published, without its signatures: whoever starts has the same checkpoint cosigned anew."""
    note = world.service.ledger.store.load_checkpoint()
    assert note is not None
    return parse_note(note).text


@pytest.mark.parametrize("step", STEPS)
def test_a_sealer_killed_around_its_witnesses_goes_on_with_one_history(
    world: ServiceWorld, witness: ServedWitness, step: str
) -> None:
    kill_at(world, step)
    sealed = world.service.ledger.sealer.seal()
    assert [line.name for line in parse_note(sealed.note).signatures] == [ORIGIN, "witness.example/w1"]
    assert sealed.note == world.service.ledger.store.load_checkpoint()
    last = witness.opened.book.load(ORIGIN)
    assert last is not None
    assert (last.size, last.root) == (sealed.checkpoint.size, sealed.checkpoint.root)
    assert witness.opened.book.evidence() == []
    world.new_account("2")
    assert world.service.ledger.sealer.seal().created
    assert world.verify().exit_status == 0


def test_what_was_signed_before_the_kill_is_not_published_without_its_quorum(
    world: ServiceWorld, witness: ServedWitness
) -> None:
    before = published_text(world)
    kill_at(world, "seal.recorded")
    witness.close()
    with pytest.raises(QuorumError):
        world.service.ledger.sealer.seal()
    assert published_text(world) == before
