"""docs/vectors: made again and compared, and each accepted or refused as it says."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from ledger.core.canonical import decode, encode
from ledger.core.completeness import parse_map_proof
from ledger.core.index import KeyRow
from ledger.core.map_proof import check_map_proof
from ledger.core.page_proof import check_page
from ledger.core.proof_files import Known, check_proof_file, code_of
from ledger.errors import LedgerError
from ledger.vault.ed25519 import verify_ed25519
from tests.support.own_vectors import all_cases, text_of
from tests.support.write_vectors import VECTORS


def load(*folders: str) -> list[Any]:
    paths = [path for folder in folders for path in sorted((VECTORS / folder).glob("*.json"))]
    return [
        pytest.param(json.loads(path.read_text("ascii")), id=f"{path.parent.name}/{path.stem}")
        for path in paths
    ]


def test_the_vectors_are_those_that_the_sample_ledger_gives() -> None:
    made = {f"{name}.json": text_of(case) for name, case in all_cases()}
    kept = {str(path.relative_to(VECTORS)): path.read_text("ascii") for path in VECTORS.rglob("*.json")}
    assert kept == made, "run scripts/vectors"


def test_the_folders_are_explained() -> None:
    page = (VECTORS / "README.md").read_text("utf-8")
    missing = [path.name for path in VECTORS.iterdir() if path.is_dir() and f"`{path.name}/`" not in page]
    assert missing == []


@pytest.mark.parametrize("case", load("canonical"))
def test_bytes_are_canonical_or_refused(case: Any) -> None:
    data = bytes.fromhex(case["bytes_hex"])
    if case.get("want_error"):
        with pytest.raises(LedgerError):
            decode(data)
    else:
        assert encode(decode(data)) == data


@pytest.mark.parametrize("case", load("map-proofs"))
def test_a_map_proof_holds_or_is_refused(case: Any) -> None:
    proof = parse_map_proof({name: case[name] for name in ("present", "siblings", "leaf") if name in case})
    row = (
        KeyRow(case["count"], case["last_seq"], bytes.fromhex(case["key_root"])) if case["present"] else None
    )
    holds = True
    try:
        check_map_proof(case["key"], proof, row, bytes.fromhex(case["map_root"]))
    except LedgerError:
        holds = False
    assert holds is not case.get("want_error", False)


@pytest.mark.parametrize("case", load("page-proofs"))
def test_a_page_proof_holds_or_is_refused(case: Any) -> None:
    leaves, proof = ([bytes.fromhex(value) for value in case[name]] for name in ("leaves", "proof"))
    holds = True
    try:
        check_page(leaves, case["first"], case["size"], proof, bytes.fromhex(case["root"]))
    except LedgerError:
        holds = False
    assert holds is not case.get("want_error", False)


@pytest.mark.parametrize("case", load("completeness", "consistency", "tlog-proof", "tampered"))
def test_a_file_is_proven_or_refused_with_its_code(case: Any) -> None:
    data = b64decode(case["file_base64"])
    entry = case["entry"].encode() if "entry" in case else None
    code = None
    try:
        check_proof_file(data, Known(case["vkey"], None, entry), verify_ed25519)
    except LedgerError as error:
        code = code_of(error)
    assert code == case.get("code")
