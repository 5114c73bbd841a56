"""Checkpoints: three lines, and the log's own signature."""

from __future__ import annotations

import pytest

from ledger.core.checkpoint import (
    Checkpoint,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.core.merkle import EMPTY_ROOT, hash_leaf
from ledger.core.note import format_note, sign_note
from ledger.core.strict import INTEGER_MAX
from ledger.errors import FormatError, SignatureError
from ledger.vault.cosignatures import cosigner_from_seed
from ledger.vault.ed25519 import from_seed

ORIGIN = "ledger.example/log"
ROOT = hash_leaf(b"")
LOG = from_seed(ORIGIN, bytes(32))
WITNESS = from_seed("witness.example/w1", bytes(range(32)))
CHECKPOINT = Checkpoint(ORIGIN, 1, ROOT)


@pytest.mark.parametrize(
    "checkpoint",
    [CHECKPOINT, Checkpoint(ORIGIN, 0, EMPTY_ROOT), Checkpoint("ä", INTEGER_MAX, ROOT)],
)
def test_the_three_lines_parse_to_what_formats_to_them(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("a b", 1, ROOT),
        Checkpoint("a\nb", 1, ROOT),
        Checkpoint(ORIGIN, -1, ROOT),
        Checkpoint(ORIGIN, INTEGER_MAX + 1, ROOT),
        Checkpoint(ORIGIN, 1, ROOT[:31]),
        Checkpoint(ORIGIN, 0, ROOT),
    ],
)
def test_what_no_log_can_state_is_not_written(checkpoint: Checkpoint) -> None:
    with pytest.raises(FormatError):
        format_checkpoint(checkpoint)


def test_an_empty_log_with_another_root_is_refused() -> None:
    text = format_checkpoint(CHECKPOINT).replace("\n1\n", "\n0\n")
    with pytest.raises(FormatError):
        parse_checkpoint(text)


def test_a_checkpoint_opens_under_the_logs_key_with_the_witnesses_lines() -> None:
    opened = open_checkpoint(sign_checkpoint(CHECKPOINT, [LOG, WITNESS]), ORIGIN, [LOG.verifier()])
    assert opened.checkpoint == CHECKPOINT
    assert [signature.name for signature in opened.note.signatures] == [ORIGIN, WITNESS.name]


def test_a_checkpoint_that_only_a_witness_signed_does_not_open() -> None:
    note = sign_note(format_checkpoint(CHECKPOINT), [WITNESS])
    with pytest.raises(SignatureError):
        open_checkpoint(note, ORIGIN, [LOG.verifier(), WITNESS.verifier()])


def test_a_checkpoint_of_another_log_does_not_open() -> None:
    note = sign_checkpoint(CHECKPOINT, [LOG, WITNESS])
    with pytest.raises(SignatureError):
        open_checkpoint(note, WITNESS.name, [LOG.verifier(), WITNESS.verifier()])


def test_a_checkpoint_is_signed_by_a_key_named_by_its_origin() -> None:
    with pytest.raises(FormatError):
        sign_checkpoint(CHECKPOINT, [WITNESS])


def test_a_rotation_is_signed_by_both_keys_of_one_name() -> None:
    new_key = from_seed(ORIGIN, b"\x01" * 32)
    note = sign_checkpoint(CHECKPOINT, [LOG, new_key])
    opened = open_checkpoint(note, ORIGIN, [LOG.verifier(), new_key.verifier()])
    assert [line.key_id for line in opened.note.verified_signatures] == [LOG.key_id, new_key.key_id]


def test_a_cosigner_who_calls_itself_like_the_log_does_not_sign_for_it() -> None:
    impostor = cosigner_from_seed("ledger.example/impostor", b"\x09" * 32)
    text = format_checkpoint(Checkpoint(impostor.name, 1, bytes(32)))
    note = format_note(text, [impostor.cosign(text, 7)])
    with pytest.raises(SignatureError, match="no known key named"):
        open_checkpoint(note, impostor.name, [impostor.verifier()])
