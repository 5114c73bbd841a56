"""Every way to tamper with a proof: what was done, the file, and the code with which it has to be refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ledger.core.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from ledger.core.jcs import encode_file
from ledger.core.merkle import NodeId, hash_leaf, prove_consistency, root_of
from ledger.core.note import format_note, parse_note
from ledger.vault.cosignatures import cosigner_from_seed
from ledger.vault.ed25519 import from_seed
from tests.support.proof_samples import ORIGIN, log_entries, samples

Change = Callable[[dict[str, Any]], object]


def document(name: str) -> dict[str, Any]:
    """The sample bundle ``name`` as JSON members."""
    read: dict[str, Any] = json.loads(samples().files[name])
    return read


def changed(name: str, change: Change) -> bytes:
    """The sample bundle ``name`` after ``change``, written as a bundle is."""
    members = document(name)
    change(members)
    return encode_file(members)


def put(*path: Any, to: Any) -> Change:
    """Put ``to`` at ``path``."""

    def change(members: dict[str, Any]) -> None:
        holder: Any = members
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = to

    return change


def take_from(source: str, *names: str) -> Change:
    """Take the members ``names`` of another sample bundle."""
    return lambda members: members.update({name: document(source)[name] for name in names})


def pretend_absent(members: dict[str, Any]) -> None:
    """Claim that the key is absent, by the proof of its presence."""
    for name in ("row", "entries", "page", "openings"):
        members.pop(name, None)
    members["map_proof"]["present"] = False


def drop_map_root(members: dict[str, Any]) -> None:
    """Take the root out of the seal."""
    entry = json.loads(members["index_sealed"]["entry"])
    del entry["map_root"]
    members["index_sealed"]["entry"] = encode_file(entry).decode()


def swap_siblings(members: dict[str, Any]) -> None:
    """Exchange the first two siblings of the map proof."""
    siblings = members["map_proof"]["siblings"]
    siblings[0], siblings[1] = siblings[1], siblings[0]


def repeat_signature(members: dict[str, Any]) -> None:
    """Let the log's signature stand there twice."""
    members["checkpoint"] += members["checkpoint"].partition("\n\n")[2]


def sign_by_another(members: dict[str, Any]) -> None:
    """State another key of the same name, whose signature is not there."""
    members["vkey"] = from_seed(ORIGIN, b"\x07" * 32).vkey()


