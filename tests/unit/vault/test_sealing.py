"""What is sealed opens where it was sealed, and nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from ledger.errors import StoreError
from ledger.ports import Subject
from ledger.ports.sealing import Sealing
from ledger.vault.commitments import derive
from ledger.vault.sealing import VaultSealing

OPERATOR_KEY = bytes(range(32))
ANN = Subject("a_" + "1" * 32, b"a" * 32)
BOB = Subject("a_" + "2" * 32, b"b" * 32)


class Counting:
    """Randomness that never says the same twice."""

    def __init__(self) -> None:
        self._tokens: Iterator[int] = iter(range(10**9))

    def token(self, size_bytes: int) -> bytes:
        return hashlib.shake_256(str(next(self._tokens)).encode()).digest(size_bytes)


@pytest.fixture
def sealing() -> Sealing:
    return VaultSealing(OPERATOR_KEY, Counting())


@given(context=st.text(alphabet=st.characters(exclude_categories=["Cs"])), data=st.binary(max_size=3_000))
def test_what_was_sealed_opens_to_the_same_bytes(context: str, data: bytes) -> None:
    sealing = VaultSealing(OPERATOR_KEY, Counting())
    assert sealing.open_for(ANN, context, sealing.seal_for(ANN, context, data)) == data


@given(secret=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_secret_opens_to_the_same_text(secret: str) -> None:
    sealing = VaultSealing(OPERATOR_KEY, Counting())
    assert (
        sealing.open_secret("app/1/consumer-secret", sealing.seal_secret("app/1/consumer-secret", secret))
        == secret
    )


def test_another_sealing_under_the_same_operators_key_opens_it(sealing: Sealing) -> None:
    later = VaultSealing(OPERATOR_KEY, Counting())
    assert later.open_secret("app/1", sealing.seal_secret("app/1", "s")) == "s"


def test_sealing_the_same_twice_gives_other_bytes(sealing: Sealing) -> None:
    assert sealing.seal_for(ANN, "event/1", b"hello") != sealing.seal_for(ANN, "event/1", b"hello")


def test_what_is_sealed_shows_neither_data_nor_context(sealing: Sealing) -> None:
    sealed = sealing.seal_for(ANN, "event/e_123", b"a private message")
    assert b"private" not in sealed
    assert b"e_123" not in sealed


def test_every_single_bit_counts(sealing: Sealing) -> None:
    sealed = sealing.seal_for(ANN, "event/1", b"hello")
    for place in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[place // 8] ^= 1 << place % 8
        with pytest.raises(StoreError):
            sealing.open_for(ANN, "event/1", bytes(altered))


@pytest.mark.parametrize("length", [0, 1, 2, 24, 25, 40, 41, 47])
def test_what_was_cut_off_does_not_open(sealing: Sealing, length: int) -> None:
    with pytest.raises(StoreError):
        sealing.open_for(ANN, "event/1", sealing.seal_for(ANN, "event/1", b"hello")[:length])


@pytest.mark.parametrize("context", ["event/2", "event/", "event/11", "", "vent/1"])
def test_what_was_sealed_in_another_context_does_not_open(sealing: Sealing, context: str) -> None:
    with pytest.raises(StoreError):
        sealing.open_for(ANN, context, sealing.seal_for(ANN, "event/1", b"hello"))


def test_the_end_of_a_context_and_the_beginning_of_the_data_are_not_taken_for_each_other(
    sealing: Sealing,
) -> None:
    with pytest.raises(StoreError):
        sealing.open_for(ANN, "event/12", sealing.seal_for(ANN, "event/1", b"2hello"))


def test_what_is_anothers_does_not_open(sealing: Sealing) -> None:
    with pytest.raises(StoreError):
        sealing.open_for(BOB, "event/1", sealing.seal_for(ANN, "event/1", b"hello"))


def test_a_secret_does_not_open_under_another_operators_key(sealing: Sealing) -> None:
    other = VaultSealing(bytes(32), Counting())
    with pytest.raises(StoreError):
        other.open_secret("app/1", sealing.seal_secret("app/1", "s"))


def test_a_body_and_a_secret_have_keys_of_their_own(sealing: Sealing) -> None:
    operator = Subject("a_" + "3" * 32, OPERATOR_KEY)
    with pytest.raises(StoreError):
        sealing.open_for(operator, "app/1", sealing.seal_secret("app/1", "s"))


def test_the_error_repeats_neither_context_nor_data(sealing: Sealing) -> None:
    with pytest.raises(StoreError) as caught:
        sealing.open_secret("app/2", sealing.seal_secret("app/1", "secret"))
    assert "app/" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_format_is_the_one_that_is_written_down(sealing: Sealing) -> None:
    sealed = sealing.seal_for(ANN, "event/é", b"hello")
    assert sealed[:1] == b"\x01"
    plain = SecretBox(derive(ANN.key, b"grantledger sealed body v1")).decrypt(sealed[1:])
    assert plain == b"\x00\x08event/\xc3\xa9hello"


def test_a_digest_is_the_same_for_the_same_data_of_the_same_account(sealing: Sealing) -> None:
    digest = sealing.digest_for(ANN, "event/1", b"hello")
    assert digest == VaultSealing(bytes(32), Counting()).digest_for(ANN, "event/1", b"hello")
    key = derive(ANN.key, b"grantledger body digest v1")
    assert digest == hmac.digest(key, b"\x00\x07event/1hello", "sha256")


def test_a_digest_differs_by_account_context_and_data(sealing: Sealing) -> None:
    digests = {
        sealing.digest_for(ANN, "event/1", b"hello"),
        sealing.digest_for(BOB, "event/1", b"hello"),
        sealing.digest_for(ANN, "event/2", b"hello"),
        sealing.digest_for(ANN, "event/1", b"hello!"),
        sealing.digest_for(ANN, "event/", b"1hello"),
    }
    assert len(digests) == 5


def test_sealing_and_opening_a_body_of_2_kb_costs_less_than_100_us_each(sealing: Sealing) -> None:
    # A wide bound, so that a busy machine passes: what it shuts out is deriving keys each time, or worse.
    body = bytes(2_048)
    start_s = time.process_time()
    for _ in range(1_000):
        sealing.open_for(ANN, "event/1", sealing.seal_for(ANN, "event/1", body))
    assert (time.process_time() - start_s) / 2_000 < 100e-6


def test_its_representation_holds_no_key(sealing: Sealing) -> None:
    assert repr(sealing) == "VaultSealing()"
