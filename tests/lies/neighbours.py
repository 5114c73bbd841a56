"""The two witnesses around a ledger, in this process: their real code, each with its own key and database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ledger.core.witness_policy import WitnessPolicy, parse_policy
from ledger.errors import StoreError
from ledger.ports.cosigning import WitnessAnswer
from ledger.witness.place import OpenedWitness
from tests.support.ingest_world import Stream
from tests.support.log_world import SIGNER, open_store
from tests.support.witness_world import make_witness, policy_text

WITNESSES = ("w1", "w2")


def make_template(directory: Path) -> Path:
    """An empty ledger and two witnesses, to be copied for each history."""
    (directory / "ledger").mkdir(parents=True)
    open_store(directory / "ledger").close()
    for name in WITNESSES:
        opened = make_witness(directory / name, f"witness.example/{name}", randomness=Stream(name))
        opened.book.add_key(SIGNER.vkey(), 0)
        opened.engine.dispose()
    return directory


class InProcess:
    """The way to witnesses that live in this process: their real code, their own databases."""

    def __init__(self, witnesses: Mapping[str, OpenedWitness]) -> None:
        self._witnesses = witnesses

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        """What the witness that the URL names answers."""
        name = url.split("/")[2].split(".", maxsplit=1)[0]
        if name not in self._witnesses:
            raise StoreError("nobody answers")
        answer = self._witnesses[name].witness.add_checkpoint(body)
        return WitnessAnswer(answer.status, answer.media_type.partition(";")[0], answer.body)


def policy_of(witnesses: Mapping[str, OpenedWitness]) -> WitnessPolicy:
    """A policy that wants every one of ``witnesses``."""
    rows = [(name, one.signer.vkey(), f"http://{name}.example") for name, one in witnesses.items()]
    return parse_policy(policy_text(SIGNER.vkey(), *rows).encode())
