"""Proofs that are handed out hold, and none is made for an entry that is not what was sealed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.chain import leaf_hash
from ledger.core.tlog_proof import check_tlog_proof, format_tlog_proof, parse_tlog_proof
from ledger.errors import ForkError, ProofError, SignatureError
from ledger.sequencer.draft import Draft, expect
from ledger.settings import load_settings
from ledger.store.engine import begin_write
from ledger.transparency.inclusion import load_published, prove_entry
from ledger.vault.ed25519 import from_seed
from ledger.wiring import Ledger, create_ledger, open_ledger

ORIGIN = "ledger.example/acme"
ENTRIES = 20


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A sealed ledger, with one more entry that is not sealed yet."""
    settings = load_settings({}, str(tmp_path_factory.mktemp("inclusion") / "a.db"))
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as opened:
        for number in range(ENTRIES):
            append_developer(opened, number)
        opened.sealer.seal()
        append_developer(opened, ENTRIES)
        yield opened


def append_developer(ledger: Ledger, number: int) -> None:
    stated = {"kind": "developer.registered", "developer": f"d{number}", "uid": f"u{number}", "via": "file"}
    expect(ledger.sequencer.append(Draft({**stated, "actor": "operator:test", "at": number})))


def test_the_proof_of_every_sealed_entry_holds(ledger: Ledger) -> None:
    for row in ledger.store.fetch_range(0, ENTRIES + 2):
        proof = ledger.prove_entry(row)
        assert proof is not None
        again = parse_tlog_proof(format_tlog_proof(proof))
        opened = check_tlog_proof(again, leaf_hash(row.data), ORIGIN, [ledger.verifier])
        assert opened.checkpoint.size == ENTRIES + 2


def test_an_entry_after_the_checkpoint_has_no_proof(ledger: Ledger) -> None:
    row = next(ledger.store.fetch_range(ENTRIES + 2, ENTRIES + 3))
    assert ledger.prove_entry(row) is None


def test_without_a_checkpoint_nothing_has_a_proof(ledger: Ledger) -> None:
    row = next(ledger.store.fetch_range(0, 1))
    assert prove_entry(ledger.store, row, None, [ledger.verifier]) is None


def test_bytes_that_do_not_fit_their_row_are_not_proven(ledger: Ledger) -> None:
    row = next(ledger.store.fetch_range(3, 4))
    with pytest.raises(ForkError):
        ledger.prove_entry(row._replace(data=row.data.replace(b"d2", b"d9")))


def test_a_row_that_was_changed_with_its_hash_is_not_proven(ledger: Ledger) -> None:
    row = next(ledger.store.fetch_range(3, 4))
    other = row.data.replace(b"d2", b"d9")
    with pytest.raises(ProofError):
        ledger.prove_entry(row._replace(data=other, leaf_hash=leaf_hash(other)))


def test_what_is_published_in_the_place_of_a_checkpoint_is_told_as_evidence(tmp_path: Path) -> None:
    settings = load_settings({}, str(tmp_path / "a.db"))
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as opened:
        opened.sealer.seal()
        with begin_write(opened.engine, "editing") as connection:
            connection.exec_driver_sql("UPDATE published_checkpoint SET checkpoint = 'no note'")
        with pytest.raises(SignatureError, match="no checkpoint"):
            opened.load_published()
        with pytest.raises(SignatureError, match="what is published"):
            opened.sealer.seal()


def test_a_checkpoint_under_another_key_is_not_the_logs(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(SignatureError):
        load_published(ledger.store, ORIGIN, [from_seed(ORIGIN, bytes(32)).verifier()])
