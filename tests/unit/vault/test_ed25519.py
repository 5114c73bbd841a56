"""Ed25519 keys for notes."""

from __future__ import annotations

import pytest

from ledger.core.note import ED25519_COSIGNATURE, format_vkey, make_verifier_key, open_note, sign_note
from ledger.errors import FormatError
from ledger.vault.ed25519 import from_seed, generate, signer_from_skey, verifier_from_vkey

SEED = bytes(range(32))
SIGNER = from_seed("ledger.example/log", SEED)


class Counting:
    """Randomness that counts up."""

    def token(self, size_bytes: int) -> bytes:
        return bytes(range(size_bytes))


def test_the_exported_vkey_verifies_what_the_key_signs() -> None:
    note = sign_note("A text.\n", [SIGNER])
    assert open_note(note, [verifier_from_vkey(SIGNER.vkey())]).verified == (SIGNER.name,)
    assert SIGNER.verifier().vkey() == SIGNER.vkey()


def test_a_generated_key_takes_its_seed_from_the_randomness() -> None:
    assert generate(SIGNER.name, Counting()).skey() == SIGNER.skey()


def test_the_private_key_survives_as_text() -> None:
    assert signer_from_skey(SIGNER.skey()).sign(b"x") == SIGNER.sign(b"x")


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_signature_of_another_length_or_content_does_not_verify(signature: bytes) -> None:
    assert not SIGNER.verifier().verify(b"x", signature)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(FormatError):
        from_seed("x.example", bytes(size))


def test_a_cosignature_key_does_not_verify_notes() -> None:
    key = make_verifier_key("w.example", ED25519_COSIGNATURE, bytes(32))
    with pytest.raises(FormatError):
        verifier_from_vkey(format_vkey(key))


@pytest.mark.parametrize(
    "change", [("PRIVATE", "private"), ("PRIVATE+KEY+", ""), ("ledger", "lodger"), ("+AQ", "+Ag")]
)
def test_a_text_that_is_no_private_key_is_refused_without_repeating_it(change: tuple[str, str]) -> None:
    with pytest.raises(FormatError) as caught:
        signer_from_skey(SIGNER.skey().replace(*change))
    assert SIGNER.skey()[-20:] not in str(caught.value)


def test_a_signer_shows_no_secret() -> None:
    assert SIGNER.skey().rsplit("+", 1)[1] not in repr(SIGNER)
    assert SIGNER.vkey() in repr(SIGNER)
    assert SIGNER.vkey() in repr(SIGNER.verifier())
