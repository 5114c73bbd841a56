"""Keys that cosign: what a cosignature commits to, and that it opens in a note like any other."""

from __future__ import annotations

import pytest

from ledger.core.checkpoint import Checkpoint, format_checkpoint, open_checkpoint, sign_checkpoint
from ledger.core.cosignature import (
    COSIGNATURE_BYTES,
    Cosignature,
    decode_cosignature,
    encode_cosignature,
    format_cosigned,
)
from ledger.core.note import NoteSignature, format_note, open_note, parse_note, parse_vkey
from ledger.errors import FormatError, SignatureError
from ledger.vault.cosignatures import (
    CosignatureVerifier,
    cosignature_verifier,
    cosigner_from_seed,
    cosigner_from_skey,
)
from ledger.vault.ed25519 import from_seed, signer_from_skey, verifier_from_vkey

LOG = from_seed("ledger.example/acme", bytes(32))
WITNESS = cosigner_from_seed("witness.example/w1", bytes(range(32)))
CHECKPOINT = Checkpoint(LOG.name, 7, bytes(range(32)))
TEXT = format_checkpoint(CHECKPOINT)
NOW_S = 1_700_000_000


def cosigned(*lines: NoteSignature) -> bytes:
    return format_note(TEXT, [*parse_note(sign_checkpoint(CHECKPOINT, [LOG])).signatures, *lines])


def test_a_checkpoint_opens_with_its_cosignature() -> None:
    opened = open_checkpoint(
        cosigned(WITNESS.cosign(TEXT, NOW_S)), LOG.name, [LOG.verifier(), WITNESS.verifier()]
    )
    assert opened.note.verified == (LOG.name, WITNESS.name)
    assert decode_cosignature(opened.note.verified_signatures[1].signature).time_s == NOW_S


def test_what_is_signed_is_a_head_the_time_and_the_checkpoint() -> None:
    assert format_cosigned(NOW_S, TEXT.encode()) == f"cosignature/v1\ntime {NOW_S}\n{TEXT}".encode()


@pytest.mark.parametrize("place", [0, 7, 8, 71])
def test_a_changed_byte_of_time_or_signature_does_not_verify(place: int) -> None:
    line = WITNESS.cosign(TEXT, NOW_S)
    blob = bytearray(line.signature)
    blob[place] ^= 1
    assert not WITNESS.verifier().verify(TEXT.encode(), bytes(blob))


def test_a_cosignature_of_another_checkpoint_does_not_verify() -> None:
    other = format_checkpoint(Checkpoint(LOG.name, 8, bytes(range(32))))
    with pytest.raises(SignatureError):
        open_note(cosigned(WITNESS.cosign(other, NOW_S)), [WITNESS.verifier()])


@pytest.mark.parametrize("length", [0, 8, COSIGNATURE_BYTES - 1, COSIGNATURE_BYTES + 1, 2428])
def test_a_blob_of_another_length_is_no_cosignature(length: int) -> None:
    with pytest.raises(FormatError):
        decode_cosignature(bytes(length))
    assert not WITNESS.verifier().verify(TEXT.encode(), bytes(length))


@pytest.mark.parametrize("time_s", [-1, 2**63])
def test_an_impossible_time_is_refused_both_ways(time_s: int) -> None:
    with pytest.raises(FormatError):
        encode_cosignature(Cosignature(time_s, bytes(64)))
    with pytest.raises(FormatError):
        format_cosigned(time_s, b"")


def test_the_latest_time_that_there_is_can_be_encoded() -> None:
    blob = encode_cosignature(Cosignature(2**63 - 1, bytes(64)))
    assert decode_cosignature(blob) == (2**63 - 1, bytes(64))
    with pytest.raises(FormatError):
        decode_cosignature(b"\x80" + blob[1:])


def test_a_signature_of_another_length_is_not_encoded() -> None:
    with pytest.raises(FormatError):
        encode_cosignature(Cosignature(NOW_S, bytes(63)))


def test_the_private_key_is_read_as_it_is_written() -> None:
    again = cosigner_from_skey(WITNESS.skey())
    assert (again.vkey(), again.skey()) == (WITNESS.vkey(), WITNESS.skey())


@pytest.mark.parametrize(
    "text", ["", "PRIVATE+KEY+x", WITNESS.skey() + " ", WITNESS.skey().lower(), LOG.skey(), WITNESS.vkey()]
)
def test_what_is_no_cosigners_private_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(FormatError) as refused:
        cosigner_from_skey(text)
    assert not text or text not in str(refused.value)


def test_a_key_for_notes_and_one_for_cosignatures_are_not_taken_for_each_other() -> None:
    with pytest.raises(FormatError):
        cosignature_verifier(LOG.vkey())
    with pytest.raises(FormatError):
        verifier_from_vkey(WITNESS.vkey())
    with pytest.raises(FormatError):
        signer_from_skey(WITNESS.skey())
    with pytest.raises(FormatError):
        CosignatureVerifier(parse_vkey(LOG.vkey()))


def test_nothing_secret_is_shown() -> None:
    shown = repr(WITNESS) + repr(WITNESS.verifier())
    assert WITNESS.vkey() in shown
    assert WITNESS.skey() not in shown
