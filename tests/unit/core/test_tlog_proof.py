"""Proofs that stand alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.merkle import hash_leaf, root_of
from ledger.core.tlog_proof import TlogProof, check_tlog_proof, format_tlog_proof, parse_tlog_proof
from ledger.errors import FormatError, ProofError, SignatureError
from ledger.vault.ed25519 import from_seed

ORIGIN = "ledger.example/log"
LOG = from_seed(ORIGIN, bytes(32))
HASHES = [hash_leaf(b"0"), hash_leaf(b"1")]
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 2, root_of(HASHES)), [LOG])
PROOF = TlogProof(1, (HASHES[0],), NOTE, b"some bytes")
BYTES = (
    b"c2sp.org/tlog-proof@v1\nextra c29tZSBieXRlcw==\nindex 1\n"
    b"2zQm6HgGjSjSabbIcXIyLOU3K2V1bQeJAB00g19gHAM=\n\n"
)


@pytest.mark.parametrize(
    "proof",
    [PROOF, replace(PROOF, extra=None), replace(PROOF, hashes=()), replace(PROOF, hashes=(HASHES[0],) * 63)],
)
def test_a_proof_parses_to_what_formats_to_it(proof: TlogProof) -> None:
    assert parse_tlog_proof(format_tlog_proof(proof)) == proof


def test_the_checkpoint_stands_verbatim_behind_a_blank_line() -> None:
    assert format_tlog_proof(replace(PROOF, hashes=(hash_leaf(b"x"),))).endswith(b"=\n\n" + NOTE)
    assert format_tlog_proof(replace(PROOF, extra=None)).startswith(b"c2sp.org/tlog-proof@v1\nindex 1\n")


def test_a_proof_holds_under_its_checkpoint() -> None:
    assert check_tlog_proof(PROOF, HASHES[1], ORIGIN, [LOG.verifier()]).checkpoint.size == 2


@pytest.mark.parametrize(
    ("proof", "leaf_hash"),
    [
        (PROOF, HASHES[0]),
        (replace(PROOF, index=0), HASHES[1]),
        (replace(PROOF, index=2), HASHES[1]),
        (replace(PROOF, hashes=()), HASHES[1]),
    ],
)
def test_another_leaf_index_or_path_proves_nothing(proof: TlogProof, leaf_hash: bytes) -> None:
    with pytest.raises(ProofError):
        check_tlog_proof(proof, leaf_hash, ORIGIN, [LOG.verifier()])


def test_a_proof_does_not_hold_under_an_unknown_key() -> None:
    with pytest.raises(SignatureError):
        check_tlog_proof(PROOF, HASHES[1], ORIGIN, [from_seed(ORIGIN, b"\x01" * 32).verifier()])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"extra c29tZSBieXRlcw==\n", b"extra \n"),
        (b"extra ", b"extra  "),
        (b"extra ", b"Extra "),
        (b"Rlcw==", b"Rlcx=="),
        (b"index 1", b"index 01"),
        (b"index 1", b"index +1"),
        (b"index 1\n", b""),
        (b"index 1\n", b"index 1\nindex 1\n"),
        (b"index 1\n", b"index 1\r\n"),
        (b"index 1\n", b"index 1\nAAAA\n"),
        (b"\n\n", b"\n"),
        (b"2zQm", b"\xffzQm"),
        (b"index 1\n", b"index 1\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 63),
    ],
)
def test_other_bytes_are_no_proof(old: bytes, new: bytes) -> None:
    changed = BYTES.replace(old, new)
    assert changed != BYTES
    with pytest.raises(FormatError):
        parse_tlog_proof(changed)


def test_the_bytes_that_the_changed_ones_came_from_are_a_proof() -> None:
    assert parse_tlog_proof(BYTES) == replace(PROOF, checkpoint=b"")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\n\n", b"c2sp.org/tlog-proof@v1\n\n", b"c2sp.org/tlog-proof@v1"]
)
def test_bytes_without_an_index_are_no_proof(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_tlog_proof(data)


@pytest.mark.parametrize(
    "proof",
    [
        replace(PROOF, extra=b""),
        replace(PROOF, index=-1),
        replace(PROOF, hashes=(b"short",)),
        replace(PROOF, hashes=(HASHES[0],) * 64),
    ],
)
def test_what_cannot_stand_in_a_proof_is_not_written(proof: TlogProof) -> None:
    with pytest.raises(FormatError):
        format_tlog_proof(proof)
