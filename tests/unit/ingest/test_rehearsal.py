"""A scratch copy shows the ledger as it is, takes additions, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.strict import is_tag
from ledger.engines.codec import MsgspecCodec
from ledger.errors import RejectedError
from ledger.ingest.rehearsal import SECRET_BYTES, ScratchStore, ScratchVault
from ledger.ports import EntryStore
from ledger.sequencer.sequencer import Sequencer
from tests.support.ingest_world import IngestWorld, open_ingest_world
from tests.support.log_world import draft
from tests.support.record_samples import SAMPLES

SECRET = bytes(range(SECRET_BYTES))


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestWorld]:
    with open_ingest_world(tmp_path) as opened:
        opened.run(SAMPLES[:9])
        yield opened


@pytest.fixture
def scratch(ingest: IngestWorld) -> Iterator[ScratchStore]:
    with (
        ScratchStore(ingest.world.store) as opened,
        Sequencer(opened, MsgspecCodec(), ingest.world.clock) as sequencer,
    ):
        sequencer.append_many([draft("developer.registered", f"x-{n}", developer=f"x-{n}") for n in range(5)])
        yield opened


def test_additions_stand_after_the_ledgers_own_entries(ingest: IngestWorld, scratch: ScratchStore) -> None:
    base: EntryStore = ingest.world.store
    size = base.size()
    assert scratch.size() == size + 5
    read = list(scratch.fetch_range(size - 2, size + 2))
    assert read[:2] == list(base.fetch_range(size - 2, size))
    assert [row.uid for row in read[2:]] == ["developer.registered/x-0", "developer.registered/x-1"]
    assert scratch.leaf_hashes(size - 2, size + 2) == b"".join(row.leaf_hash for row in read)
    assert scratch.leaf_hashes(size + 1, size + 2) == read[-1].leaf_hash


def test_uids_are_found_in_both(ingest: IngestWorld, scratch: ScratchStore) -> None:
    theirs = next(iter(ingest.world.store.fetch_range(3, 4)))
    found = scratch.fetch_by_uids([theirs.uid, "developer.registered/x-3", "nobody/1"])
    assert found.keys() == {theirs.uid, "developer.registered/x-3"}
    assert found[theirs.uid] == theirs


def test_the_state_is_that_of_both(ingest: IngestWorld, scratch: ScratchStore) -> None:
    base = list(ingest.world.store.fetch_state())
    assert list(scratch.fetch_state())[: len(base)] == base
    assert len(list(scratch.fetch_state())) == len(base) + 5


def test_what_another_writer_appends_meanwhile_is_not_seen(
    ingest: IngestWorld, scratch: ScratchStore
) -> None:
    before = scratch.size(), list(scratch.fetch_state())
    ingest.run([{"kind": "developer.registered", "developer": "later", "at": 1}])
    assert (scratch.size(), list(scratch.fetch_state())) == before
    assert [row.seq for row in scratch.fetch_range(0, 99)] == list(range(scratch.size()))


def test_the_ledger_is_as_it_was(ingest: IngestWorld, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir()), ingest.entries()
    with (
        ScratchStore(ingest.world.store) as opened,
        Sequencer(opened, MsgspecCodec(), ingest.world.clock) as sequencer,
    ):
        sequencer.append(draft("developer.registered", "x", developer="x"))
    assert (sorted(tmp_path.iterdir()), ingest.entries()) == before


def test_people_whom_the_vault_knows_are_themselves_and_others_are_passing(ingest: IngestWorld) -> None:
    vault = ScratchVault(ingest.vault, SECRET)
    subjects = vault.subjects_of(["783214", "42"])
    assert subjects["783214"] == ingest.vault.find(["783214"])["783214"]
    assert is_tag(subjects["42"].tag)
    assert vault.subjects_of(["42"])["42"] == subjects["42"]
    assert ingest.vault.find(["42"]) == {}


def test_passing_tags_cannot_be_computed_from_ids_by_another_run(ingest: IngestWorld) -> None:
    ours, theirs = (ScratchVault(ingest.vault, bytes([n]) * 32).subjects_of(["42"])["42"] for n in (1, 2))
    assert ours.tag != theirs.tag


def test_erased_people_are_refused(ingest: IngestWorld) -> None:
    ingest.vault.erase([ingest.tag("783214")])
    vault = ScratchVault(ingest.vault, SECRET)
    assert vault.erased_among(["783214", "42"]) == {"783214"}
    with pytest.raises(RejectedError):
        vault.subjects_of(["42", "783214"])
