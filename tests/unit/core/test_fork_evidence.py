"""Evidence of a fork: what it shows under the log's key, and what it does not."""

from __future__ import annotations

import json

import pytest

from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.fork_evidence import (
    ForkEvidence,
    check_fork_evidence,
    format_fork_evidence,
    parse_fork_evidence,
)
from ledger.core.merkle import root_of
from ledger.errors import FormatError, ProofError, SignatureError
from ledger.vault.ed25519 import Ed25519Signer, from_seed
from tests.support.histories import History

LOG = from_seed("ledger.example/acme", bytes(32))
OTHER = from_seed("ledger.example/other", bytes(range(32)))


def note(salt: str, size: int, signer: Ed25519Signer = LOG) -> bytes:
    return History(salt, signer).note(size)


def proof(salt: str, old_size: int, size: int) -> tuple[bytes, ...]:
    return History(salt, LOG).prove(old_size, size)


def evidence(known: bytes, shown: bytes, hashes: tuple[bytes, ...] = ()) -> ForkEvidence:
    return ForkEvidence(LOG.vkey(), known, shown, hashes, "witness.example/w1", 1_700_000_000)


def check(found: ForkEvidence) -> str:
    return check_fork_evidence(found, [LOG.verifier()]).fork


def test_two_roots_of_one_size_are_a_fork_whatever_came_along() -> None:
    assert check(evidence(note("a", 5), note("b", 5))) == "fork"
    assert check(evidence(note("a", 5), note("b", 5), (bytes(32),))) == "fork"


def test_two_sizes_without_a_proof_that_holds_are_unexplained() -> None:
    assert check(evidence(note("a", 5), note("b", 9), proof("b", 5, 9))) == "unexplained"
    assert check(evidence(note("a", 5), note("a", 9), ())) == "unexplained"


def test_a_smaller_tree_shown_afterwards_is_unexplained_too() -> None:
    assert check(evidence(note("a", 9), note("b", 5), proof("b", 5, 9))) == "unexplained"


def test_a_proof_that_holds_clears_the_log() -> None:
    with pytest.raises(ProofError, match="continues the earlier one"):
        check(evidence(note("a", 5), note("a", 9), proof("a", 5, 9)))


def test_one_tree_shown_twice_is_no_fork() -> None:
    with pytest.raises(ProofError, match="same tree"):
        check(evidence(note("a", 5), note("a", 5)))


def test_from_the_empty_tree_everything_follows() -> None:
    empty = sign_checkpoint(Checkpoint(LOG.name, 0, root_of([])), [LOG])
    with pytest.raises(ProofError):
        check(evidence(empty, note("a", 5)))


@pytest.mark.parametrize(
    "found",
    [
        evidence(note("a", 5, OTHER), note("b", 5)),
        evidence(note("a", 5), note("b", 5, OTHER)),
    ],
)
def test_a_checkpoint_that_the_log_did_not_sign_shows_nothing(found: ForkEvidence) -> None:
    with pytest.raises(SignatureError):
        check(found)


def test_checkpoints_of_two_logs_show_nothing() -> None:
    found = evidence(note("a", 5), note("b", 5, OTHER))
    with pytest.raises(SignatureError):
        check_fork_evidence(found, [LOG.verifier(), OTHER.verifier()])


def test_evidence_is_read_as_it_is_written() -> None:
    found = evidence(note("a", 5), note("b", 9), proof("b", 5, 9))
    assert parse_fork_evidence(format_fork_evidence(found)) == found


@pytest.mark.parametrize(
    "change",
    [
        {"format": "grantledger/fork-evidence/v2"},
        {"seen_at": -1},
        {"seen_at": 1.5},
        {"seen_at": True},
        {"known": 5},
        {"proof": "AAAA"},
        {"proof": [5]},
        {"proof": ["AAB="]},
        {"more": 1},
    ],
)
def test_a_changed_member_makes_it_no_evidence(change: dict[str, object]) -> None:
    members = json.loads(format_fork_evidence(evidence(note("a", 5), note("b", 5))))
    with pytest.raises(FormatError):
        parse_fork_evidence(json.dumps(members | change).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, bytes(1 << 21)])
def test_what_is_no_evidence_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_fork_evidence(data)
