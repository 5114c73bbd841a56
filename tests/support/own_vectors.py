"""This project's own conformance vectors, made from the sample ledger: what another implementation has to accept and refuse.

``scripts/vectors`` writes them to docs/vectors, a test makes them again and compares. One case a file: ``desc`` says what it
shows, ``want_error`` is there where it has to be refused, and then ``code`` names the reason as this project gives it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from ledger.core.canonical import decode, encode
from ledger.core.chain import leaf_hash
from ledger.core.completeness import format_map_proof
from ledger.core.index import KeyRow, index_keys, key_leaf_hash, key_position, leaf_node, value_hash
from ledger.core.key_trees import KeyTrees
from ledger.core.merkle import Frontier, NodeId, root_of
from ledger.core.page_proof import prove_page
from ledger.core.proof_files import Known, check_proof_file, code_of
from ledger.core.sparse_map import SparseMap
from ledger.core.strict import encode_base64
from ledger.errors import LedgerError, UsageError
from ledger.vault.ed25519 import verify_ed25519
from tests.support.proof_samples import log_entries, samples
from tests.support.tampered_proofs import TAMPERED

Case = dict[str, Any]

_KEYS_MAX = 40
_FILE_BYTES_MAX = 20_000
_PAGE_SIZES = (1, 2, 3, 5, 8, 13)


def all_cases() -> Iterator[tuple[str, Case]]:
    """Each case with its path below docs/vectors."""
    for make in (_canonical, _entries, _key_roots, _map_roots, _map_proofs, _page_proofs, _files, _tampered):
        yield from make()


def text_of(case: Case) -> str:
    """The file of ``case``."""
    return json.dumps(case, indent=1, ensure_ascii=True) + "\n"


def _canonical() -> Iterator[tuple[str, Case]]:
    good = {
        "empty-object": b"{}",
        "all-types": encode({"a": [], "b": {"x": "y z"}, "c": True, "d": -5}),
        "largest-integer": encode({"n": 2**53 - 1}),
        "nested-16": b'{"a":' + b"[" * 15 + b"]" * 15 + b"}",
    }
    bad = {
        "two-to-the-53": b'{"n":9007199254740992}',
        "nested-17": b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
        "null": b'{"a":null}',
        "float": b'{"a":1.0}',
        "exponent": b'{"a":1e5}',
        "keys-unsorted": b'{"b":1,"a":2}',
        "key-twice": b'{"a":1,"a":1}',
        "white-space": b'{"a": 1}',
        "escape": b'{"a":"\\u0041"}',
        "not-ascii": '{"a":"ä"}'.encode(),
        "minus-zero": b'{"a":-0}',
    }
    for name, data in good.items():
        yield f"canonical/accept-{name}", {"desc": f"canonical bytes: {name}", "bytes_hex": data.hex()}
    for name, data in bad.items():
        case = {"desc": f"not canonical: {name}", "want_error": True, "bytes_hex": data.hex()}
        yield f"canonical/reject-{name}", case


def _entries() -> Iterator[tuple[str, Case]]:
    frontier = Frontier()
    for seq, data in enumerate(log_entries()):
        members = decode(data)
        frontier.append(leaf_hash(data))
        yield (
            f"entries/{seq:02}-{members['kind']}",
            {
                "desc": f"entry {seq} of the log that the other folders are about",
                "seq": seq,
                "entry": data.decode(),
                "leaf_hash": leaf_hash(data).hex(),
                "prev": members["prev"],
                "index_keys": index_keys(members),
                "root_after": frontier.root().hex(),
            },
        )


def _trees(map_size: int) -> tuple[KeyTrees, dict[str, list[int]]]:
    trees, places = KeyTrees(), dict[str, list[int]]()
    for seq, data in enumerate(log_entries()[:map_size]):
        keys = index_keys(decode(data))
        trees.append_entry(keys, seq, leaf_hash(data))
        for key in keys:
            places.setdefault(key, []).append(seq)
    return trees, places


def _map_size() -> int:
    sealed = decode(log_entries()[-1])["map_size"]
    assert isinstance(sealed, int), "the log ends at a seal"
    return sealed


def _key_roots() -> Iterator[tuple[str, Case]]:
    trees, places = _trees(_map_size())
    for number, key in enumerate(sorted(trees)):
        row = trees.row(key)
        assert row is not None, "every key has a row"
        leaves = [key_leaf_hash(seq, leaf_hash(log_entries()[seq])).hex() for seq in places[key]]
        yield (
            f"key-roots/{number:02}",
            {
                "desc": f"one key over the first {_map_size()} entries",
                "map_size": _map_size(),
                "key": key,
                "count": row.count,
                "last_seq": row.last_seq,
                "seqs": places[key],
                "leaves": leaves,
                "key_root": row.key_root.hex(),
                "position": key_position(key).hex(),
                "value": value_hash(row).hex(),
                "leaf_node": leaf_node(key_position(key), value_hash(row)).hex(),
            },
        )


def _rows(count: int) -> dict[str, KeyRow]:
    """The rows of the rule for maps: key ``dev:d<i>``, count i+1, last_seq 7i+3, key_root SHA-256(``root <i>``)."""
    return {f"dev:d{i}": KeyRow(i + 1, 7 * i + 3, sha256(b"root %d" % i).digest()) for i in range(count)}


def _map_of(count: int) -> SparseMap:
    made = SparseMap()
    made.update(_rows(count).items())
    return made


def _map_roots() -> Iterator[tuple[str, Case]]:
    for count in (0, 1, 2, 3, 16, 1_000):
        root = _map_of(count).root().hex()
        yield (
            f"map-roots/{count}",
            {"desc": f"{count} keys by the rule", "keys_by_rule": count, "map_root": root},
        )


def _map_proofs() -> Iterator[tuple[str, Case]]:
    for count in (1, 2, _KEYS_MAX):
        made = _map_of(count)
        for key in ("dev:d0", "dev:absent"):
            row = _rows(count).get(key)
            shown = (
                {}
                if row is None
                else {"count": row.count, "last_seq": row.last_seq, "key_root": row.key_root.hex()}
            )
            case: Case = {"desc": f"{key} among {count} keys by the rule", "key": key, **shown}
            case |= {**format_map_proof(made.prove(key)), "map_root": made.root().hex()}
            yield f"map-proofs/{'absent' if row is None else 'present'}-{count}", case
            if count == _KEYS_MAX:
                broken: Case = {**case, "want_error": True, "siblings": case["siblings"][::-1]}
                broken["desc"] += ", with its siblings the wrong way round"
                yield f"map-proofs/reject-{'absent' if row is None else 'present'}-swapped", broken


def _page_proofs() -> Iterator[tuple[str, Case]]:
    for size in _PAGE_SIZES:
        leaves = [sha256(b"leaf %d" % place).digest() for place in range(size)]

        def read(nodes: Any, leaves: list[bytes] = leaves) -> list[bytes]:
            return [_subtree(leaves, node) for node in nodes]

        for first, count in {(0, 1), (0, size), (size - 1, 1), (size // 3, max(1, size // 2))}:
            page = [leaf.hex() for leaf in leaves[first : first + count]]
            proof = [value.hex() for value in prove_page(first, count, size, read)]
            case = {
                "desc": f"{count} leaves from {first} on of {size}",
                "size": size,
                "first": first,
                "leaves": page,
                "proof": proof,
                "root": root_of(leaves).hex(),
            }
            yield f"page-proofs/{size:02}-{first:02}-{count:02}", case
            if proof:
                short = {**case, "want_error": True, "proof": proof[:-1]}
                yield f"page-proofs/reject-{size:02}-{first:02}-{count:02}", short


def _subtree(leaves: list[bytes], node: NodeId) -> bytes:
    return root_of(leaves[node.index << node.level : (node.index + 1) << node.level])


def _files() -> Iterator[tuple[str, Case]]:
    """Whole files, as they are checked; ``text`` is the file, in base64 where it is not JSON."""
    folders = {
        "entry": "tlog-proof",
        "entry-bare": "tlog-proof",
        "grown": "consistency",
        "grown-unsigned": "consistency",
    }
    for name, data in samples().files.items():
        folder = folders.get(name, "completeness")
        case: Case = {
            "desc": f"the sample {name}",
            "vkey": samples().vkey,
            "file_base64": encode_base64(data),
        }
        if name == "entry-bare":
            case["entry"] = decode_entry_of("entry")
        yield f"{folder}/accept-{name}", case
        for number, (what, changed) in enumerate(_broken(data)):
            refused = {**case, "desc": f"the sample {name}, {what}", "want_error": True}
            code = _refusal(changed, case)
            yield (
                f"{folder}/reject-{name}-{number}",
                {**refused, "code": code, "file_base64": encode_base64(changed)},
            )


def _tampered() -> Iterator[tuple[str, Case]]:
    """Files that somebody made to fit and that prove nothing; those of a few kilobytes."""
    for number, (what, data, code) in enumerate(TAMPERED):
        if len(data) <= _FILE_BYTES_MAX:
            case = {"desc": what, "want_error": True, "code": code, "vkey": samples().vkey}
            yield f"tampered/{number:02}", case | {"file_base64": encode_base64(data)}


def decode_entry_of(name: str) -> str:
    """The entry in the ``.tlog-proof`` called ``name``."""
    from ledger.core.tlog_proof import parse_tlog_proof

    extra = parse_tlog_proof(samples().files[name]).extra
    assert extra is not None, "this one holds its entry"
    return extra.decode()


def _broken(data: bytes) -> Iterator[tuple[str, bytes]]:
    """``data`` after one change each."""
    middle = len(data) // 2
    yield "with a byte in the middle changed", data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    yield "with a newline more at the end", data + b"\n"
    place = data.index(b" UYIIC") + 12  # behind the key id, which is the same in every signature of the log
    other = b"A" if data[place : place + 1] != b"A" else b"B"
    yield "with another signature", data[:place] + other + data[place + 1 :]
    yield "without its end", data[:-1]


def _refusal(data: bytes, case: Case) -> str:
    entry = case["entry"].encode() if "entry" in case else None
    try:
        check_proof_file(data, Known(case["vkey"], None, entry), verify_ed25519)
    except UsageError:
        raise
    except LedgerError as error:
        return code_of(error)
    raise AssertionError(f"{case['desc']} is taken as proven")
