"""A ledger in a directory with a vault, to import into: real SQLite, the real sequencer, the verifier's eyes."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ledger.engines.codec import MsgspecCodec
from ledger.ingest.importer import Importer, ImportReport
from ledger.ingest.preparing_process import OpenVault
from ledger.ingest.rehearsal import SECRET_BYTES, ScratchStore, ScratchVault
from ledger.ingest.sources import FileSource
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer
from ledger.store.engine import explain, open_engine
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.subjects import SqlVault
from tests.support.log_world import ORIGIN, SIGNER, World, draft, open_world

OPERATOR_KEY = bytes(range(32))


class Stream:
    """Bytes that never repeat and can be told apart by ``seed``."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = itertools.count()

    def token(self, size_bytes: int) -> bytes:
        return hashlib.shake_256(f"{self._seed}/{next(self._count)}".encode()).digest(size_bytes)


@dataclass
class IngestWorld:
    """One opened ledger, its vault, and an importer."""

    world: World
    vault: SqlVault
    batch_records: int = 7

    def open_vault(self) -> OpenVault:
        """What opens the vault in another process."""
        return partial(open_vault_of, str(self.world.directory))

    def importer(self, **options: Any) -> Importer:
        return Importer(
            self.vault,
            SubjectCommitments(),
            self.world.sequencer,
            **({"batch_records": self.batch_records} | options),
        )

    def write(self, records: Iterable[Mapping[str, Any]] | bytes, name: str = "records.jsonl") -> FileSource:
        """A file of ``records``, or of exactly these bytes."""
        data = records if isinstance(records, bytes) else b"".join(line(record) for record in records)
        path = self.world.directory / name
        path.write_bytes(data)
        return FileSource(path)

    def run(self, records: Iterable[Mapping[str, Any]] | bytes, **options: Any) -> ImportReport:
        return self.importer(**options).run(self.write(records))

    def run_strictly(self, records: Iterable[Mapping[str, Any]] | bytes, **options: Any) -> ImportReport:
        with (
            ScratchStore(self.world.store) as scratch,
            Sequencer(scratch, MsgspecCodec(), self.world.clock) as rehearsal,
        ):
            scratch_vault = partial(ScratchVault, secret=bytes(SECRET_BYTES))
            return self.importer(**options).run_strictly(self.write(records), scratch_vault, rehearsal)

    def entries(self) -> list[dict[str, Any]]:
        """The members of every entry but the first."""
        rows = self.world.store.fetch_range(1, self.world.store.size())
        return [json.loads(row.data) for row in rows]

    def check_tags_are_registered_first(self) -> None:
        """Each tag is registered once, and no entry has one before that."""
        met: set[str] = set()
        for entry in self.entries():
            if entry["kind"] == "account.registered":
                assert entry["account"] not in met
                met.add(entry["account"])
            else:
                assert met.issuperset({entry.get("account"), *entry.get("subjects", [])} - {None})

    def entry(self, kind: str) -> dict[str, Any]:
        """The one entry of ``kind``."""
        (found,) = [entry for entry in self.entries() if entry["kind"] == kind]
        return found

    def tag(self, account_id: str) -> str:
        return self.vault.find([account_id])[account_id].tag


def open_vault_of(directory: str) -> SqlVault:
    """The vault of the world in ``directory``, with a randomness of this process's own."""
    engine = open_engine(f"sqlite:///{directory}/ledger.db")
    return SqlVault(engine, OPERATOR_KEY, Stream(f"process {os.getpid()}"), explain)


def line(record: Mapping[str, Any]) -> bytes:
    """One line of JSON Lines."""
    return json.dumps(record).encode() + b"\n"


@contextmanager
def open_ingest_world(directory: Path) -> Iterator[IngestWorld]:
    """A new ledger in ``directory`` with entry 0, closed at the end."""
    world = open_world(directory)
    vault = SqlVault(open_engine(f"sqlite:///{directory}/ledger.db"), OPERATOR_KEY, Stream(), explain)
    opened = draft("ledger.opened", "0", origin=ORIGIN, vkey=SIGNER.vkey(), rule_set="rules-1", map_fn=1)
    try:
        expect(world.sequencer.append(opened))
        yield IngestWorld(world, vault)
    finally:
        world.close()
