"""The bodies of the witness protocol: exactly one text for each request and answer."""

from __future__ import annotations

import pytest

from ledger.core.add_checkpoint import (
    HASHES_MAX,
    LINES_MAX,
    REQUEST_BYTES_MAX,
    AddCheckpoint,
    format_add_checkpoint,
    format_cosignatures,
    format_size,
    parse_add_checkpoint,
    parse_body,
    parse_cosignatures,
    parse_size,
)
from ledger.core.checkpoint import Checkpoint, format_checkpoint
from ledger.core.note import NoteSignature
from ledger.errors import FormatError

HASH = bytes(range(32))
LINE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NOTE = b"a\n1\nb\n\n\xe2\x80\x94 a b\n"
SIGNATURE = NoteSignature("w.example/1", b"abcd", bytes(72))


def test_a_request_is_an_old_size_hashes_a_blank_line_and_the_checkpoint() -> None:
    request = AddCheckpoint(3, (HASH, HASH), NOTE)
    body = f"old 3\n{LINE}\n{LINE}\n\n".encode() + NOTE
    assert format_add_checkpoint(request) == body
    assert parse_add_checkpoint(body) == request


def test_a_request_from_nothing_has_no_hashes() -> None:
    assert parse_add_checkpoint(b"old 0\n\n" + NOTE) == AddCheckpoint(0, (), NOTE)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"old\n\n",
        b"old 01\n\n",
        b"old -1\n\n",
        b"old +1\n\n",
        b"old 1 \n\n",
        b"old  1\n\n",
        b"Old 1\n\n",
        b"old 1_0\n\n",
        b"old 9007199254740992\n\n",
        b"old \xd9\xa1\n\n",
        b"old 1\r\n\r\n",
        b"old 1\n" + LINE[:-1].encode() + b"\n\n",
        b"old 1\n" + LINE.encode() + b" \n\n",
        b"old 1\nAAAA\n\n",
        b"old 1\n" + b"%s\n" % LINE.encode() * (HASHES_MAX + 1) + b"\n",
        b"\n\n",
        b"old 1\xff\n\n",
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    with pytest.raises(FormatError):
        parse_add_checkpoint(head + NOTE.replace(b"\n\n", b"\n") if not head else head + NOTE)


def test_a_request_has_at_most_63_hashes() -> None:
    most = AddCheckpoint(1, (HASH,) * HASHES_MAX, NOTE)
    assert parse_add_checkpoint(format_add_checkpoint(most)) == most
    with pytest.raises(FormatError):
        format_add_checkpoint(AddCheckpoint(1, (HASH,) * (HASHES_MAX + 1), NOTE))


def test_a_hash_of_another_length_is_not_written() -> None:
    with pytest.raises(FormatError):
        format_add_checkpoint(AddCheckpoint(1, (bytes(31),), NOTE))


def test_a_request_beyond_its_bound_is_refused_unread() -> None:
    with pytest.raises(FormatError, match="more than"):
        parse_add_checkpoint(b"old 0\n\n" + bytes(REQUEST_BYTES_MAX))


def test_signature_lines_are_read_as_they_are_written() -> None:
    assert parse_cosignatures(format_cosignatures([SIGNATURE, SIGNATURE])) == (SIGNATURE, SIGNATURE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"ok\n",
        format_cosignatures([SIGNATURE])[:-1],
        format_cosignatures([SIGNATURE]) + b"\n",
        format_cosignatures([SIGNATURE]).replace(b"\n", b"\r\n"),
        format_cosignatures([SIGNATURE] * (LINES_MAX + 1)),
        b"\xff\n",
    ],
)
def test_what_is_no_signature_lines_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_cosignatures(body)


def test_a_size_is_a_line() -> None:
    assert format_size(20852163) == b"20852163\n"
    assert parse_size(b"20852163\n") == 20852163


@pytest.mark.parametrize(
    "body", [b"", b"1", b"01\n", b"1\n2\n", b" 1\n", b"1\r\n", b"-1\n", b"9" * 17 + b"\n"]
)
def test_what_is_no_size_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_size(body)


def test_a_checkpoint_of_another_log_may_have_extension_lines() -> None:
    checkpoint = Checkpoint("other.example/log", 5, HASH)
    text = format_checkpoint(checkpoint)
    assert parse_body(text) == parse_body(f"{text}more\nlines\n") == checkpoint


@pytest.mark.parametrize("ending", ["\n", "x\n\n", "\n\nx\n", "x"])
def test_an_empty_or_unended_extension_line_is_refused(ending: str) -> None:
    with pytest.raises(FormatError):
        parse_body(format_checkpoint(Checkpoint("other.example/log", 5, HASH)) + ending)


def test_a_body_of_fewer_than_three_lines_is_refused() -> None:
    with pytest.raises(FormatError):
        parse_body("other.example/log\n5\n")
