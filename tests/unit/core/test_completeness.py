"""Completeness bundles over a small log made here: what they show, and each reason for refusing one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ledger.core.canonical import encode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.completeness import (
    CheckedCompleteness,
    CompletenessBundle,
    KeyEntry,
    SealedIndex,
    check_completeness,
    check_key,
    format_completeness,
    parse_completeness,
    parse_row,
)
from ledger.core.index import index_keys
from ledger.core.key_trees import KeyTrees
from ledger.core.merkle import NodeId, prove_inclusion, root_of
from ledger.core.sparse_map import SparseMap
from ledger.errors import FormatError, LedgerError, ProofError, SignatureError
from ledger.vault.ed25519 import from_seed, verifier_from_vkey

ORIGIN = "ledger.example/test"
SIGNER = from_seed(ORIGIN, bytes(32))
VKEY = SIGNER.vkey()
KEY = "dev:dev-a"
ABSENT = "dev:dev-z"


def entry_at(at: int, **members: Any) -> dict[str, Any]:
    """Return an entry at the seq ``at``: every second one of ``dev-a``, the others of ``dev-b``."""
    developer = "dev-b" if at % 2 else "dev-a"
    return {"kind": "weather.noted", "seq": at, "developer": developer, "v": 1, **members}


def bundle_of(
    key: str = KEY,
    size: int = 7,
    map_size: int | None = None,
    seal: dict[str, Any] | None = None,
    entries: dict[int, dict[str, Any]] | None = None,
    later: int = 0,
) -> dict[str, Any]:
    """Return the bundle of ``key`` over a log of ``size`` entries, a seal and ``later`` entries after it.

    ``seal`` and ``entries`` (by seq) replace what an honest log would hold; all is signed nevertheless.
    """
    log = [encode((entries or {}).get(seq, entry_at(seq))) for seq in range(size)]
    covered = size if map_size is None else map_size
    trees = KeyTrees()
    own = []
    for seq, data in enumerate(log[:covered]):
        # The operator files under dev-a what honestly belongs there, whatever the entry says.
        keys = index_keys(entry_at(seq))
        trees.append_entry(keys, seq, leaf_hash(data))
        if key in keys:
            own.append(KeyEntry(seq, data))
    sparse = SparseMap()
    sparse.update(trees.rows())
    members: dict[str, Any] = {"kind": "index.sealed", "seq": size, "map_fn": 1, "map_size": covered, "v": 1}
    log.append(encode({**members, "map_root": sparse.root().hex(), **(seal or {})}))
    log += [encode(entry_at(seq)) for seq in range(size + 1, size + 1 + later)]
    leaves = list(map(leaf_hash, log))
    path = prove_inclusion(size, len(log), lambda nodes: [node_hash(leaves, node) for node in nodes])
    checkpoint = sign_checkpoint(Checkpoint(ORIGIN, len(log), root_of(leaves)), [SIGNER])
    sealed = SealedIndex(log[size], size, tuple(path))
    bundle = CompletenessBundle(checkpoint, key, sealed, sparse.prove(key), trees.row(key), tuple(own))
    return format_completeness(bundle, VKEY)


def node_hash(leaves: list[bytes], node: NodeId) -> bytes:
    """Return the root of the full subtree ``node``."""
    width = 1 << node.level
    return root_of(leaves[node.index * width : (node.index + 1) * width])


def check(bundle: dict[str, Any], key: str | None = None) -> CheckedCompleteness:
    """Check ``bundle`` under the log's key."""
    return check_completeness(bundle, ORIGIN, [verifier_from_vkey(VKEY)], key)


def test_all_entries_of_a_key_are_shown_in_order() -> None:
    checked = check(bundle_of())
    assert [item.seq for item in checked.entries] == [0, 2, 4, 6]
    assert (checked.key, checked.map_size, checked.tree_size, checked.count) == (KEY, 7, 8, 4)
    assert checked.checkpoint.checkpoint.size == 8


def test_absence_is_shown_with_no_entries() -> None:
    checked = check(bundle_of(ABSENT), ABSENT)
    assert (checked.key, checked.count, checked.entries) == (ABSENT, 0, ())


@pytest.mark.parametrize("size", range(1, 20))
def test_bundles_of_logs_of_all_sizes_check(size: int) -> None:
    assert check(bundle_of(size=size), KEY).count == (size + 1) // 2


def test_entries_between_the_map_and_its_seal_are_not_covered() -> None:
    checked = check(bundle_of(map_size=4))
    assert (checked.map_size, [item.seq for item in checked.entries]) == (4, [0, 2])


