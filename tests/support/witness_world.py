"""Witnesses on this machine: in this process, over HTTP on a real socket, with a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from ledger.ports import Clock, Randomness
from ledger.wiring import SYSTEM_CLOCK, SYSTEM_RANDOMNESS
from ledger.witness.app import WitnessApp
from ledger.witness.book import WitnessBook
from ledger.witness.place import OpenedWitness, create_witness, open_witness
from ledger.witness.witness import Witness
from tests.support.service_world import Running, free_port

NOW_MS = 1_700_000_000_000


@dataclass
class HandClock:
    """A clock that is set by hand."""

    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms


def make_witness(
    directory: Path,
    name: str = "witness.example/w1",
    *,
    clock: Clock = SYSTEM_CLOCK,
    randomness: Randomness = SYSTEM_RANDOMNESS,
    reached: Callable[[str], None] | None = None,
) -> OpenedWitness:
    """A witness that lives in ``directory``, opened; ``reached`` is called at each step of its writes."""
    create_witness(directory, name, randomness)
    opened = open_witness(directory, clock)
    if reached is not None:
        opened.book = WitnessBook(opened.engine, reached)
        opened.witness = Witness(opened.book, opened.signer, clock)
    return opened


def policy_text(log_vkey: str, *witnesses: tuple[str, str, str]) -> str:
    """A policy that wants all of ``witnesses``: name, vkey and URL of each."""
    lines = [f"witness {name} {vkey} {url}\n" for name, vkey, url in witnesses]
    names = " ".join(name for name, _, _ in witnesses)
    return f"log {log_vkey}\n{''.join(lines)}group g all {names}\nquorum g\n"


class ServedWitness:
    """A witness that answers at ``url``; close it, or use ``with``."""

    def __init__(self, opened: OpenedWitness) -> None:
        self.opened = opened
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._running = Running(WitnessApp(opened).application(), self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._running.close()
        self.opened.engine.dispose()

    def line(self, name: str) -> str:
        """Its line in a policy that calls it ``name``."""
        return f"witness {name} {self.opened.signer.vkey()} {self.url}\n"

    def post(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/add-checkpoint", content=body, timeout=20)
