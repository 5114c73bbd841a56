"""The vectors of canonical bytes, notes, vkeys and checkpoints; their origin is in ``vectors/README.md``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.core import canonical
from ledger.core.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.core.note import format_vkey, open_note, parse_vkey
from ledger.errors import FormatError, SignatureError
from ledger.vault.ed25519 import from_seed, verifier_from_vkey

VECTORS = Path(__file__).parent / "vectors"


def cases(folder: str, *, refused: bool) -> list[Any]:
    """The cases of a folder that are to be refused, or accepted, named by their files."""
    found = []
    for path in sorted((VECTORS / folder).glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        if case.get("want_error", False) is refused:
            found.append(pytest.param(case, id=path.stem))
    assert found, f"no cases in {folder}"
    return found


@pytest.mark.parametrize("case", cases("canonical", refused=False))
def test_canonical_bytes_encode_back_to_themselves(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes_hex"])
    assert canonical.encode(canonical.decode(data)) == data


@pytest.mark.parametrize("case", cases("canonical", refused=True))
def test_bytes_that_are_not_canonical_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        canonical.decode(bytes.fromhex(case["bytes_hex"]))


@pytest.mark.parametrize("case", cases("vkey", refused=False))
def test_a_vkey_holds_its_name_id_and_key_and_formats_back(case: dict[str, Any]) -> None:
    key = parse_vkey(case["vkey"])
    assert (key.name, key.key_id.hex(), key.public_key.hex()) == (
        case["name"],
        case["key_id"],
        case["public_hex"],
    )
    assert format_vkey(key) == case["vkey"]


@pytest.mark.parametrize("case", cases("vkey", refused=True))
def test_a_bad_vkey_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_vkey(case["vkey"])


@pytest.mark.parametrize("case", cases("note", refused=False))
def test_a_note_opens_to_its_text_and_the_names_that_verify(case: dict[str, Any]) -> None:
    opened = open_note(bytes.fromhex(case["note_hex"]), map(verifier_from_vkey, case["vkeys"]))
    assert (opened.text, list(opened.verified)) == (case["text"], case["verified"])


@pytest.mark.parametrize("case", cases("note", refused=True))
def test_a_bad_note_does_not_open(case: dict[str, Any]) -> None:
    with pytest.raises((FormatError, SignatureError)):
        open_note(bytes.fromhex(case["note_hex"]), map(verifier_from_vkey, case["vkeys"]))


@pytest.mark.parametrize("case", cases("checkpoint", refused=False))
def test_a_checkpoint_opens_to_its_three_lines(case: dict[str, Any]) -> None:
    note = bytes.fromhex(case["note_hex"])
    assert note.decode() == case["note"]
    opened = open_checkpoint(note, case["origin"], [verifier_from_vkey(case["vkey"])])
    assert opened.checkpoint == Checkpoint(case["origin"], case["size"], bytes.fromhex(case["root_hex"]))


@pytest.mark.parametrize("case", cases("checkpoint", refused=False))
def test_signing_a_checkpoint_again_gives_the_same_bytes(case: dict[str, Any]) -> None:
    checkpoint = Checkpoint(case["origin"], case["size"], bytes.fromhex(case["root_hex"]))
    signer = from_seed(case["origin"], bytes.fromhex(case["seed_hex"]))
    assert signer.vkey() == case["vkey"]
    assert sign_checkpoint(checkpoint, [signer]).hex() == case["note_hex"]


@pytest.mark.parametrize("case", cases("checkpoint", refused=True))
def test_a_bad_checkpoint_does_not_open(case: dict[str, Any]) -> None:
    verifier = verifier_from_vkey(case["vkey"])
    with pytest.raises((FormatError, SignatureError)):
        open_checkpoint(bytes.fromhex(case["note_hex"]), verifier.name, [verifier])
