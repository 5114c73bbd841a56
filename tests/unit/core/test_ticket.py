"""Tickets: one text for each promise, verified by the log's key alone, and every bend of it refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.note import open_note, sign_text
from ledger.core.strict import INTEGER_MAX, encode_base64
from ledger.core.ticket import (
    TICKET_CHARACTERS_MAX,
    check_ticket,
    format_ticket,
    parse_ticket,
)
from ledger.errors import FormatError, SignatureError
from ledger.vault.ed25519 import from_seed

ORIGIN = "ledger.example/prod"
LEAF = bytes(range(32))
SIGNER = from_seed(ORIGIN, bytes(range(32)))
VERIFIER = SIGNER.verifier()
TICKET = format_ticket(ORIGIN, 17, LEAF, SIGNER)
PROMISE = f"{ORIGIN}/17:{LEAF.hex()}"


def test_a_ticket_is_the_promise_a_space_and_the_signature_in_base64() -> None:
    promise, signature = TICKET.split(" ")
    assert promise == PROMISE
    assert len(signature) == 92  # 4 bytes of key id and 64 of signature


def test_a_ticket_parses_to_what_formats_to_it() -> None:
    ticket = parse_ticket(TICKET)
    assert (ticket.origin, ticket.seq, ticket.leaf_hash) == (ORIGIN, 17, LEAF)
    assert ticket.promise() == f"{PROMISE}\n"


def test_the_log_key_alone_verifies_a_ticket() -> None:
    assert check_ticket(TICKET, [VERIFIER]) == parse_ticket(TICKET)


def test_a_ticket_is_a_signed_note_that_any_reader_of_notes_opens() -> None:
    note = f"{PROMISE}\n\n\u2014 {ORIGIN} {TICKET.split(' ')[1]}\n"
    assert open_note(note.encode(), [VERIFIER]).text == f"{PROMISE}\n"


@given(seq=st.integers(0, INTEGER_MAX), leaf=st.binary(min_size=32, max_size=32))
def test_every_promise_has_a_ticket_that_checks(seq: int, leaf: bytes) -> None:
    ticket = check_ticket(format_ticket(ORIGIN, seq, leaf, SIGNER), [VERIFIER])
    assert (ticket.origin, ticket.seq, ticket.leaf_hash) == (ORIGIN, seq, leaf)


def test_an_origin_may_hold_slashes_and_a_port() -> None:
    origin = "ledger.example:8443/a/17"
    signer = from_seed(origin, bytes(32))
    ticket = check_ticket(format_ticket(origin, 5, LEAF, signer), [signer.verifier()])
    assert (ticket.origin, ticket.seq) == (origin, 5)


def test_a_changed_seq_does_not_verify() -> None:
    with pytest.raises(SignatureError):
        check_ticket(TICKET.replace("/17:", "/18:"), [VERIFIER])


def test_a_changed_leaf_hash_does_not_verify() -> None:
    with pytest.raises(SignatureError):
        check_ticket(TICKET.replace(LEAF.hex(), LEAF[::-1].hex()), [VERIFIER])


def test_another_log_by_the_same_key_bytes_does_not_verify() -> None:
    with pytest.raises(SignatureError):
        check_ticket(TICKET, [from_seed("ledger.example/test", bytes(range(32))).verifier()])


def test_another_key_of_the_same_name_does_not_verify() -> None:
    with pytest.raises(SignatureError):
        check_ticket(TICKET, [from_seed(ORIGIN, bytes(32)).verifier()])


def test_after_a_rotation_either_known_key_verifies() -> None:
    new = from_seed(ORIGIN, bytes(32))
    for signer in (SIGNER, new):
        ticket = format_ticket(ORIGIN, 3, LEAF, signer)
        assert check_ticket(ticket, [VERIFIER, new.verifier()]).signature.key_id == signer.key_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        PROMISE,
        PROMISE + " ",
        TICKET + " ",
        TICKET + "\n",
        " " + TICKET,
        TICKET.replace(" ", "  "),
        TICKET.replace(" ", "\t"),
        TICKET.replace("/17:", "/017:"),
        TICKET.replace("/17:", "/+17:"),
        TICKET.replace("/17:", "/1_7:"),
        TICKET.replace("/17:", "/\u0661\u0667:"),
        TICKET.replace("/17:", "/:"),
        TICKET.replace("/17:", f"/{INTEGER_MAX + 1}:"),
        TICKET.replace("/17:", "17:"),
        TICKET.replace(LEAF.hex(), LEAF.hex().upper()),
        TICKET.replace(LEAF.hex(), LEAF.hex()[:-2]),
        TICKET.replace(ORIGIN, ""),
        TICKET.replace(ORIGIN, "ledger example/prod"),
        TICKET.replace(ORIGIN, "ledger+example/prod"),
        TICKET.replace(ORIGIN, 'ledger"example/prod'),
        TICKET.replace(ORIGIN, "ledger\\example/prod"),
        TICKET.replace(ORIGIN, "l\u00e9dger.example/prod"),
        TICKET.replace(ORIGIN, "ledger\x7f.example/prod"),
        TICKET[:-3],
        TICKET.removesuffix("=") + "-",
        f"{PROMISE} AAAA",
        f"{PROMISE} {'A' * TICKET_CHARACTERS_MAX}",
    ],
)
def test_what_is_not_exactly_a_ticket_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        check_ticket(text, [VERIFIER])


@given(place=st.integers(0, len(TICKET) - 1), character=st.characters(max_codepoint=0x2100))
def test_no_changed_character_passes_unnoticed(place: int, character: str) -> None:
    mangled = TICKET[:place] + character + TICKET[place + 1 :]
    if mangled != TICKET:
        with pytest.raises((FormatError, SignatureError)):
            check_ticket(mangled, [VERIFIER])


def test_a_key_that_is_not_named_like_the_log_signs_no_ticket() -> None:
    with pytest.raises(FormatError, match="not that of the log"):
        format_ticket("ledger.example/test", 17, LEAF, SIGNER)


def test_a_leaf_hash_of_another_length_gets_no_ticket() -> None:
    with pytest.raises(FormatError, match="32 bytes"):
        format_ticket(ORIGIN, 17, LEAF[:31], SIGNER)


def test_a_seq_beyond_every_log_gets_no_ticket() -> None:
    with pytest.raises(FormatError):
        format_ticket(ORIGIN, INTEGER_MAX + 1, LEAF, SIGNER)


def test_an_origin_too_long_for_a_header_gets_no_ticket() -> None:
    origin = "o" * TICKET_CHARACTERS_MAX
    with pytest.raises(FormatError, match="at most"):
        format_ticket(origin, 17, LEAF, from_seed(origin, bytes(32)))


def test_the_signature_of_a_checkpoint_makes_no_ticket() -> None:
    checkpoint = sign_text(f"{ORIGIN}\n18\nbqymhoQE5FUJO3a/aXCBp5h3N0QhU1QopKoFLxlwDgk=\n", SIGNER)
    blob = encode_base64(checkpoint.key_id + checkpoint.signature)
    with pytest.raises(SignatureError):
        check_ticket(f"{PROMISE} {blob}", [VERIFIER])
