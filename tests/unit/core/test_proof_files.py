"""Files with cosignatures: stated keys are all looked at, and those that were asked for have to be there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.core.completeness import CompletenessBundle
from ledger.core.consistency import ConsistencyBundle
from ledger.core.cosignature import Cosignature, encode_cosignature, format_cosigned
from ledger.core.note import (
    ED25519_COSIGNATURE,
    NoteSignature,
    format_note,
    format_vkey,
    make_verifier_key,
    parse_note,
)
from ledger.core.proof_files import Known, check_proof_file, code_of, encode_bundle
from ledger.core.quorum import check_quorum
from ledger.core.witness_policy import parse_policy
from ledger.errors import LedgerError, ProofError, UsageError
from ledger.vault.ed25519 import from_seed, verify_ed25519
from tests.support.proof_samples import samples

SIGNER = from_seed("witness.example/w1", b"\x05" * 32)
WITNESS = make_verifier_key(SIGNER.name, ED25519_COSIGNATURE, SIGNER.verifier()._key.public_key)
VKEY = format_vkey(WITNESS)


def cosigned() -> bytes:
    """The sample bundle of an absent key, cosigned by a witness."""
    bundle = samples().bundles["absent"]
    assert isinstance(bundle, CompletenessBundle)
    made = replace(bundle, checkpoint=add_line(bundle.checkpoint))
    return encode_bundle(made, samples().vkey, {(WITNESS.name, WITNESS.key_id): VKEY})


def add_line(checkpoint: bytes) -> bytes:
    """The checkpoint, cosigned by the witness, too."""
    note = parse_note(checkpoint)
    blob = encode_cosignature(Cosignature(7, SIGNER.sign(format_cosigned(7, note.text.encode()))))
    line = NoteSignature(WITNESS.name, WITNESS.key_id, blob)
    return format_note(note.text, [*note.signatures, line])


def refusal(data: bytes, known: Known) -> str | None:
    try:
        check_proof_file(data, known, verify_ed25519)
    except LedgerError as error:
        return code_of(error)
    return None


def test_a_bundle_states_the_keys_of_all_its_signatures() -> None:
    data = cosigned()
    assert VKEY.encode() in data
    assert refusal(data, Known(samples().vkey)) is None
    assert refusal(data, Known(samples().vkey, cosigners=(VKEY,))) is None


def test_a_cosigner_that_was_asked_for_and_is_not_there_is_missed() -> None:
    for name in ("absent", "grown", "entry"):
        assert refusal(samples().files[name], Known(samples().vkey, cosigners=(VKEY,))) == "QUORUM_MISSING"


def test_who_cosigned_only_the_older_state_is_missed() -> None:
    bundle = samples().bundles["grown"]
    assert isinstance(bundle, ConsistencyBundle)
    assert isinstance(bundle.old, bytes)
    stated = {(WITNESS.name, WITNESS.key_id): VKEY}
    data = encode_bundle(replace(bundle, old=add_line(bundle.old)), samples().vkey, stated)
    assert refusal(data, Known(samples().vkey)) is None
    assert refusal(data, Known(samples().vkey, cosigners=(VKEY,))) == "QUORUM_MISSING"
    data = encode_bundle(replace(bundle, checkpoint=add_line(bundle.checkpoint)), samples().vkey, stated)
    assert refusal(data, Known(samples().vkey, cosigners=(VKEY, VKEY))) is None


@pytest.mark.parametrize("name", ["absent", "grown", "entry"])
def test_a_cosigner_key_that_is_none_is_the_readers_mistake(name: str) -> None:
    with pytest.raises(UsageError, match="not a vkey"):
        check_proof_file(samples().files[name], Known(samples().vkey, cosigners=("x",)), verify_ed25519)


@pytest.mark.parametrize("name", ["grown", "grown-unsigned", "entry"])
def test_a_file_about_no_key_does_not_answer_for_one(name: str) -> None:
    assert refusal(samples().files[name], Known(samples().vkey, key="acct:a_0")) == "OTHER_KEY"


@pytest.mark.parametrize("name", ["grown", "account", "absent"])
def test_a_file_about_no_entry_does_not_answer_for_one(name: str) -> None:
    assert refusal(samples().files[name], Known(samples().vkey, entry=b"{}")) == "OTHER_ENTRY"


def test_no_byte_of_a_cosigned_bundle_can_be_changed() -> None:
    data = cosigned()
    taken = [
        place
        for place in range(len(data))
        if refusal(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], Known()) is None
    ]
    assert taken == []


def test_a_policy_is_fulfilled_by_whom_it_names() -> None:
    opened = check_proof_file(cosigned(), Known(samples().vkey), verify_ed25519).proven.checkpoint
    policy = parse_policy(f"witness north {VKEY}\nquorum north\n".encode())
    assert check_quorum(opened, policy, verify_ed25519) == ["north"]
    bare = check_proof_file(
        samples().files["absent"], Known(samples().vkey), verify_ed25519
    ).proven.checkpoint
    with pytest.raises(ProofError) as missing:
        check_quorum(bare, policy, verify_ed25519)
    assert missing.value.code == "QUORUM_MISSING"
    other = parse_policy(f"log {from_seed('other.example/log', bytes(32)).vkey()}\nquorum none\n".encode())
    with pytest.raises(ProofError, match="none of them"):
        check_quorum(opened, other, verify_ed25519)
