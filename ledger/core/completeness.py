"""Completeness bundles: evidence that all that is recorded about a key is shown (ledger format, section 1.4).

A bundle is one JSON object::

    {"vkey": "...",                      the log's key as the server states it (optional, and never trusted)
     "checkpoint": "...",                the signed note, cosignatures included
     "key": "acct:a_...",
     "index_sealed": {"entry": "...", "index": 11, "proof": ["<hex>", ...]},
     "map_proof": {"present": true, "siblings": ["<hex>", ...],
                   "leaf": {"position": "<hex>", "value": "<hex>"}},
     "row": {"count": 2, "last_seq": 7, "key_root": "<hex>"},
     "entries": [{"seq": 6, "entry": "..."}, ...],
     "page": {"first": 0, "proof": ["<hex>", ...]},
     "openings": [...]}

``leaf`` is left out where none is met, ``row`` and ``entries`` where the key is absent; then the bundle
shows that nothing was recorded under the key. With ``page`` the entries are not all ``count`` but those that
stand from place ``first`` on in the key's tree, at least one, with the proof of :mod:`ledger.core.page_proof`.
``openings`` are those of :mod:`ledger.core.openings`. Hashes and proof elements are lower-case hex of 32 bytes,
entries are their exact bytes as text. Members of other names beside these are passed over here, inside of
them they are refused; a bundle as a file has no others (:mod:`ledger.core.proof_files`).

What a checked bundle proves: the log's key signed a tree whose last entry, ``index.sealed``, states an
index in which exactly these entries carry the key below ``map_size``, or stand at these places of them. That
the index is the true one is what auditors find out by replaying the log; whether witnesses cosigned as a
policy wants is the caller's question. Each refusal has a code (``ProofError.code``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.core.canonical import JsonValue, decode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import OpenedCheckpoint, open_checkpoint
from ledger.core.index import MAP_FN, KeyRow, index_keys, key_leaf_hash
from ledger.core.map_proof import MapLeaf, MapProof, check_map_proof
from ledger.core.merkle import check_inclusion
from ledger.core.note import Verifier
from ledger.core.openings import OPENING, Opening, check_openings, format_openings
from ledger.core.page_proof import check_page
from ledger.core.shapes import ENTRY, HASH, read_shape, refused_as
from ledger.core.strict import ID_REGEX, TAG_REGEX, encode_utf8, shown
from ledger.errors import FormatError, ProofError

MAP_PROOF = {"present": bool, "siblings": [HASH], "leaf?": {"position": HASH, "value": HASH}}
ROW = {"count": int, "last_seq": int, "key_root": HASH}
SEAL = {"kind": str, "seq": int, "map_fn": int, "map_size": int, "map_root": HASH}
BUNDLE = {
    "checkpoint": str,
    "key": str,
    "index_sealed": {"entry": ENTRY, "index": int, "proof": [HASH]},
    "map_proof": MAP_PROOF,
    "row?": ROW,
    "entries?": [{"seq": int, "entry": ENTRY}],
    "page?": {"first": int, "proof": [HASH]},
    "openings?": [OPENING],
}
"""The members of a bundle that are read (:mod:`ledger.core.shapes`)."""

_PARTS = {"page", "openings"}
_match_key = re.compile(
    f"(acct|subj):{TAG_REGEX}|dev:{ID_REGEX}|pair:{TAG_REGEX}:{ID_REGEX}", re.ASCII
).fullmatch


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One entry of a key: its ``seq`` and its exact canonical bytes."""

    seq: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class SealedIndex:
    """The bytes of ``index.sealed``, where it stands, and the path (32-byte hashes, upwards) to it."""

    entry: bytes
    index: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PagePlace:
    """Where a page of a key's entries begins (0 is the oldest), and the hashes beside it, from left to right."""

    first: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CompletenessBundle:
    """A bundle of which nothing is known to be true.

    ``checkpoint`` is the note's bytes; ``row`` is ``None``, and ``entries`` empty, for an absent key; ``page`` is
    ``None`` where all entries of the key are there.
    """

    checkpoint: bytes
    key: str
    index_sealed: SealedIndex
    map_proof: MapProof
    row: KeyRow | None
    entries: tuple[KeyEntry, ...]
    page: PagePlace | None = None
    openings: tuple[Opening, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedCompleteness:
    """What a bundle proves, under the key that signed ``checkpoint``.

    Of the first ``map_size`` entries of the tree of ``tree_size`` entries, exactly ``count`` carry ``key``, and
    ``entries`` are those of them from place ``first`` on, in order of ``seq``; entries from ``map_size`` on are not
    covered. ``key_root`` is the root of the key's tree (``None`` for an absent key), ``page`` what stands beside the
    entries where they are not all.
    """

    key: str
    map_size: int
    tree_size: int
    count: int
    entries: tuple[KeyEntry, ...]
    checkpoint: OpenedCheckpoint
    first: int = 0
    key_root: bytes | None = None
    page: PagePlace | None = None
    openings: tuple[Opening, ...] = ()


def check_completeness(
    bundle: Mapping[str, object], origin: str, verifiers: Iterable[Verifier], key: str | None = None
) -> CheckedCompleteness:
    """Check ``bundle``, as read from JSON, for the log ``origin`` and the known keys ``verifiers``.

    ``key`` is the index key that was asked for: a bundle about another one is refused. Without it the
    caller has to compare the key of the result. Raises :class:`~ledger.errors.FormatError` for another
    shape, :class:`~ledger.errors.SignatureError` for a checkpoint that the log's known key did not sign,
    and :class:`~ledger.errors.ProofError` for anything that does not prove what the bundle claims.
    """
    return check_parsed_completeness(parse_completeness(bundle), origin, verifiers, key)


def check_parsed_completeness(
    bundle: CompletenessBundle, origin: str, verifiers: Iterable[Verifier], key: str | None = None
) -> CheckedCompleteness:
    """:func:`check_completeness` for a bundle that was parsed already."""
    if key is not None and bundle.key != key:
        raise ProofError(f"it is about {shown(bundle.key)}, not about {shown(key)}", "OTHER_KEY")
    opened = open_checkpoint(bundle.checkpoint, origin, verifiers)
    tree_size = opened.checkpoint.size
    sealed = bundle.index_sealed
    if sealed.index != tree_size - 1:
        raise ProofError(f"entry {sealed.index} is not the last entry of {tree_size}", "SEAL_STALE")
    with refused_as("INCLUSION_INVALID"):
        check_inclusion(
            sealed.proof, sealed.index, tree_size, leaf_hash(sealed.entry), opened.checkpoint.root
        )
    map_size, map_root = _read_seal(sealed)
    with refused_as("MAP_PROOF_INVALID"):
        check_map_proof(bundle.key, bundle.map_proof, bundle.row, map_root)
    if bundle.row is None:
        return CheckedCompleteness(bundle.key, map_size, tree_size, 0, (), opened)
    _check_entries(bundle.key, bundle.row, bundle.entries, bundle.page, map_size)
    check_openings(bundle.openings, {item.seq: item.entry for item in bundle.entries})
    first = 0 if bundle.page is None else bundle.page.first
    return CheckedCompleteness(
        bundle.key,
        map_size,
        tree_size,
        bundle.row.count,
        bundle.entries,
        opened,
        first,
        bundle.row.key_root,
        bundle.page,
        bundle.openings,
    )


def parse_completeness(bundle: Mapping[str, object]) -> CompletenessBundle:
    """Return ``bundle``, as read from JSON, as a value; FormatError for any other shape."""
    own = {name: value for name, value in bundle.items() if name in BUNDLE or f"{name}?" in BUNDLE}
    read = read_shape(own, BUNDLE, "the bundle")
    map_proof = _map_proof_of(read["map_proof"])
    is_there, parts = map_proof.present, set(own) & _PARTS
    if is_there != ("row" in own) or is_there != ("entries" in own) or (parts and not is_there):
        raise FormatError(
            "row and entries stand in a bundle where the key is present, page and openings only there"
        )
    if read["openings"] == ():
        raise FormatError("openings that are none are left out")
    return CompletenessBundle(
        encode_utf8(read["checkpoint"]),
        check_key(read["key"]),
        SealedIndex(**read["index_sealed"]),
        map_proof,
        read["row"] and KeyRow(**read["row"]),
        tuple([KeyEntry(**item) for item in read["entries"] or ()]),
        read["page"] and PagePlace(**read["page"]),
        tuple([Opening(**item) for item in read["openings"] or ()]),
    )


def format_completeness(bundle: CompletenessBundle, vkey: str) -> dict[str, JsonValue]:
    """Return the JSON object of ``bundle``, which states ``vkey`` as the log's key."""
    sealed = bundle.index_sealed
    formatted: dict[str, JsonValue] = {
        "vkey": vkey,
        "checkpoint": bundle.checkpoint.decode(),
        "key": bundle.key,
        "index_sealed": {
            "entry": sealed.entry.decode(),
            "index": sealed.index,
            "proof": [path_hash.hex() for path_hash in sealed.proof],
        },
        "map_proof": format_map_proof(bundle.map_proof),
    }
    if bundle.row is not None:
        formatted["row"] = format_row(bundle.row)
        formatted["entries"] = [{"seq": item.seq, "entry": item.entry.decode()} for item in bundle.entries]
    if bundle.page is not None:
        formatted["page"] = {
            "first": bundle.page.first,
            "proof": [beside.hex() for beside in bundle.page.proof],
        }
    if bundle.openings:
        formatted["openings"] = format_openings(bundle.openings)
    return formatted


def parse_map_proof(members: Mapping[str, object]) -> MapProof:
    """Return the map proof that ``members`` write: ``present``, ``siblings``, ``leaf`` where one is met."""
    return _map_proof_of(read_shape(members, MAP_PROOF, "map_proof"))


def _map_proof_of(read: Mapping[str, Any]) -> MapProof:
    leaf = read["leaf"] and MapLeaf(**read["leaf"])
    return MapProof(read["present"], read["siblings"], leaf)


def format_map_proof(proof: MapProof) -> dict[str, JsonValue]:
    """Return the JSON object of ``proof``, as :func:`parse_map_proof` reads it."""
    formatted: dict[str, JsonValue] = {
        "present": proof.present,
        "siblings": [sibling.hex() for sibling in proof.siblings],
    }
    if proof.leaf is not None:
        formatted["leaf"] = {"position": proof.leaf.position.hex(), "value": proof.leaf.value.hex()}
    return formatted


def parse_row(members: Mapping[str, object]) -> KeyRow:
    """Return the row that ``members`` write: ``count``, ``last_seq`` and ``key_root``."""
    return KeyRow(**read_shape(members, ROW, "row"))


def format_row(row: KeyRow) -> dict[str, JsonValue]:
    """Return the JSON object of ``row``, as :func:`parse_row` reads it."""
    return {"count": row.count, "last_seq": row.last_seq, "key_root": row.key_root.hex()}


def check_key(key: str) -> str:
    """Return ``key`` if an entry could carry it; else FormatError.

    People stand in a key by their tags and developers by their ids. A misspelt key is absent from every map, and so is one
    with the platform's id of an account: that absence would prove nothing that anyone meant to ask.
    """
    if not _match_key(key):
        raise FormatError(f"{shown(key)} is not an index key")
    return key


def _read_seal(sealed: SealedIndex) -> tuple[int, bytes]:
    """Return ``map_size`` and ``map_root`` of the ``index.sealed`` entry."""
    try:
        members = decode(sealed.entry)
        seal = read_shape({name: members[name] for name in SEAL if name in members}, SEAL, "index.sealed")
    except FormatError as error:
        raise ProofError(f"the last entry of the tree seals no index: {error}", "SEAL_INVALID") from None
    stated = seal["kind"], seal["seq"], seal["map_fn"]
    if stated != ("index.sealed", sealed.index, MAP_FN) or not 1 <= seal["map_size"] <= sealed.index:
        raise ProofError(
            f"entry {sealed.index} seals no index: {stated}, {seal['map_size']} entries", "SEAL_INVALID"
        )
    return seal["map_size"], seal["map_root"]


def _check_entries(
    key: str, row: KeyRow, entries: tuple[KeyEntry, ...], page: PagePlace | None, map_size: int
) -> None:
    """Check that ``entries`` are the whole of the tree that ``row`` states for ``key``, or the ``page`` of it."""
    first = 0 if page is None else page.first
    if page is None and len(entries) != row.count:
        raise ProofError(
            f"{len(entries)} entries are shown, {row.count} are recorded under {shown(key)}", "INDEX_OMISSION"
        )
    previous = -1
    leaves = []
    for item in entries:
        members = decode(item.entry)
        is_own = type(members.get("seq")) is int and members.get("seq") == item.seq
        if not (is_own and previous < item.seq < map_size):
            raise ProofError(f"entry {item.seq} states another seq, or is out of order", "ENTRY_MISPLACED")
        if key not in index_keys(members):
            raise ProofError(f"entry {item.seq} does not carry {shown(key)}", "ENTRY_OF_OTHER_KEY")
        leaves.append(key_leaf_hash(item.seq, leaf_hash(item.entry)))
        previous = item.seq
    if first + len(entries) == row.count and previous != row.last_seq:
        raise ProofError(f"the last entry is {previous}, not {row.last_seq}", "INDEX_OMISSION")
    with refused_as("INDEX_OMISSION" if page is None else "PAGE_INVALID"):
        check_page(leaves, first, row.count, () if page is None else page.proof, row.key_root)
