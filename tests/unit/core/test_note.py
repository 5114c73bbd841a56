"""Signed notes, with keys made of a hash: the note's own rules, whatever signs it."""

from __future__ import annotations

import hashlib

import pytest

from ledger.core.note import (
    ED25519,
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    SIGNATURES_MAX,
    NoteSignature,
    check_name,
    compute_key_id,
    format_note,
    format_signature,
    format_vkey,
    make_verifier_key,
    open_note,
    parse_note,
    parse_signature,
    parse_vkey,
    sign_note,
    sign_text,
)
from ledger.errors import FormatError, SignatureError

TEXT = "A text.\n"


class HashKey:
    """Signs and verifies with a hash: no secret, but the shape of a key."""

    def __init__(self, name: str, algorithm: int = ED25519) -> None:
        self.name = name
        self.key_id = compute_key_id(name, algorithm, hashlib.sha256(name.encode()).digest())

    def sign(self, message: bytes) -> bytes:
        return hashlib.sha256(self.key_id + message).digest()

    def verify(self, message: bytes, signature: bytes) -> bool:
        return signature == self.sign(message)


LOG = HashKey("ledger.example/log")
WITNESS = HashKey("witness.example/w1")


def test_a_note_opens_to_the_text_that_was_signed() -> None:
    opened = open_note(sign_note(TEXT, [LOG, WITNESS]), [WITNESS, LOG])
    assert (opened.text, opened.verified) == (TEXT, (LOG.name, WITNESS.name))


def test_a_signature_line_parses_to_what_formats_to_it() -> None:
    signature = sign_text(TEXT, LOG)
    line = format_signature(signature)
    assert parse_signature(line.removesuffix("\n")) == signature
    assert sign_note(TEXT, [LOG]) == f"{TEXT}\n{line}".encode()


def test_unknown_lines_are_kept_but_not_verified() -> None:
    opened = open_note(sign_note(TEXT, [WITNESS, LOG]), [LOG])
    assert opened.verified_signatures == (sign_text(TEXT, LOG),)
    assert opened.signatures == (sign_text(TEXT, WITNESS), sign_text(TEXT, LOG))


def test_one_key_pair_has_another_id_for_each_type_of_signature() -> None:
    log, cosigner = HashKey("x.example"), HashKey("x.example", ED25519_COSIGNATURE)
    assert log.key_id != cosigner.key_id
    assert open_note(sign_note(TEXT, [log, cosigner]), [cosigner]).verified == ("x.example",)


def test_a_name_with_two_keys_that_verify_is_named_once() -> None:
    keys = [HashKey("x.example"), HashKey("x.example", ED25519_COSIGNATURE)]
    opened = open_note(sign_note(TEXT, keys), keys)
    assert opened.verified == ("x.example",)
    assert len(opened.verified_signatures) == 2


def test_a_repeated_line_counts_once() -> None:
    opened = open_note(sign_note(TEXT, [LOG, LOG]), [LOG])
    assert len(opened.verified_signatures) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_known_key_that_fails_rejects_the_note_wherever_it_stands(place: int) -> None:
    signatures = [sign_text(TEXT, LOG), sign_text(TEXT, WITNESS)]
    signatures.insert(place, sign_text("Another text.\n", LOG))
    with pytest.raises(SignatureError):
        open_note(format_note(TEXT, signatures), [LOG, WITNESS])


@pytest.mark.parametrize("known", [[], [WITNESS]])
def test_a_note_that_no_known_key_signed_does_not_open(known: list[HashKey]) -> None:
    with pytest.raises(SignatureError):
        open_note(sign_note(TEXT, [LOG]), known)


def test_two_known_keys_of_one_name_and_id_are_refused() -> None:
    with pytest.raises(FormatError):
        open_note(sign_note(TEXT, [LOG]), [LOG, HashKey(LOG.name)])


def test_a_note_has_at_most_100_signatures() -> None:
    signature = sign_text(TEXT, LOG)
    most = format_note(TEXT, [signature] * SIGNATURES_MAX)
    assert open_note(most, [LOG]).verified == (LOG.name,)
    with pytest.raises(FormatError):
        open_note(most + format_signature(signature).encode(), [LOG])
    with pytest.raises(FormatError):
        format_note(TEXT, [signature] * (SIGNATURES_MAX + 1))


def test_a_note_has_a_signature() -> None:
    with pytest.raises(FormatError):
        sign_note(TEXT, [])
    with pytest.raises(FormatError):
        parse_note(TEXT.encode() + b"\n")


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "a\r\n", "\x00\n", "\x7f\n", "\ud800\n"])
def test_a_text_that_cannot_be_a_notes_is_not_signed(text: str) -> None:
    with pytest.raises(FormatError):
        sign_note(text, [LOG])


@pytest.mark.parametrize("text", ["\n", "\n\n", "a\n\nb\n", "a\n\n", "\x80\u2028ä\n", "— x AAAA\n"])
def test_a_text_may_be_empty_lines_and_anything_printable(text: str) -> None:
    assert open_note(sign_note(text, [LOG]), [LOG]).text == text


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a+b", "a\u00a0b", "a\u2003", "\u3000", "a\u0085", "a\tb", "a\x7f", "\ud800"],
)
def test_a_name_without_letters_or_with_spaces_or_plus_is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        check_name(name)


def test_a_signature_of_a_bad_name_is_not_written() -> None:
    with pytest.raises(FormatError):
        format_note(TEXT, [NoteSignature("a b", bytes(4), b"x")])


@pytest.mark.parametrize(
    ("algorithm", "size"), [(ED25519, 32), (ED25519_COSIGNATURE, 32), (ML_DSA_44_COSIGNATURE, 1312)]
)
def test_a_vkey_of_each_type_parses_to_the_key_that_formats_to_it(algorithm: int, size: int) -> None:
    key = make_verifier_key("x.example/ä", algorithm, bytes(size))
    assert parse_vkey(format_vkey(key)) == key


@pytest.mark.parametrize(
    ("algorithm", "size"), [(ED25519, 31), (ED25519_COSIGNATURE, 33), (0x02, 32), (0x00, 0)]
)
def test_a_key_of_another_length_or_type_is_refused(algorithm: int, size: int) -> None:
    with pytest.raises(FormatError):
        make_verifier_key("x.example", algorithm, bytes(size))


@pytest.mark.parametrize(
    "text", ["", "x", "x+00000000", "x+00000000+", "x+00000000+AA==", "++", "x+0000000+AQ=="]
)
def test_a_text_without_a_key_is_no_vkey(text: str) -> None:
    with pytest.raises(FormatError):
        parse_vkey(text)