def grow_by_a_cosigner(members: dict[str, Any]) -> None:
    """Let somebody who cosigns under the log's own name, and not the log, sign a tree that ends in a forged entry."""
    forger = cosigner_from_seed(ORIGIN, b"\x09" * 32)
    old_size = parse_checkpoint(parse_note(members["old_checkpoint"].encode()).text).size
    leaves = [hash_leaf(entry) for entry in (*log_entries()[:old_size], b"forged")]

    def read(nodes: Sequence[NodeId]) -> list[bytes]:
        return [root_of(leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]

    text = format_checkpoint(Checkpoint(ORIGIN, len(leaves), root_of(leaves)))
    members["checkpoint"] = format_note(text, [forger.cosign(text, 7)]).decode()
    members["cosigners"] = [forger.vkey()]
    members["proof"] = [step.hex() for step in prove_consistency(old_size, len(leaves), read)]


def nested(depth: int) -> bytes:
    """A list in a list in a list."""
    return b'{"map_proof":' + b"[" * depth + b"]" * depth + b"}"


TAMPERED: list[tuple[str, bytes, str]] = [
    ("an entry is omitted", changed("account", lambda m: m["entries"].pop(1)), "INDEX_OMISSION"),
    ("the last entry is omitted", changed("account", lambda m: m["entries"].pop()), "INDEX_OMISSION"),
    (
        "an entry is omitted and the count made to fit",
        changed("account", lambda m: (m["entries"].pop(), m["row"].update(count=m["row"]["count"] - 1))),
        "MAP_PROOF_INVALID",
    ),
    ("two entries are exchanged", changed("account", lambda m: m["entries"].reverse()), "ENTRY_MISPLACED"),
    ("an entry has another seq", changed("account", put("entries", 0, "seq", to=0)), "ENTRY_MISPLACED"),
    (
        "an entry's content is changed",
        changed(
            "account",
            lambda m: m["entries"][1].update(entry=m["entries"][1]["entry"].replace('"at":1', '"at":2')),
        ),
        "INDEX_OMISSION",
    ),
    (
        "an older seal stands under a newer checkpoint",
        changed("account", take_from("older", "index_sealed")),
        "SEAL_STALE",
    ),
    (
        "a newer seal stands under a stale head",
        changed("account", take_from("older", "checkpoint")),
        "SEAL_STALE",
    ),
    (
        "an older seal is said to stand where the newer one is",
        changed(
            "account",
            lambda m: m["index_sealed"].update(entry=document("older")["index_sealed"]["entry"]),
        ),
        "INCLUSION_INVALID",
    ),
    ("the map root is missing", changed("account", drop_map_root), "INCLUSION_INVALID"),
    ("a present key is said to be absent", changed("account", pretend_absent), "MAP_PROOF_INVALID"),
    (
        "a present key is said to be absent, by another key's absence",
        changed("absent", lambda m: m.update({n: document("pair")[n] for n in ("key", "position")})),
        "MAP_PROOF_INVALID",
    ),
    ("siblings of the map proof are swapped", changed("account", swap_siblings), "MAP_PROOF_INVALID"),
    (
        "a sibling of the inclusion proof is missing",
        changed("account", lambda m: m["index_sealed"]["proof"].pop()),
        "INCLUSION_INVALID",
    ),
    ("a signature stands there twice", changed("account", repeat_signature), "SIGNATURE_UNKNOWN"),
    (
        "a signature of a key that is not stated stands there, too",
        changed("account", lambda m: m.update(checkpoint=m["checkpoint"] + "\u2014 w AAAAAAA=\n")),
        "SIGNATURE_UNKNOWN",
    ),
    (
        "a cosigner is stated that has not signed",
        changed("account", put("cosigners", to=["witness.example/w1+5b0b2eb3+BA=="])),
        "PROOF_MALFORMED",
    ),
    ("another key is stated", changed("account", sign_by_another), "KEY_NOT_TRUSTED"),
    (
        "the signature is of another text",
        changed("account", lambda m: m.update(checkpoint=m["checkpoint"].replace("\n2", "\n3", 1))),
        "CHECKPOINT_SIGNATURE_INVALID",
    ),
    ("a size is 2^53", changed("account", put("row", "count", to=2**53)), "PROOF_MALFORMED"),
    ("a size is the largest possible", changed("page", put("page", "first", to=2**53 - 1)), "PAGE_INVALID"),
    ("a size is negative", changed("page", put("page", "first", to=-1)), "PROOF_MALFORMED"),
    ("a size is true", changed("account", put("row", "count", to=True)), "PROOF_MALFORMED"),
    (
        "a list is huge",
        changed("account", put("map_proof", "siblings", to=["00" * 32] * 5_000)),
        "MAP_PROOF_INVALID",
    ),
    ("values are nested deeply", nested(200_000), "PROOF_MALFORMED"),
    ("a number has a million digits", b'{"map_proof":' + b"9" * 1_000_000 + b"}", "PROOF_MALFORMED"),
    ("a number is no integer", b'{"map_proof":1e400}', "PROOF_MALFORMED"),
    ("a page is said to stand one place later", changed("page", put("page", "first", to=3)), "PAGE_INVALID"),
    (
        "a page is said to stand one place earlier",
        changed("page", put("page", "first", to=1)),
        "PAGE_INVALID",
    ),
    ("a page is said to be all there is", changed("page", lambda m: m.pop("page")), "INDEX_OMISSION"),
    ("an entry of a page is omitted", changed("page", lambda m: m["entries"].pop(1)), "PAGE_INVALID"),
    ("a page holds nothing", changed("page", put("entries", to=[])), "PAGE_INVALID"),
    (
        "a page's proof is too long",
        changed("page", lambda m: m["page"]["proof"].append("00" * 32)),
        "PAGE_INVALID",
    ),
    (
        "a page is another key's",
        changed("page", take_from("pair", "key", "position", "row", "map_proof")),
        "ENTRY_OF_OTHER_KEY",
    ),
    (
        "an opening has another value",
        changed("opened", put("openings", 0, "value", to="1002")),
        "COMMITMENT_MISMATCH",
    ),
    (
        "an opening is of another entry",
        changed("opened", put("openings", 0, "seq", to=1)),
        "COMMITMENT_MISMATCH",
    ),
    (
        "an opening stands there twice",
        changed("opened", lambda m: m["openings"].append(m["openings"][0])),
        "COMMITMENT_MISMATCH",
    ),
    ("a member is not known", changed("account", put("note", to="all is well")), "PROOF_MALFORMED"),
    ("a member is missing", changed("account", lambda m: m.pop("vkey")), "PROOF_MALFORMED"),
    ("there is white space", samples().files["account"].replace(b",", b", ", 1), "PROOF_MALFORMED"),
    ("a member stands there twice", b'{"key":"dev:d",' + samples().files["account"][1:], "PROOF_MALFORMED"),
    (
        "the older state is another one",
        changed("grown-unsigned", put("old", "root", to="00" * 32)),
        "CHECKPOINT_INCONSISTENT",
    ),
    (
        "the older state has another size",
        changed("grown-unsigned", put("old", "size", to=6)),
        "CHECKPOINT_INCONSISTENT",
    ),
    (
        "the log has shrunk",
        changed("grown", lambda m: m.update(checkpoint=m["old_checkpoint"], old_checkpoint=m["checkpoint"])),
        "CHECKPOINT_INCONSISTENT",
    ),
    ("the way is missing", changed("grown", put("proof", to=[])), "CHECKPOINT_INCONSISTENT"),
    ("it is no proof of any kind", encode_file({"vkey": samples().vkey}), "PROOF_MALFORMED"),
    (
        "an entry is another one",
        samples().files["entry"].replace(b"index 14", b"index 13"),
        "INCLUSION_INVALID",
    ),
    (
        "the newer state is signed by a cosigner who has the log's name",
        changed("grown", grow_by_a_cosigner),
        "CHECKPOINT_SIGNATURE_INVALID",
    ),
]
