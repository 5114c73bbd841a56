"""The index against vectors that an independent implementation of the ledger format made from its text alone.

The folders ``index-keys``, ``entries`` (a log of twelve), ``key-roots``, ``map-roots``, ``map-proofs`` and
``completeness`` are kept as they came. One case a file: ``desc`` says what it shows, ``want_error`` that it
has to be refused; every other case has to be accepted with exactly the values given.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.core.canonical import decode
from ledger.core.chain import leaf_hash, link
from ledger.core.completeness import (
    CheckedCompleteness,
    check_completeness,
    format_completeness,
    format_map_proof,
    parse_completeness,
)
from ledger.core.index import KeyRow, index_keys, key_leaf_hash, key_position, leaf_node, value_hash
from ledger.core.key_trees import KeyTrees
from ledger.core.merkle import Frontier
from ledger.core.sparse_map import MapLeaf, MapProof, SparseMap, check_map_proof
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.vault.ed25519 import verifier_from_vkey

VECTORS = Path(__file__).parent / "vectors"
ORIGIN = "ledger.example/vectors"


def load(folder: str, refused: bool | None = None) -> list[Any]:
    """Return the cases of ``folder``, of those that have to be refused or not as ``refused`` says."""
    cases = []
    for path in sorted((VECTORS / folder).glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        if refused is None or case.get("want_error", False) == refused:
            cases.append(pytest.param(case, id=path.stem))
    assert cases, f"no vectors in {folder}"
    return cases


def row_of(members: dict[str, Any]) -> KeyRow:
    """Return the row that a case states."""
    return KeyRow(members["count"], members["last_seq"], bytes.fromhex(members["key_root"]))


def rows_by_rule(count: int) -> dict[str, KeyRow]:
    """Return the rows of the rule for maps too long to be written out."""
    return {
        f"dev:d{number}": KeyRow(number + 1, 7 * number + 3, sha256(b"root %d" % number).digest())
        for number in range(count)
    }


def rows_of(case: dict[str, Any]) -> dict[str, KeyRow]:
    """Return the rows of a map-roots case."""
    if "keys_by_rule" in case:
        return rows_by_rule(case["keys_by_rule"])
    return {item["key"]: row_of(item) for item in case["keys"]}


def map_proof_of(case: dict[str, Any]) -> MapProof:
    """Return the proof of a map-proofs case, whatever its sizes."""
    leaf = case.get("leaf")
    return MapProof(
        case["present"],
        tuple(map(bytes.fromhex, case["siblings"])),
        MapLeaf(bytes.fromhex(leaf["position"]), bytes.fromhex(leaf["value"])) if leaf else None,
    )


def sparse_map_of(rows: dict[str, KeyRow]) -> SparseMap:
    """Return the map of ``rows``."""
    sparse = SparseMap()
    sparse.update(rows.items())
    return sparse


MAPS = {bytes.fromhex(case.values[0]["map_root"]): rows_of(case.values[0]) for case in load("map-roots")}


def check_bundle(case: dict[str, Any]) -> CheckedCompleteness:
    """Check a completeness case under the key that it names."""
    return check_completeness(case, ORIGIN, [verifier_from_vkey(case["vkey"])])


@pytest.mark.parametrize("case", load("index-keys"))
def test_an_entry_has_exactly_the_index_keys_stated(case: Any) -> None:
    assert index_keys(case["entry"]) == case["index_keys"]


@pytest.mark.parametrize("case", load("entries"))
def test_an_entry_of_the_log_has_the_index_keys_and_the_leaf_hash_stated(case: Any) -> None:
    members = decode(case["entry"].encode())
    assert index_keys(members) == case["index_keys"]
    assert leaf_hash(case["entry"].encode()).hex() == case["leaf_hash"]
    assert (members["seq"], members["prev"]) == (case["seq"], case["prev"])


def test_the_log_is_chained_and_grows_to_the_roots_stated() -> None:
    frontier = Frontier()
    previous = None
    for number, param in enumerate(load("entries")):
        case = param.values[0]
        assert (case["seq"], case["prev"]) == (number, link(previous))
        previous = leaf_hash(case["entry"].encode())
        frontier.append(previous)
        assert frontier.root().hex() == case["root_after"]


@pytest.mark.parametrize("case", load("key-roots"))
def test_a_key_has_the_row_and_the_hashes_stated(case: Any) -> None:
    trees = KeyTrees()
    leaves = []
    for param in load("entries"):
        entry = param.values[0]
        if entry["seq"] < case["map_size"]:
            own = bytes.fromhex(entry["leaf_hash"])
            trees.append_entry(entry["index_keys"], entry["seq"], own)
            if case["key"] in entry["index_keys"]:
                leaves.append((entry["seq"], key_leaf_hash(entry["seq"], own).hex()))
    assert leaves == list(zip(case["seqs"], case["leaves"], strict=True))
    row = trees.row(case["key"])
    assert row == row_of(case)
    assert key_position(case["key"]).hex() == case["position"]
    assert value_hash(row_of(case)).hex() == case["value"]
    assert leaf_node(key_position(case["key"]), value_hash(row_of(case))).hex() == case["leaf_node"]


def test_the_log_seals_the_map_of_its_keys() -> None:
    entries = [param.values[0] for param in load("entries")]
    trees = KeyTrees()
    for entry in entries[:11]:
        trees.append_entry(entry["index_keys"], entry["seq"], bytes.fromhex(entry["leaf_hash"]))
    assert set(trees) == {param.values[0]["key"] for param in load("key-roots")}
    sparse = SparseMap()
    sparse.update(trees.changed_rows())
    assert sparse.root().hex() == decode(entries[11]["entry"].encode())["map_root"]


@pytest.mark.parametrize("case", load("map-roots"))
def test_a_map_has_the_root_stated(case: Any) -> None:
    assert sparse_map_of(rows_of(case)).root().hex() == case["map_root"]


@pytest.mark.parametrize("case", load("map-proofs", refused=False))
def test_a_map_proof_checks_and_is_the_one_made_here(case: Any) -> None:
    row = row_of(case) if case["present"] else None
    root = bytes.fromhex(case["map_root"])
    check_map_proof(case["key"], map_proof_of(case), row, root)
    assert sparse_map_of(MAPS[root]).prove(case["key"]) == map_proof_of(case)
    shape = {name: case[name] for name in ("present", "siblings", "leaf") if name in case}
    assert format_map_proof(map_proof_of(case)) == shape


@pytest.mark.parametrize("case", load("map-proofs", refused=True))
def test_a_bad_map_proof_is_refused(case: Any) -> None:
    row = row_of(case) if case["present"] else None
    with pytest.raises(ProofError):
        check_map_proof(case["key"], map_proof_of(case), row, bytes.fromhex(case["map_root"]))


@pytest.mark.parametrize("case", load("completeness", refused=False))
def test_a_completeness_bundle_checks_and_shows_its_entries(case: Any) -> None:
    checked = check_bundle(case)
    assert (checked.key, checked.map_size, checked.tree_size) == (case["key"], 11, 12)
    assert checked.count == (case["row"]["count"] if case["map_proof"]["present"] else 0)
    shown = [{"seq": item.seq, "entry": item.entry.decode()} for item in checked.entries]
    assert shown == case.get("entries", [])


@pytest.mark.parametrize("case", load("completeness", refused=False))
def test_a_completeness_bundle_is_formatted_as_it_was_parsed(case: Any) -> None:
    formatted = format_completeness(parse_completeness(case), case["vkey"])
    assert {**formatted, "desc": case["desc"]} == case


@pytest.mark.parametrize("case", load("completeness", refused=True))
def test_a_bad_completeness_bundle_is_refused(case: Any) -> None:
    with pytest.raises(LedgerError) as refusal:
        check_bundle(case)
    assert not isinstance(refusal.value, FormatError), "these bundles are well-formed and prove nothing"
