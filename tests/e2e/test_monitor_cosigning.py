"""A monitor as a witness: what it replays and finds right it cosigns, and a log's policy may demand that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core import canonical
from ledger.core.add_checkpoint import AddCheckpoint, format_add_checkpoint, parse_cosignatures
from ledger.core.checkpoint import open_checkpoint
from ledger.core.note import Verifier, parse_vkey
from ledger.errors import QuorumError
from ledger.monitor.listening import cosigning
from ledger.monitor.log_monitor import LogMonitor, Strictness, Target
from ledger.monitor.metrics import MonitorMetrics
from ledger.monitor.rounds import Rounds
from ledger.monitor.telling import Teller
from ledger.store.monitor_book import MonitorBook
from ledger.vault.cosignatures import CosignatureVerifier
from ledger.vault.ed25519 import from_seed
from ledger.wiring import SYSTEM_CLOCK, SYSTEM_RANDOMNESS
from ledger.witness.place import create_witness
from tests.e2e.test_monitor import LOG, SIZES, resealed
from tests.support.forged_logs import publish, sign
from tests.support.log_world import SIGNER
from tests.support.service_world import ORIGIN, ServiceWorld, free_port

NAME = "monitor.example/m1"


@contextmanager
def monitoring(directory: Path, target: Target, port: int) -> Iterator[LogMonitor]:
    """A monitor of ``target`` that cosigns as the witness in ``directory``."""
    state = directory / "state"
    book = MonitorBook(state / "monitor.db")
    monitor = LogMonitor(target, Strictness(), book, state)
    looks = Rounds(
        [monitor],
        Teller(book, None, lambda data: None),
        MonitorMetrics([target.name]),
        on_progress=lambda *done: None,
        on_round=lambda *made: None,
    )
    try:
        with cosigning(directory, "127.0.0.1", port, looks, SYSTEM_CLOCK):
            yield monitor
    finally:
        monitor.close()
        book.close()


def ask(port: int, entries: list[bytes], old_size: int = 0) -> Any:
    """Ask for a cosignature of a first checkpoint."""
    request = AddCheckpoint(old_size, (), sign(entries))
    url = f"http://127.0.0.1:{port}/add-checkpoint"
    return httpx.post(url, content=format_add_checkpoint(request), timeout=30)


def test_a_log_whose_policy_asks_for_it_publishes_what_the_monitor_has_replayed(tmp_path: Path) -> None:
    port = free_port()
    signer, _ = create_witness(tmp_path / "monitor", NAME, SYSTEM_RANDOMNESS)
    policy = tmp_path / "policy"
    policy.write_text(f"witness m {signer.vkey()} http://127.0.0.1:{port}\nquorum m\n")
    environment = {"GRANTLEDGER_WITNESS_POLICY": str(policy), "GRANTLEDGER_PUBLIC_ENTRIES": "1"}
    with ServiceWorld(tmp_path / "ledger", environment=environment) as world:
        url = world.serve()
        ledger = world.service.ledger
        with pytest.raises(QuorumError):
            ledger.sealer.seal()
        with monitoring(tmp_path / "monitor", Target("log", ledger.vkey, url), port) as monitor:
            for number in range(3):
                sealed = ledger.sealer.seal()
                keys: list[Verifier] = [ledger.verifier, CosignatureVerifier(parse_vkey(signer.vkey()))]
                assert open_checkpoint(sealed.note, ORIGIN, keys).note.verified == (ORIGIN, NAME)
                assert monitor.look(lambda done, total: None).state == "nothing new"
                world.new_account(str(number))
            assert not monitor.findings()


def test_a_checkpoint_whose_index_leaves_something_out_is_not_cosigned(tmp_path: Path) -> None:
    create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    public, port = tmp_path / "public", free_port()
    root = canonical.decode(LOG[SIZES[1] - 1])["map_root"]
    lying = resealed(lambda members: {**members, "map_root": root})[: SIZES[2]]
    publish(public, lying, sign(LOG[: SIZES[0]]))
    with monitoring(tmp_path, Target("log", SIGNER.vkey(), str(public)), port) as monitor:
        answer = ask(port, lying)
        assert (answer.status_code, answer.text) == (
            503,
            "the log or an index that it has stated is not right\n",
        )
        assert {finding["code"] for finding in monitor.findings().values()} == {"MAP_ROOT_MISMATCH"}


def test_what_cannot_be_read_yet_is_not_cosigned_and_is_when_it_can(tmp_path: Path) -> None:
    signer, _ = create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    public, port = publish(tmp_path / "public", LOG[: SIZES[0]]), free_port()
    with monitoring(tmp_path, Target("log", SIGNER.vkey(), str(public)), port):
        assert ask(port, LOG[: SIZES[1]]).status_code == 503
        publish(public, LOG[: SIZES[1]], sign(LOG[: SIZES[0]]))
        answer = ask(port, LOG[: SIZES[1]])
        assert answer.status_code == 200
        (line,) = parse_cosignatures(answer.content)
        verifier = CosignatureVerifier(parse_vkey(signer.vkey()))
        text = sign(LOG[: SIZES[1]]).decode().rpartition("\n\n")[0] + "\n"
        assert verifier.verify(text.encode(), line.signature)


def test_a_log_that_it_does_not_follow_gets_no_cosignature(tmp_path: Path) -> None:
    create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    public, port = publish(tmp_path / "public", LOG[: SIZES[0]]), free_port()
    with monitoring(tmp_path, Target("log", SIGNER.vkey(), str(public)), port):
        stranger = from_seed("ledger.example/stranger", bytes(range(32)))
        body = format_add_checkpoint(AddCheckpoint(0, (), sign(LOG[: SIZES[0]], stranger)))
        assert httpx.post(f"http://127.0.0.1:{port}/add-checkpoint", content=body).status_code == 404
