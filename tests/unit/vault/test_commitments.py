"""Salts, commitments and event ids against RFC 5869's vectors, the written definition, and each other."""

from __future__ import annotations

import hashlib
import hmac

from ledger.ports import Subject
from ledger.vault.commitments import (
    SubjectCommitments,
    commit,
    derive,
    event_tag,
    is_committed,
    new_salt,
    salt_of,
)

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def hkdf_sha256(key: bytes, info: bytes) -> bytes:
    """RFC 5869 word for word, for one block and no salt."""
    extracted = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_derivation_is_that_of_rfc_5869_test_case_3() -> None:
    # 42 bytes of output there; the first 32 are what is asked for here.
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert derive(b"\x0b" * 22, b"").hex() == expected


def test_a_salt_is_derived_from_key_uid_and_field() -> None:
    assert salt_of(KEY, "grant.issued/g-1/00", "request") == hkdf_sha256(
        KEY, b"grant.issued/g-1/00\x00request"
    )


def test_uid_and_field_do_not_run_together() -> None:
    assert salt_of(KEY, "ab", "c") != salt_of(KEY, "a", "bc")


def test_a_commitment_is_the_hmac_of_the_value_under_the_salt() -> None:
    salt = salt_of(KEY, "u", "f")
    assert commit(salt, b"value") == hmac.new(salt, b"value", hashlib.sha256).hexdigest()


def test_a_commitment_opens_to_its_value_alone() -> None:
    salt = salt_of(KEY, "u", "f")
    made = commit(salt, b"value")
    assert is_committed(made, salt, b"value")
    assert not is_committed(made, salt, b"Value")
    assert not is_committed(made, salt_of(OTHER_KEY, "u", "f"), b"value")
    assert not is_committed(7, salt, b"value")


def test_an_event_id_is_half_an_hmac_under_the_accounts_event_key() -> None:
    full = hmac.new(hkdf_sha256(KEY, b"event"), b"e-1", hashlib.sha256).hexdigest()
    assert event_tag(KEY, "e-1") == "e_" + full[:32]


def test_one_event_looks_different_under_another_account() -> None:
    assert event_tag(KEY, "e-1") != event_tag(OTHER_KEY, "e-1")


def test_an_identity_is_committed_under_the_subjects_own_key() -> None:
    subject = Subject("a_" + "0" * 32, KEY)
    made = SubjectCommitments().identity(subject, "account.registered/x", "783214")
    assert is_committed(made, salt_of(KEY, "account.registered/x", "identity"), b"783214")


def test_a_salt_without_a_subject_is_drawn() -> None:
    class Counted:
        def token(self, size_bytes: int) -> bytes:
            return b"\x07" * size_bytes

    assert new_salt(Counted()) == b"\x07" * 32
