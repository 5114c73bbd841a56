"""A ledger that was put back from a copy, and a process that starts on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ledger.core.canonical import JsonValue
from ledger.engines.codec import MsgspecCodec
from ledger.sequencer.draft import expect
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.store.record import FileCheckpointRecord
from ledger.witness.place import OpenedWitness
from tests.lies.place import Place
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER, draft, open_log_index, open_store


class PutBack:
    """A ledger of which database and record were put in their place: a sealer that starts on them."""

    def __init__(
        self, directory: Path, place: Place, witnesses: Mapping[str, OpenedWitness], *, asks: bool
    ) -> None:
        self._store = open_store(directory / "older")
        self._sequencer = Sequencer(self._store, MsgspecCodec(), place.clock)
        self._witnesses = witnesses
        self._sealer = Sealer(
            self._store,
            self._sequencer,
            FileCheckpointRecord(directory / "signed"),
            origin=ORIGIN,
            signers=[SIGNER],
            verifiers=[VERIFIER],
            index=open_log_index(directory / "older"),
            cosigning=place.make_cosigning(witnesses) if asks else None,
        )

    def append(self, kind: str, **members: JsonValue) -> None:
        """Go on as if nothing had happened."""
        expect(self._sequencer.append(draft(kind, "put-back", **members)))

    def seal(self) -> None:
        """Try to sign."""
        self._sealer.seal()

    def close(self) -> None:
        """Let go of everything."""
        self._sequencer.close()
        self._store.close()
        for witness in self._witnesses.values():
            witness.engine.dispose()
