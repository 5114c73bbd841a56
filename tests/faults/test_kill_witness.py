"""SIGKILL of a witness at each step of a write: the log asks again, and nobody ever has two histories cosigned."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ledger.core.add_checkpoint import parse_cosignatures
from ledger.core.note import format_note, open_note, parse_note
from ledger.vault.ed25519 import from_seed
from tests.support.histories import History
from tests.support.service_world import free_port, wait_for
from tests.support.witness_world import ServedWitness, make_witness

ROOT = Path(__file__).resolve().parents[2]
LOG = from_seed("ledger.example/acme", bytes(32))
HISTORY = History("a", LOG)
FORK = HISTORY.fork(6)
STEPS = ["witness.moving", "witness.moved", "witness.persisted"]


@contextmanager
def killed_at(directory: Path, step: str) -> Iterator[str]:
    """A witness process that dies at ``step`` of its second write; its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.witness_child", str(directory), str(port), step], cwd=ROOT
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers)
        yield url
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("step", STEPS)
def test_a_witness_killed_at_any_step_goes_on_with_one_history(tmp_path: Path, step: str) -> None:
    directory = tmp_path / "w1"
    opened = make_witness(directory)
    opened.book.add_key(LOG.vkey(), 0)
    opened.engine.dispose()
    with killed_at(directory, step) as url:
        first = httpx.post(f"{url}/add-checkpoint", content=HISTORY.request(0, 5))
        assert first.status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/add-checkpoint", content=HISTORY.request(5, 9))
    with ServedWitness(make_witness(directory)) as again:
        is_persisted = step == "witness.persisted"
        # A log that had a second history might try it now; what is on the disk decides.
        if is_persisted:
            assert again.post(FORK.request(5, 9)).text == "9\n"
            assert again.post(FORK.request(9, 9)).status_code == 422
        # The log asks as it did, and where that was persisted it is told so, and asks from there.
        answer = again.post(HISTORY.request(5, 9))
        if is_persisted:
            assert (answer.status_code, answer.text) == (409, "9\n")
            assert answer.headers["content-type"] == "text/x.tlog.size"
            answer = again.post(HISTORY.request(9, 9))
        assert answer.status_code == 200
        note = format_note(parse_note(HISTORY.note(9)).text, parse_cosignatures(answer.content))
        assert open_note(note, [again.opened.signer.verifier()]).verified == (again.opened.signer.name,)
        assert again.post(FORK.request(9, 12)).status_code == 422


def test_a_witness_killed_while_it_keeps_evidence_keeps_it_when_asked_again(tmp_path: Path) -> None:
    directory = tmp_path / "w1"
    opened = make_witness(directory)
    opened.book.add_key(LOG.vkey(), 0)
    opened.witness.add_checkpoint(HISTORY.request(0, 9))
    opened.engine.dispose()
    with killed_at(directory, "witness.evidence_kept") as url, pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/add-checkpoint", content=FORK.request(9, 9))
    with ServedWitness(make_witness(directory)) as again:
        assert again.post(FORK.request(9, 9)).status_code == 422
        assert len(again.opened.book.evidence()) == 1