def test_the_vkey_in_a_bundle_is_not_trusted() -> None:
    other = from_seed(ORIGIN, b"\x01" * 32).vkey()
    bundle = bundle_of()
    bundle["vkey"] = other
    assert check(bundle).count == 4
    with pytest.raises(SignatureError):
        check_completeness(bundle, ORIGIN, [verifier_from_vkey(other)])


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(SignatureError):
        check_completeness(bundle_of(), "ledger.example/other", [verifier_from_vkey(VKEY)])


def test_a_bundle_about_another_key_than_asked_for_is_refused() -> None:
    with pytest.raises(ProofError, match="not about 'dev:dev-z'"):
        check(bundle_of(), ABSENT)


def test_members_that_stand_beside_the_known_ones_are_passed_over() -> None:
    assert check({**bundle_of(), "desc": "a note"}) == check(bundle_of())


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (bundle_of(later=1), "is not the last entry"),
        (bundle_of(seal={"kind": "index.healed"}), "seals no index"),
        (bundle_of(seal={"kind": 7}), "seals no index: kind is not"),
        (bundle_of(seal={"seq": 6}), "seals no index"),
        (bundle_of(seal={"seq": True}, size=1), "seals no index: seq is not"),
        (bundle_of(seal={"map_fn": 2}), "seals no index"),
        (bundle_of(seal={"map_fn": True}), "seals no index: map_fn is not"),
        (bundle_of(seal={"map_size": 8}), "seals no index"),
        (bundle_of(seal={"map_size": 0}), "seals no index"),
        (bundle_of(seal={"map_size": 6}), "entry 6 states another seq, or is out of order"),
        (bundle_of(seal={"map_root": "00" * 32}), "leads to the root"),
        (bundle_of(entries={2: entry_at(2, developer="dev-b")}), "entry 2 does not carry"),
        (bundle_of(entries={2: entry_at(2, seq=3)}), "entry 2 states another seq"),
        (bundle_of(entries={0: entry_at(0, seq=False)}), "entry 0 states another seq"),
    ],
)
def test_a_signed_lie_is_refused(bundle: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        check(bundle)


@pytest.mark.parametrize("member", ["map_root", "map_size"])
def test_a_seal_with_an_ill_typed_member_is_refused(member: str) -> None:
    with pytest.raises(ProofError, match=member) as refusal:
        check(bundle_of(seal={member: "x" if member == "map_size" else 7}))
    assert refusal.value.code == "SEAL_INVALID"


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return the bundle of :data:`KEY` after ``change``."""
    bundle = copy.deepcopy(bundle_of())
    change(bundle)
    return bundle


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda bundle: bundle["entries"].pop(), "3 entries are shown, 4 are recorded"),
        (lambda bundle: bundle["entries"].reverse(), "out of order"),
        (lambda bundle: bundle["entries"].insert(0, bundle["entries"][0]), "5 entries are shown"),
        (lambda bundle: bundle["entries"][1].update(bundle["entries"][0]), "out of order"),
        (lambda bundle: bundle["entries"][1].update(seq=1), "states another seq"),
        (lambda bundle: bundle["row"].update(count=3), "does not hold the row"),
        (lambda bundle: bundle["row"].update(key_root="00" * 32), "does not hold the row"),
        (lambda bundle: bundle["index_sealed"].update(index=6), "is not the last entry"),
        (lambda bundle: bundle["index_sealed"]["proof"].pop(), "too short"),
        (lambda bundle: bundle["index_sealed"]["proof"].append("00" * 32), "too long"),
        (lambda bundle: bundle["index_sealed"].update(entry=bundle["entries"][0]["entry"]), "does not lead"),
        (lambda bundle: bundle.update(key="dev:dev-b"), "another key's leaf"),
    ],
)
def test_a_changed_bundle_is_refused(change: Callable[[dict[str, Any]], object], reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        check(changed(change))


def test_an_entry_changed_in_a_member_that_gives_no_key_is_refused() -> None:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entries"][1]["entry"] = encode(entry_at(2, note="other")).decode()

    with pytest.raises(ProofError, match="does not lead to the root of size 4"):
        check(changed(change))


def test_an_entry_that_replaces_the_last_one_is_refused() -> None:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entries"][3] = {"seq": 5, "entry": encode(entry_at(5, developer="dev-a")).decode()}

    with pytest.raises(ProofError, match="the last entry is 5, not 6"):
        check(changed(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: bundle.pop("checkpoint"),
        lambda bundle: bundle.pop("key"),
        lambda bundle: bundle.pop("index_sealed"),
        lambda bundle: bundle.pop("map_proof"),
        lambda bundle: bundle.pop("row"),
        lambda bundle: bundle.pop("entries"),
        lambda bundle: bundle.update(checkpoint=7),
        lambda bundle: bundle.update(checkpoint="\ud800"),
        lambda bundle: bundle.update(key=7),
        lambda bundle: bundle.update(key="dev:"),
        lambda bundle: bundle.update(row=[]),
        lambda bundle: bundle.update(entries={}),
        lambda bundle: bundle.update(entries=["x"]),
        lambda bundle: bundle["row"].update(count=4.0),
        lambda bundle: bundle["row"].update(count=True),
        lambda bundle: bundle["row"].update(last_seq=2**53),
        lambda bundle: bundle["row"].update(last_seq=-1),
        lambda bundle: bundle["row"].update(extra=1),
        lambda bundle: bundle["row"].update(key_root=bundle["row"]["key_root"].upper()),
        lambda bundle: bundle["entries"][0].pop("seq"),
        lambda bundle: bundle["entries"][0].update(proof=[]),
        lambda bundle: bundle["entries"][0].update(entry="{}\u00e4"),
        lambda bundle: bundle["entries"][0].update(entry='{"seq": 0}'),
        lambda bundle: bundle["index_sealed"].update(proof="00"),
        lambda bundle: bundle["index_sealed"]["proof"].append("00"),
        lambda bundle: bundle["index_sealed"].update(entry=["x"]),
        lambda bundle: bundle["map_proof"].update(present=1),
        lambda bundle: bundle["map_proof"].update(present=False),
        lambda bundle: bundle["map_proof"].update(leaf=None),
        lambda bundle: bundle["map_proof"]["leaf"].pop("value"),
        lambda bundle: bundle["map_proof"]["siblings"].append(None),
    ],
)
def test_a_bundle_of_another_shape_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(FormatError):
        check(changed(change))


def test_a_bundle_of_an_absent_key_with_entries_is_refused() -> None:
    bundle = bundle_of(ABSENT)
    with pytest.raises(FormatError, match="where the key is present"):
        parse_completeness({**bundle, "entries": []})
    with pytest.raises(FormatError, match="where the key is present"):
        parse_completeness({**bundle, "row": bundle_of()["row"]})


def test_no_character_of_any_hash_in_a_bundle_can_be_changed() -> None:
    def hashes(value: Any) -> list[tuple[Any, Any]]:
        """Return the place of every hash under ``value``: its holder and the name or number there."""
        if not isinstance(value, (dict, list)):
            return []
        places: list[tuple[Any, Any]] = []
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            is_hash = isinstance(item, str) and len(item) == 64
            places += [(value, name)] if is_hash else hashes(item)
        return places

    bundle = bundle_of()
    places = hashes(bundle)
    assert len(places) >= 6
    for holder, name in places:
        whole = holder[name]
        for at in range(64):
            holder[name] = whole[:at] + ("0" if whole[at] != "0" else "1") + whole[at + 1 :]
            with pytest.raises(LedgerError):
                check(bundle)
        holder[name] = whole
    assert check(bundle).count == 4


PERSON = f"a_{7:032x}"


@pytest.mark.parametrize(
    "key", [f"acct:{PERSON}", f"subj:{PERSON}", "dev:d", f"dev:{'D' * 64}", f"pair:{PERSON}:d.e-f_1"]
)
def test_a_key_of_each_family_is_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        *("", "dev", "dev:", ":dev", "Dev:x", "account:x", "dev:\u00e4", "dev:a\n", "dev:a b", "dev:a:b"),
        *(f"dev:{'d' * 65}", f"acct:{PERSON}\n", f"acct:{PERSON[:-1]}", f"acct:{PERSON.upper()}"),
        *(f"pair:{PERSON}", f"pair:{PERSON}:", f"pair:{PERSON}:a:b", f"pair:d:{PERSON}"),
    ],
)
def test_a_misspelt_key_is_refused(key: str) -> None:
    with pytest.raises(FormatError, match="is not an index key"):
        check_key(key)


@pytest.mark.parametrize("key", ["acct:783214", "subj:783214", "pair:783214:dev-a"])
def test_nothing_is_proven_of_an_account_by_the_platforms_id_which_no_entry_has(key: str) -> None:
    with pytest.raises(FormatError, match="is not an index key"):
        check_key(key)


def test_a_row_without_a_member_is_refused_by_its_name() -> None:
    with pytest.raises(FormatError, match="row is without key_root, last_seq"):
        parse_row({"count": 1})
