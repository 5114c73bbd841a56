"""The witness that a monitor is to the logs that it follows, on a port of its own (:mod:`ledger.monitor.cosigning`)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from ledger.errors import UsageError
from ledger.monitor.cosigning import ReplayingWitness
from ledger.monitor.rounds import Rounds
from ledger.ports import Clock
from ledger.witness.app import WitnessApp
from ledger.witness.place import open_witness

START_SECONDS = 10.0


@contextmanager
def cosigning(directory: Path, host: str, port: int, looks: Rounds, clock: Clock) -> Iterator[str]:
    """Answer as the witness that lives in ``directory`` while the block runs; its name.

    The logs that are followed are known to it by the same keys. Raises UsageError where the address is taken.
    """
    with open_witness(directory, clock) as opened:
        for monitor in looks.monitors:
            opened.book.add_key(monitor.target.vkey, clock.now_ms() // 1_000)
        opened.witness = ReplayingWitness(
            opened.book,
            opened.signer,
            clock,
            {each.origin: (each, looks.locks[each.target.vkey]) for each in looks.monitors},
            looks.say,
        )
        config = uvicorn.Config(
            WitnessApp(opened).application(),
            host=host,
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            limit_concurrency=100,
        )
        # In a thread of its own it leaves signals alone.
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="monitor-witness")
        thread.start()
        try:
            _wait_for(server, thread, f"{host}:{port}")
            yield opened.signer.name
        finally:
            server.should_exit = True
            thread.join()


def _wait_for(server: uvicorn.Server, thread: threading.Thread, address: str) -> None:
    waited = threading.Event()
    for _ in range(int(START_SECONDS * 100)):
        if server.started:
            return
        if not thread.is_alive():
            break
        waited.wait(0.01)
    raise UsageError(f"a witness cannot listen at {address}: is the address taken?")
